//! Modules whose answer is not an output, or is too much of one. The answer's words lie at: 4, 8 payload; 12, 16
//! ends; 20, 24 sources; 28, 32 failures; 36, 40 partition names; 44, 48 their values; 52, 56 the values' ends.

use super::{Case, ERROR, FAILED, INVALID, Must};
use crate::guests::{answer, example, guest};

/// What the engine says of an answer that is larger than it may be.
const TOO_MUCH: &str = "returned more than 1048576 bytes";

pub(super) const CASES: &[Case] = &[
    Case {
        name: "source-out-of-range",
        does: "says that a record was made of one that the batch has not",
        must: Must::Fail(INVALID, "a source is 1, the batch has 1 records"),
        module: || answer("(i32.store (i32.load offset=20 (local.get $a)) (i32.const 1))"),
    },
    Case {
        name: "source-at-the-end",
        does: "says that a record was made of record 4,294,967,295",
        must: Must::Fail(INVALID, "a source is 4294967295"),
        module: || answer("(i32.store (i32.load offset=20 (local.get $a)) (i32.const -1))"),
    },
    Case {
        name: "sources-decrease",
        does: "gives records out of order",
        must: Must::Fail(INVALID, "sources are not in order"),
        module: || {
            answer(&two_records(
                "(i32.store (local.get $b) (i32.const 1)) (i32.store offset=4 (local.get $b) (i32.const 0))",
            ))
        },
    },
    Case {
        name: "sources-missing",
        does: "gives a record without saying of what it was made",
        must: Must::Fail(INVALID, "0 sources for 1 records"),
        module: || answer("(i32.store offset=24 (local.get $a) (i32.const 0))"),
    },
    Case {
        name: "ends-decrease",
        does: "gives ends that decrease",
        must: Must::Fail(INVALID, "ends decrease"),
        module: || {
            answer(&two_records(
                "(i64.store (local.get $b) (i64.const 0)) (i32.store (local.get $ends) (local.get $bytes)) \
             (i32.store offset=4 (local.get $ends) (i32.const 1))",
            ))
        },
    },
    Case {
        name: "ends-past-the-payload",
        does: "gives an end behind the payload",
        must: Must::Fail(INVALID, "ends reach to 4294967295"),
        module: || answer("(i32.store (local.get $ends) (i32.const -1))"),
    },
    Case {
        name: "ends-short-of-the-payload",
        does: "gives a payload that no record covers",
        must: Must::Fail(INVALID, "ends reach to 1"),
        module: || answer("(i32.store (local.get $ends) (i32.const 1))"),
    },
    Case {
        name: "failure-and-source",
        does: "says of one record that it failed and that it goes on",
        must: Must::Fail(INVALID, "record 0 is a source and a failure"),
        module: || answer(&failures(1, 0)),
    },
    Case {
        name: "failure-twice",
        does: "fails one record twice",
        must: Must::Fail(INVALID, "more failures than records"),
        module: || answer(&(failures(2, 0) + NOTHING)),
    },
    Case {
        name: "failure-out-of-range",
        does: "fails a record that the batch has not",
        must: Must::Fail(INVALID, "failure of record 70000, the batch has 1"),
        module: || answer(&(failures(1, 70_000) + NOTHING)),
    },
    Case {
        name: "failures-without-number",
        does: "fails one record 60,000 times",
        must: Must::Fail(ERROR, TOO_MUCH),
        module: || answer(&(failures(60_000, 0) + NOTHING)),
    },
    Case {
        name: "reason-not-utf8",
        does: "fails a record for a reason that is not UTF-8",
        must: Must::Fail(INVALID, "utf-8"),
        module: || {
            answer(&(failures(1, 0) + &reason(1) + "(i32.store8 (local.get $payload) (i32.const 255))" + NOTHING))
        },
    },
    Case {
        name: "reason-huge",
        does: "fails a record for a reason of 512 KiB",
        must: Must::Fail(FAILED, "xxxxxxxx"),
        module: || {
            let text = "(local.set $i (call $alloc (i32.const 524288))) (i32.store offset=4 (local.get $b) (local.get $i)) \
                 (memory.fill (local.get $i) (i32.const 120) (i32.const 524288))";
            answer(&(failures(1, 0) + &reason(524_288) + text + NOTHING))
        },
    },
    Case {
        name: "error-not-utf8",
        does: "fails the batch for a reason that is not UTF-8",
        must: Must::Fail(INVALID, "utf-8"),
        module: || example("not-utf8"),
    },
    Case {
        name: "error-huge",
        does: "fails the batch for a reason of 512 KiB",
        must: Must::Fail(ERROR, "xxxxxxxx"),
        module: || {
            guest(
                "(local $at i32) (local.set $at (call $alloc (i32.const 524288))) \
             (memory.fill (local.get $at) (i32.const 120) (i32.const 524288)) (call $error (local.get $at) (i32.const 524288))",
                "",
            )
        },
    },
    Case {
        name: "answer-of-no-kind",
        does: "answers neither an output nor an error",
        must: Must::Fail(INVALID, "discriminant"),
        module: || answer("(i32.store (local.get $a) (i32.const 7))"),
    },
    Case {
        name: "answer-nowhere",
        does: "answers with an address outside its memory",
        must: Must::Fail(INVALID, "out of bounds"),
        module: || guest("(i32.const -60)", ""),
    },
    Case {
        name: "answer-misaligned",
        does: "answers with an odd address",
        must: Must::Fail(INVALID, "not aligned"),
        module: || answer("(local.set $a (i32.add (local.get $a) (i32.const 1)))"),
    },
    Case {
        name: "list-out-of-bounds",
        does: "gives a payload that begins inside and ends outside its memory",
        must: Must::Fail(INVALID, "out of bounds"),
        module: || answer("(i32.store offset=8 (local.get $a) (i32.const 1000000))"),
    },
    Case {
        name: "list-of-4-gib",
        does: "gives a payload of 4,294,967,295 bytes",
        must: Must::Fail(INVALID, "out of bounds"),
        module: || answer("(i32.store offset=8 (local.get $a) (i32.const -1))"),
    },
    Case {
        name: "list-that-overflows",
        does: "gives 2^30 + 1 ends: their bytes do not fit 32 bits",
        must: Must::Fail(INVALID, "out of bounds"),
        module: || answer("(i32.store offset=16 (local.get $a) (i32.const 1073741825))"),
    },
    Case {
        name: "list-misaligned",
        does: "gives ends at an odd address",
        must: Must::Fail(INVALID, "not aligned"),
        module: || example("misaligned"),
    },
    Case {
        name: "output-of-12-mib",
        does: "makes 12 MiB of a few bytes",
        must: Must::Fail(ERROR, TOO_MUCH),
        module: || {
            guest(
                "(local $at i32) (local.set $at (call $alloc (i32.const 12582912))) (i32.store (local.get $ends) (i32.const 12582912)) \
             (call $identity (local.get $at) (i32.const 12582912) (local.get $ends) (i32.const 1))",
                "",
            )
        },
    },
    Case {
        name: "output-of-1-gib",
        does: "claims that a few bytes became 1 GiB",
        must: Must::Fail(INVALID, "out of bounds"),
        module: || answer("(i32.store offset=8 (local.get $a) (i32.const 1073741824))"),
    },
    Case {
        name: "records-without-number",
        does: "makes 250,000 empty records of one",
        must: Must::Fail(ERROR, TOO_MUCH),
        module: || {
            answer(
                "(local.set $b (call $alloc (i32.const 1000000))) (memory.fill (local.get $b) (i32.const 0) (i32.const 1000000)) \
             (i32.store offset=8 (local.get $a) (i32.const 0)) (i32.store offset=12 (local.get $a) (local.get $b)) \
             (i32.store offset=16 (local.get $a) (i32.const 250000)) (i32.store offset=20 (local.get $a) (local.get $b)) \
             (i32.store offset=24 (local.get $a) (i32.const 250000))",
            )
        },
    },
    Case {
        name: "one-text-many-times",
        does: "gives the same 512 KiB as each of 50 partition names",
        must: Must::Fail(ERROR, TOO_MUCH),
        module: || answer(&("(drop (call $alloc (i32.const 524288)))".to_owned() + &names(50, 524_288, 0))),
    },
    Case {
        name: "names-51",
        does: "gives 51 partition names",
        must: Must::Fail(INVALID, "51 partition names, at most 50 are taken"),
        module: || answer(&names(51, 1, 1)),
    },
    Case {
        name: "name-empty",
        does: "gives a partition name without letters",
        must: Must::Fail(INVALID, "a partition name of 0 bytes"),
        module: || answer(&names(1, 0, 0)),
    },
    Case {
        name: "name-long",
        does: "gives a partition name of 257 bytes",
        must: Must::Fail(INVALID, "a partition name of 257 bytes"),
        module: || answer(&names(1, 257, 0)),
    },
    Case {
        name: "name-twice",
        does: "gives a partition name twice",
        must: Must::Fail(INVALID, "twice"),
        module: || answer(&names(2, 3, 0)),
    },
    Case {
        name: "name-not-utf8",
        does: "gives a partition name that is not UTF-8",
        must: Must::Fail(INVALID, "utf-8"),
        module: || {
            answer(&(names(1, 3, 0) + "(i32.store8 (i32.load (i32.load offset=36 (local.get $a))) (i32.const 255))"))
        },
    },
    Case {
        name: "value-not-utf8",
        does: "gives a partition value that is not UTF-8",
        must: Must::Fail(INVALID, "partition values are not UTF-8"),
        module: || answer(&(names(1, 3, 0) + &values("(i32.store8 (local.get $b) (i32.const 255))", 1))),
    },
    Case {
        name: "value-ends-missing",
        does: "gives a partition name and no values",
        must: Must::Fail(INVALID, "0 partition ends, expected 1"),
        module: || answer(&names(1, 3, 0)),
    },
    Case {
        name: "value-ends-past",
        does: "gives a partition value that ends behind the values",
        must: Must::Fail(INVALID, "partition ends reach to 900"),
        module: || answer(&(names(1, 3, 0) + &values("", 900))),
    },
];

