;; Gives one record: the setting `name`, then 8 random bytes, then the time.
(func $transform (type $transform)
  (param $payload i32) (param $bytes i32) (param $ends i32) (param $records i32) (param $arrivals i32) (param i32) (param $keys i32) (param i32) (param $key_ends i32) (param i32) (param $first i64) (result i32)
  (local $at i32)
  (call $get (i32.const 1024) (i32.const 4) (i32.const 1032))
  (local.set $at (call $alloc (i32.const 64)))
  ;; option<string>: 1, address, length
  (memory.copy (local.get $at) (i32.load (i32.const 1036)) (i32.load (i32.const 1040)))
  (call $bytes (i32.const 8) (i32.const 1048))
  (memory.copy (i32.add (local.get $at) (i32.load (i32.const 1040))) (i32.load (i32.const 1048)) (i32.const 8))
  (i64.store (i32.add (local.get $at) (i32.add (i32.load (i32.const 1040)) (i32.const 8))) (call $now))
  (i32.store (local.get $ends) (i32.add (i32.load (i32.const 1040)) (i32.const 16)))
  (call $identity (local.get $at) (i32.add (i32.load (i32.const 1040)) (i32.const 16)) (local.get $ends) (i32.const 1)))
(data (i32.const 1024) "name")
