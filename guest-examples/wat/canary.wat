;; Leaves a mark in its memory; answers with an error when it finds one there.
(func $transform (type $transform)
  (param $payload i32) (param $bytes i32) (param $ends i32) (param $records i32) (param $arrivals i32) (param i32) (param $keys i32) (param i32) (param $key_ends i32) (param i32) (param $first i64) (result i32)
  (if (i32.eq (i32.load (i32.const 2048)) (i32.const 0x5eed5eed))
    (then (return (call $error (i32.const 1024) (i32.const 13)))))
  (i32.store (i32.const 2048) (i32.const 0x5eed5eed))
  (memory.fill (i32.const 4096) (i32.const 0x5e) (i32.const 32768))
  (call $identity (local.get $payload) (local.get $bytes) (local.get $ends) (local.get $records)))
(data (i32.const 1024) "found a mark!")