/// Takes all records out of the answer.
const NOTHING: &str = "(i32.store offset=8 (local.get $a) (i32.const 0)) (i32.store offset=16 (local.get $a) (i32.const 0)) \
     (i32.store offset=24 (local.get $a) (i32.const 0))";

/// Makes two records of the batch, whose sources `code` writes to `$b`.
fn two_records(code: &str) -> String {
    format!(
        "(local.set $b (call $alloc (i32.const 8))) (local.set $ends (call $alloc (i32.const 8))) \
         (i32.store (local.get $ends) (i32.const 0)) (i32.store offset=4 (local.get $ends) (local.get $bytes)) {code} \
         (i32.store offset=12 (local.get $a) (local.get $ends)) (i32.store offset=16 (local.get $a) (i32.const 2)) \
         (i32.store offset=20 (local.get $a) (local.get $b)) (i32.store offset=24 (local.get $a) (i32.const 2))"
    )
}

/// `count` failures of record `index`, without a reason; the list lies at `$b`.
fn failures(count: u32, index: u32) -> String {
    format!(
        "(local.set $b (call $alloc (i32.const {}))) (local.set $i (i32.const 0)) \
         (loop $more (i32.store (i32.add (local.get $b) (i32.mul (local.get $i) (i32.const 12))) (i32.const {index})) \
           (i32.store offset=4 (i32.add (local.get $b) (i32.mul (local.get $i) (i32.const 12))) (local.get $payload)) \
           (i32.store offset=8 (i32.add (local.get $b) (i32.mul (local.get $i) (i32.const 12))) (i32.const 0)) \
           (local.set $i (i32.add (local.get $i) (i32.const 1))) (br_if $more (i32.lt_u (local.get $i) (i32.const {count})))) \
         (i32.store offset=28 (local.get $a) (local.get $b)) (i32.store offset=32 (local.get $a) (i32.const {count}))",
        count * 12
    )
}

