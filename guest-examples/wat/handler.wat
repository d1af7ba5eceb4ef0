;; A component of the world millrace:transform/handler that does what its event says: a list of orders,
;; each `order 1 | length 4 | first word | length 4 | second word`, little-endian. An event that begins
;; with `{` is Firehose's: then the orders are the setting `orders`. What the orders give is the answer.
;;
;;   e first: the word itself               E: the event itself           L: logs the event
;;   f first: ends with that error          F: as f, when getting the key `first` fails
;;   t: traps                               x: calls the host without end
;;   c: what interface invocation gives, with blanks between; a deadline as 8 bytes
;;   g first: a value, or `-`               s first second: sets          d first: deletes
;;   k first second: keys with the prefix `first` behind `second`, each with a comma behind
;;   h first second: the body that `POST first` with body `second` answers
;;
;; What the host answers as an error stands in the answer behind `!`.
(component
  (import "millrace:transform/log@0.1.0" (instance $log
    (type $l (enum "debug" "info" "warn" "error"))
    (export "level" (type $level (eq $l)))
    (export "log" (func (param "level" $level) (param "message" string)))))
  (import "millrace:transform/settings@0.1.0" (instance $settings
    (export "get" (func (param "name" string) (result (option string))))))
  (import "millrace:transform/invocation@0.1.0" (instance $invocation
    (type $c (record
      (field "request-id" string) (field "function-name" string) (field "function-version" string)
      (field "memory-limit-bytes" u64) (field "deadline-ms" u64) (field "client-context" (option string))))
    (export "context" (type $context (eq $c)))
    (export "current" (func (result $context)))))
  (import "millrace:transform/key-value@0.1.0" (instance $state
    (export "get" (func (param "key" string) (result (result (option (list u8)) (error string)))))
    (export "set" (func (param "key" string) (param "value" (list u8)) (result (result (error string)))))
    (export "delete" (func (param "key" string) (result (result (error string)))))
    (export "keys" (func
      (param "prefix" string) (param "after" (option string)) (result (result (list string) (error string)))))))
  (import "millrace:transform/http@0.1.0" (instance $http
    (type $q (record
      (field "method" string) (field "url" string) (field "headers" (list (tuple string (list u8))))
      (field "body" (list u8)) (field "timeout-ms" (option u32))))
    (export "request" (type $request (eq $q)))
    (type $r (record
      (field "status" u16) (field "headers" (list (tuple string (list u8)))) (field "body" (list u8))))
    (export "response" (type $response (eq $r)))
    (export "send" (func (param "request" $request) (result (result $response (error string)))))))

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
  (core func $setting (canon lower (func $settings "get") (memory $memory) (realloc $realloc)))
  (core func $current (canon lower (func $invocation "current") (memory $memory) (realloc $realloc)))
  (core func $get (canon lower (func $state "get") (memory $memory) (realloc $realloc)))
  (core func $set (canon lower (func $state "set") (memory $memory) (realloc $realloc)))
  (core func $delete (canon lower (func $state "delete") (memory $memory) (realloc $realloc)))
  (core func $keys (canon lower (func $state "keys") (memory $memory) (realloc $realloc)))
  (core func $send (canon lower (func $http "send") (memory $memory) (realloc $realloc)))

  (core module $main
    (import "libc" "memory" (memory 1))
    (import "libc" "realloc" (func $realloc (param i32 i32 i32 i32) (result i32)))
    (import "host" "log" (func $log (param i32 i32 i32)))
    (import "host" "setting" (func $setting (param i32 i32 i32)))
    (import "host" "current" (func $current (param i32)))
    (import "host" "get" (func $get (param i32 i32 i32)))
    (import "host" "set" (func $set (param i32 i32 i32 i32 i32)))
    (import "host" "delete" (func $delete (param i32 i32 i32)))
    (import "host" "keys" (func $keys (param i32 i32 i32 i32 i32 i32)))
    (import "host" "send" (func $send (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))

    ;; The answer so far: where it begins and ends, and up to where there is room.
    (global $out (mut i32) (i32.const 0))
    (global $end (mut i32) (i32.const 0))
    (global $room (mut i32) (i32.const 0))
    ;; What the host answers lies here.
    (global $said i32 (i32.const 1024))

    (func $put (param $at i32) (param $len i32)
      (local $need i32) (local $moved i32)
      (if (i32.gt_u (i32.add (global.get $end) (local.get $len)) (global.get $room))
        (then
          (local.set $need (i32.add (i32.sub (global.get $end) (global.get $out)) (local.get $len)))
          (local.set $need (i32.add (i32.shl (local.get $need) (i32.const 1)) (i32.const 64)))
          (local.set $moved (call $realloc (i32.const 0) (i32.const 0) (i32.const 1) (local.get $need)))
          (memory.copy (local.get $moved) (global.get $out) (i32.sub (global.get $end) (global.get $out)))
          (global.set $end (i32.add (local.get $moved) (i32.sub (global.get $end) (global.get $out))))
          (global.set $out (local.get $moved))
          (global.set $room (i32.add (local.get $moved) (local.get $need)))))
      (memory.copy (global.get $end) (local.get $at) (local.get $len))
      (global.set $end (i32.add (global.get $end) (local.get $len))))
    (func $put_byte (param $byte i32)
      (i32.store8 (i32.const 2000) (local.get $byte))
      (call $put (i32.const 2000) (i32.const 1)))
    ;; The text whose address and length stand at $at, and a blank.
    (func $put_text (param $at i32)
      (call $put (i32.load (local.get $at)) (i32.load offset=4 (local.get $at)))
      (call $put_byte (i32.const 32)))
    ;; 1 when the host answered an error, which then stands in the answer.
    (func $erred (result i32)
      (if (i32.eqz (i32.load8_u (global.get $said))) (then (return (i32.const 0))))
      (call $put_byte (i32.const 33))
      (call $put (i32.load offset=4 (global.get $said)) (i32.load offset=8 (global.get $said)))
      (i32.const 1))
    (func $result (param $is_error i32) (param $at i32) (param $len i32) (result i32)
      (local $answer i32)
      (local.set $answer (call $realloc (i32.const 0) (i32.const 0) (i32.const 4) (i32.const 12)))
      (i32.store (local.get $answer) (local.get $is_error))
      (i32.store offset=4 (local.get $answer) (local.get $at))
      (i32.store offset=8 (local.get $answer) (local.get $len))
      (local.get $answer))
    (func $context
      (call $current (global.get $said))
      (call $put_text (global.get $said))
      (call $put_text (i32.add (global.get $said) (i32.const 8)))
      (call $put_text (i32.add (global.get $said) (i32.const 16)))
      (call $put (i32.add (global.get $said) (i32.const 32)) (i32.const 8))
      (if (i32.load8_u offset=40 (global.get $said))
        (then (call $put_text (i32.add (global.get $said) (i32.const 44))))))
    (func $list (param $key i32) (param $len i32) (param $after i32) (param $after_len i32)
      (local $at i32) (local $left i32)
      (call $keys (local.get $key) (local.get $len)
        (i32.ne (local.get $after_len) (i32.const 0)) (local.get $after) (local.get $after_len) (global.get $said))
      (if (call $erred) (then (return)))
      (local.set $at (i32.load offset=4 (global.get $said)))
      (local.set $left (i32.load offset=8 (global.get $said)))
      (block $done
        (loop $next
          (br_if $done (i32.eqz (local.get $left)))
          (call $put (i32.load (local.get $at)) (i32.load offset=4 (local.get $at)))
          (call $put_byte (i32.const 44))
          (local.set $at (i32.add (local.get $at) (i32.const 8)))
          (local.set $left (i32.sub (local.get $left) (i32.const 1)))
          (br $next))))
    (func $value
      (if (call $erred) (then (return)))
      (if (i32.load8_u offset=4 (global.get $said))
        (then (call $put (i32.load offset=8 (global.get $said)) (i32.load offset=12 (global.get $said))))
        (else (call $put_byte (i32.const 45)))))

    (func (export "handle") (param $event i32) (param $event_len i32) (result i32)
      (local $at i32) (local $end i32) (local $order i32)
      (local $a i32) (local $a_len i32) (local $b i32) (local $b_len i32)
      (global.set $out (i32.const 0)) (global.set $end (i32.const 0)) (global.set $room (i32.const 0))
      (local.set $at (local.get $event))
      (local.set $end (i32.add (local.get $event) (local.get $event_len)))
      (if (i32.and (i32.ne (local.get $event_len) (i32.const 0))
                   (i32.eq (i32.load8_u (local.get $event)) (i32.const 123)))
        (then
          (call $setting (i32.const 3000) (i32.const 6) (global.get $said))
          (local.set $at (i32.load offset=4 (global.get $said)))
          (local.set $end (i32.add (local.get $at) (i32.load offset=8 (global.get $said))))))
      (block $done
        (loop $next
          (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
          (local.set $order (i32.load8_u (local.get $at)))
          (local.set $a_len (i32.load offset=1 (local.get $at)))
          (local.set $a (i32.add (local.get $at) (i32.const 5)))
          (local.set $b_len (i32.load (i32.add (local.get $a) (local.get $a_len))))
          (local.set $b (i32.add (i32.add (local.get $a) (local.get $a_len)) (i32.const 4)))
          (local.set $at (i32.add (local.get $b) (local.get $b_len)))
          (if (i32.eq (local.get $order) (i32.const 101)) ;; e
            (then (call $put (local.get $a) (local.get $a_len)) (br $next)))
          (if (i32.eq (local.get $order) (i32.const 69)) ;; E
            (then (call $put (local.get $event) (local.get $event_len)) (br $next)))
          (if (i32.eq (local.get $order) (i32.const 76)) ;; L
            (then (call $log (i32.const 1) (local.get $event) (local.get $event_len)) (br $next)))
          (if (i32.eq (local.get $order) (i32.const 102)) ;; f
            (then (return (call $result (i32.const 1) (local.get $a) (local.get $a_len)))))
          (if (i32.eq (local.get $order) (i32.const 70)) ;; F
            (then
              (call $get (local.get $a) (local.get $a_len) (global.get $said))
              (if (i32.load8_u (global.get $said))
                (then (return (call $result (i32.const 1)
                  (i32.load offset=4 (global.get $said)) (i32.load offset=8 (global.get $said))))))
              (br $next)))
          (if (i32.eq (local.get $order) (i32.const 116)) ;; t
            (then (unreachable)))
          (if (i32.eq (local.get $order) (i32.const 120)) ;; x
            (then (loop $again
              (call $setting (i32.const 3000) (i32.const 0) (global.get $said)) (br $again))))
          (if (i32.eq (local.get $order) (i32.const 99)) ;; c
            (then (call $context) (br $next)))
          (if (i32.eq (local.get $order) (i32.const 103)) ;; g
            (then
              (call $get (local.get $a) (local.get $a_len) (global.get $said))
              (call $value) (br $next)))
          (if (i32.eq (local.get $order) (i32.const 115)) ;; s
            (then
              (call $set (local.get $a) (local.get $a_len) (local.get $b) (local.get $b_len) (global.get $said))
              (drop (call $erred)) (br $next)))
          (if (i32.eq (local.get $order) (i32.const 100)) ;; d
            (then
              (call $delete (local.get $a) (local.get $a_len) (global.get $said))
              (drop (call $erred)) (br $next)))
          (if (i32.eq (local.get $order) (i32.const 107)) ;; k
            (then (call $list (local.get $a) (local.get $a_len) (local.get $b) (local.get $b_len)) (br $next)))
          (if (i32.eq (local.get $order) (i32.const 104)) ;; h
            (then
              (call $send (i32.const 3008) (i32.const 4) (local.get $a) (local.get $a_len)
                (i32.const 3016) (i32.const 1) (local.get $b) (local.get $b_len)
                (i32.const 0) (i32.const 0) (global.get $said))
              (if (i32.eqz (call $erred))
                (then (call $put (i32.load offset=16 (global.get $said)) (i32.load offset=20 (global.get $said)))))
              (br $next)))
          (unreachable)))
      (call $result (i32.const 0) (global.get $out) (i32.sub (global.get $end) (global.get $out))))
    (data (i32.const 3000) "orders\00\00POST\00\00\00\00")
    ;; One header, `x-name: value`.
    (data (i32.const 3016) "\e0\0b\00\00\06\00\00\00\e8\0b\00\00\05\00\00\00")
    (data (i32.const 3040) "x-name\00\00value"))
  (core instance $main (instantiate $main
    (with "libc" (instance $libc))
    (with "host" (instance
      (export "log" (func $log)) (export "setting" (func $setting)) (export "current" (func $current))
      (export "get" (func $get)) (export "set" (func $set)) (export "delete" (func $delete))
      (export "keys" (func $keys)) (export "send" (func $send))))))
  (alias core export $main "handle" (core func $handle))
  (func (export "handle") (param "event" (list u8)) (result (result (list u8) (error string)))
    (canon lift (core func $handle) (memory $memory) (realloc $realloc) (post-return $reset))))
