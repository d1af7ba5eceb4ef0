;; Grows its memory until it is refused, then traps.
(func $transform (type $transform)
  (param $payload i32) (param $bytes i32) (param $ends i32) (param $records i32) (param $arrivals i32) (param i32) (param $keys i32) (param i32) (param $key_ends i32) (param i32) (param $first i64) (result i32)
  (loop $again
    (if (i32.eq (memory.grow (i32.const 16)) (i32.const -1)) (then unreachable))
    (br $again))
  unreachable)
