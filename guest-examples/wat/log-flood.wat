;; Logs the batch a hundred thousand times.
(func $transform (type $transform)
  (param $payload i32) (param $bytes i32) (param $ends i32) (param $records i32) (param $arrivals i32) (param i32) (param $keys i32) (param i32) (param $key_ends i32) (param i32) (param $first i64) (result i32)
  (local $i i32)
  (loop $next
    (call $log (i32.const 1) (local.get $payload) (local.get $bytes))
    (local.set $i (i32.add (local.get $i) (i32.const 1)))
    (br_if $next (i32.lt_u (local.get $i) (i32.const 100000))))
  (call $identity (local.get $payload) (local.get $bytes) (local.get $ends) (local.get $records)))