/// Gives the first failure a reason of that many bytes, at the payload.
fn reason(bytes: u32) -> String {
    format!("(i32.store offset=8 (local.get $b) (i32.const {bytes}))")
}

/// `count` partition names of `bytes` bytes each, `step` bytes apart in a text of letters that differ.
fn names(count: u32, bytes: u32, step: u32) -> String {
    format!(
        "(local.set $b (call $alloc (i32.const {}))) (local.set $payload (call $alloc (i32.const {}))) (local.set $i (i32.const 0)) \
         (memory.fill (local.get $payload) (i32.const 110) (i32.const {bytes})) \
         (loop $more (if (i32.const {step}) (then (i32.store8 (i32.add (local.get $payload) (local.get $i)) \
             (i32.add (i32.const 48) (local.get $i))))) \
           (i32.store (i32.add (local.get $b) (i32.shl (local.get $i) (i32.const 3))) \
             (i32.add (local.get $payload) (i32.mul (local.get $i) (i32.const {step})))) \
           (i32.store offset=4 (i32.add (local.get $b) (i32.shl (local.get $i) (i32.const 3))) (i32.const {bytes})) \
           (local.set $i (i32.add (local.get $i) (i32.const 1))) (br_if $more (i32.lt_u (local.get $i) (i32.const {count})))) \
         (i32.store offset=36 (local.get $a) (local.get $b)) (i32.store offset=40 (local.get $a) (i32.const {count}))",
        count * 8,
        bytes + count
    )
}

/// One value of one byte, which `code` may change at `$b`, that ends at `end`.
fn values(code: &str, end: u32) -> String {
    format!(
        "(local.set $b (call $alloc (i32.const 8))) (i32.store (local.get $b) (i32.const 118)) {code} \
         (i32.store offset=4 (local.get $b) (i32.const {end})) \
         (i32.store offset=44 (local.get $a) (local.get $b)) (i32.store offset=48 (local.get $a) (i32.const 1)) \
         (i32.store offset=52 (local.get $a) (i32.add (local.get $b) (i32.const 4))) (i32.store offset=56 (local.get $a) (i32.const 1))"
    )
}
