;; Answers with an error when its fresh memory holds anything that it did not put there.
(func $transform (type $transform)
  (param $payload i32) (param $bytes i32) (param $ends i32) (param $records i32) (param $arrivals i32) (param i32) (param $keys i32) (param i32) (param $key_ends i32) (param i32) (param $first i64) (result i32)
  (local $at i32)
  (local.set $at (i32.const 1040))
  (loop $next
    (if (i64.ne (i64.load (local.get $at)) (i64.const 0))
      (then (return (call $error (i32.const 1024) (i32.const 13)))))
    (local.set $at (i32.add (local.get $at) (i32.const 8)))
    (br_if $next (i32.lt_u (local.get $at) (i32.const 65536))))
  (call $identity (local.get $payload) (local.get $bytes) (local.get $ends) (local.get $records)))
(data (i32.const 1024) "found a mark!")
