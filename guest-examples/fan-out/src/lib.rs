//! One record per line of a record; a record of no lines is dropped.

use millrace_sdk::{Outcome, Record};

#[millrace_sdk::transform]
fn fan_out(record: Record) -> Outcome {
    Outcome::many(record.bytes().split(|byte| *byte == b'\n').filter(|line| !line.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use millrace_sdk::{Batch, Output, guest::each};

    #[test]
    fn lines_become_records() {
        let batch = Batch::of([b"a\nb\n".as_slice(), b"", b"c"]);
        let mut out = Output::for_batch(&batch);
        each(&batch, &mut out, fan_out).unwrap();
        let records: Vec<_> = (0..out.len()).map(|at| out.get(at).unwrap()).collect();
        assert_eq!(records, [(b"a".as_slice(), 0), (b"b", 0), (b"c", 2)]);
    }
}
