;; A component of the world millrace:transform, around the core items that replace the line marked so.
;; They define the function $transform; $identity and $error are there for their use. Conformance and
;; hostile guests are written this way: they need no toolchain.
(component
  (import "millrace:transform/log@0.1.0" (instance $log
    (type $l (enum "debug" "info" "warn" "error"))
    (export "level" (type $level (eq $l)))
    (export "log" (func (param "level" $level) (param "message" string)))))
  (import "millrace:transform/settings@0.1.0" (instance $settings
    (export "get" (func (param "name" string) (result (option string))))))
  (import "millrace:transform/clock@0.1.0" (instance $clock
    (export "now-ms" (func (result u64)))))
  (import "millrace:transform/random@0.1.0" (instance $random
    (export "bytes" (func (param "len" u32) (result (list u8))))))

  (core module $libc
    (memory (export "memory") 2)
    (global $top (mut i32) (i32.const 65536))
    ;; Never frees; `reset` behind a call takes everything back.
    (func (export "realloc") (param i32 i32) (param $align i32) (param $size i32) (result i32)
      (local $at i32)
      (local.set $at
        (i32.and
          (i32.add (global.get $top) (i32.sub (local.get $align) (i32.const 1)))
          (i32.sub (i32.const 0) (local.get $align))))
      (global.set $top (i32.add (local.get $at) (local.get $size)))
      (block $fits
        (loop $grow
          (br_if $fits (i32.le_u (global.get $top) (i32.mul (memory.size) (i32.const 65536))))
          (if (i32.eq (memory.grow (i32.const 16)) (i32.const -1)) (then unreachable))
          (br $grow)))
      (local.get $at))
    (func (export "reset") (param i32) (global.set $top (i32.const 65536))))
  (core instance $libc (instantiate $libc))
  (alias core export $libc "memory" (core memory $memory))
  (alias core export $libc "realloc" (core func $realloc))
  (alias core export $libc "reset" (core func $reset))
  (core func $log (canon lower (func $log "log") (memory $memory)))
  (core func $get (canon lower (func $settings "get") (memory $memory) (realloc $realloc)))
  (core func $now (canon lower (func $clock "now-ms")))
  (core func $bytes (canon lower (func $random "bytes") (memory $memory) (realloc $realloc)))

  (core module $main
    (import "libc" "memory" (memory 1))
    (import "libc" "realloc" (func $realloc (param i32 i32 i32 i32) (result i32)))
    (import "host" "log" (func $log (param $level i32) (param $text i32) (param $len i32)))
    (import "host" "get" (func $get (param $name i32) (param $len i32) (param $answer i32)))
    (import "host" "now" (func $now (result i64)))
    (import "host" "bytes" (func $bytes (param $len i32) (param $answer i32)))

    (func $alloc (param $size i32) (result i32)
      (call $realloc (i32.const 0) (i32.const 0) (i32.const 4) (local.get $size)))
    ;; 1 when one of the bytes is $byte.
    (func $has (param $at i32) (param $len i32) (param $byte i32) (result i32)
      (local $end i32)
      (local.set $end (i32.add (local.get $at) (local.get $len)))
      (block $no
        (loop $next
          (br_if $no (i32.ge_u (local.get $at) (local.get $end)))
          (if (i32.eq (i32.load8_u (local.get $at)) (local.get $byte)) (then (return (i32.const 1))))
          (local.set $at (i32.add (local.get $at) (i32.const 1)))
          (br $next)))
      (i32.const 0))
    ;; An output with the given payload and ends, whose record i is made of record i.
    (func $identity (param $payload i32) (param $bytes i32) (param $ends i32) (param $records i32) (result i32)
      (local $answer i32) (local $sources i32) (local $i i32)
      (local.set $answer (call $alloc (i32.const 60)))
      (memory.fill (local.get $answer) (i32.const 0) (i32.const 60))
      (local.set $sources (call $alloc (i32.shl (local.get $records) (i32.const 2))))
      (block $done
        (loop $next
          (br_if $done (i32.ge_u (local.get $i) (local.get $records)))
          (i32.store (i32.add (local.get $sources) (i32.shl (local.get $i) (i32.const 2))) (local.get $i))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br $next)))
      (i32.store offset=4 (local.get $answer) (local.get $payload))
      (i32.store offset=8 (local.get $answer) (local.get $bytes))
      (i32.store offset=12 (local.get $answer) (local.get $ends))
      (i32.store offset=16 (local.get $answer) (local.get $records))
      (i32.store offset=20 (local.get $answer) (local.get $sources))
      (i32.store offset=24 (local.get $answer) (local.get $records))
      ;; Lists that are empty lie at an address that fits any alignment.
      (i32.store offset=28 (local.get $answer) (i32.const 8))
      (i32.store offset=36 (local.get $answer) (i32.const 8))
      (i32.store offset=44 (local.get $answer) (i32.const 8))
      (i32.store offset=52 (local.get $answer) (i32.const 8))
      (local.get $answer))
    ;; The error with the given text.
    (func $error (param $text i32) (param $len i32) (result i32)
      (local $answer i32)
      (local.set $answer (call $alloc (i32.const 60)))
      (i32.store (local.get $answer) (i32.const 1))
      (i32.store offset=4 (local.get $answer) (local.get $text))
      (i32.store offset=8 (local.get $answer) (local.get $len))
      (local.get $answer))
    (type $transform (func
      (param $payload i32) (param $bytes i32) (param $ends i32) (param $records i32)
      (param $arrivals i32) (param i32) (param $keys i32) (param i32) (param $key_ends i32) (param i32)
      (param $first i64) (result i32)))
    ;; BODY
    (export "transform" (func $transform)))
  (core instance $main (instantiate $main
    (with "libc" (instance $libc))
    (with "host" (instance
      (export "log" (func $log)) (export "get" (func $get))
      (export "now" (func $now)) (export "bytes" (func $bytes))))))

  (type $b (record
    (field "payload" (list u8)) (field "ends" (list u32)) (field "arrivals-ms" (list s64))
    (field "keys" (list u8)) (field "key-ends" (list u32)) (field "first-sequence" u64)))
  (export $batch "batch" (type $b))
  (type $f (record (field "index" u32) (field "reason" string)))
  (export $failure "failure" (type $f))
  (type $o (record
    (field "payload" (list u8)) (field "ends" (list u32)) (field "sources" (list u32))
    (field "failures" (list $failure)) (field "partition-names" (list string))
    (field "partition-values" (list u8)) (field "partition-ends" (list u32))))
  (export $output "output" (type $o))
  (alias core export $main "transform" (core func $transform))
  (func (export "transform") (param "batch" $batch) (result (result $output (error string)))
    (canon lift (core func $transform) (memory $memory) (realloc $realloc) (post-return $reset))))
