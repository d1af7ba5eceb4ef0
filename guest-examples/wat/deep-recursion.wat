;; Calls itself without end.
(func $transform (type $transform)
  (param $payload i32) (param $bytes i32) (param $ends i32) (param $records i32) (param $arrivals i32) (param i32) (param $keys i32) (param i32) (param $key_ends i32) (param i32) (param $first i64) (result i32)
  (call $down (i32.const 0)))
(func $down (param $n i32) (result i32)
  (i32.add (call $down (i32.add (local.get $n) (i32.const 1))) (i32.const 1)))
