//! Batches, outputs and texts of errors as the parts beside a message: columns, as numbers in little-endian.

use millrace_types::{Batch, Seq};
use serde::{Deserialize, Serialize};

use super::frame::PARTS_MAX;
use crate::abi::{RawFailure, RawOutput};
use crate::error::cut;
use crate::{ANSWER_BYTES_MAX, CallError, Output};

/// What of an answer is no part.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Answered {
    partition_names: Vec<String>,
}

fn words(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

fn numbers(bytes: &[u8]) -> Vec<u32> {
    bytes.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word)).collect()
}

/// The columns of a batch, for `write`.
pub(super) struct BatchColumns {
    ends: Vec<u8>,
    arrivals: Vec<u8>,
    key_ends: Vec<u8>,
}

impl BatchColumns {
    pub(super) fn new(batch: &Batch) -> Self {
        let arrivals = batch.arrivals_ms().iter().flat_map(|ms| ms.to_le_bytes()).collect();
        Self { ends: words(batch.ends()), arrivals, key_ends: words(batch.key_ends()) }
    }

    pub(super) fn parts<'a>(&'a self, batch: &'a Batch) -> [&'a [u8]; 5] {
        [batch.payload(), &self.ends, &self.arrivals, batch.keys(), &self.key_ends]
    }
}

/// The batch of a [`Call::Batch`].
pub(super) fn batch(first: u64, parts: Vec<Vec<u8>>) -> Result<Batch, String> {
    let [payload, ends, arrivals, keys, key_ends] =
        <[Vec<u8>; 5]>::try_from(parts).map_err(|_| "a batch has five columns".to_owned())?;
    let arrivals = arrivals.as_chunks().0.iter().map(|ms| i64::from_le_bytes(*ms)).collect();
    let (ends, key_ends) = (numbers(&ends), numbers(&key_ends));
    Batch::from_columns(Seq::new(first), payload.into(), ends, arrivals, keys.into(), key_ends).map_err(str::to_owned)
}

/// An output on its way: what is in the message, and the parts beside it.
pub(super) fn output_parts(output: Output) -> (Answered, Vec<Vec<u8>>) {
    let Output { payload, ends, sources, failures, partition_names, partition_values, partition_ends } = output;
    let (mut indexes, mut reasons, mut reason_ends) = (Vec::new(), Vec::new(), Vec::new());
    for failure in failures {
        indexes.extend_from_slice(&failure.index.to_le_bytes());
        reasons.extend_from_slice(failure.reason.as_bytes());
        reason_ends.extend_from_slice(&(reasons.len() as u64).to_le_bytes());
    }
    let failures = [indexes, reasons, reason_ends];
    let parts = [payload, words(&ends), words(&sources), partition_values, words(&partition_ends)];
    (Answered { partition_names }, parts.into_iter().chain(failures).collect())
}

/// The output that a worker answered, as unchecked as a guest's.
pub(super) fn raw_output(answered: Answered, parts: Vec<Vec<u8>>) -> Result<RawOutput, String> {
    let [payload, ends, sources, partition_values, partition_ends, indexes, reasons, reason_ends] =
        <[Vec<u8>; PARTS_MAX]>::try_from(parts).map_err(|_| format!("an output has {PARTS_MAX} columns"))?;
    let (indexes, reason_ends) = (numbers(&indexes), reason_ends.as_chunks().0);
    if indexes.len() != reason_ends.len() {
        return Err(format!("{} failures have {} reasons", indexes.len(), reason_ends.len()));
    }
    let mut from = 0;
    let failures = indexes.into_iter().zip(reason_ends).map(|(index, end)| {
        let end = usize::try_from(u64::from_le_bytes(*end)).unwrap_or(usize::MAX);
        let reason = reasons.get(from..end).and_then(|reason| std::str::from_utf8(reason).ok());
        from = end;
        reason.map(|reason| RawFailure { index, reason: reason.to_owned() })
    });
    Ok(RawOutput {
        payload,
        ends: numbers(&ends),
        sources: numbers(&sources),
        failures: failures.collect::<Option<_>>().ok_or("a reason is no text")?,
        partition_names: answered.partition_names,
        partition_values,
        partition_ends: numbers(&partition_ends),
    })
}

/// An error without its text, and the text as a part.
pub(super) fn error_and_text(mut error: CallError) -> (CallError, Vec<u8>) {
    let text = text_of(&mut error).map(std::mem::take).unwrap_or_default();
    (error, text.into_bytes())
}

/// An error with its text, bounded as those of this process are.
pub(super) fn error_with_text(mut error: CallError, parts: Vec<Vec<u8>>) -> Result<CallError, String> {
    let part = parts.into_iter().next().unwrap_or_default();
    let mut text = String::from_utf8(part).map_err(|_| "an error's text is no text".to_owned())?;
    let kept = cut(&text, ANSWER_BYTES_MAX).len();
    text.truncate(kept);
    if let Some(place) = text_of(&mut error) {
        *place = text;
    }
    Ok(error)
}

fn text_of(error: &mut CallError) -> Option<&mut String> {
    match error {
        CallError::Trap { trace } | CallError::Deadline { trace } | CallError::Memory { trace, .. } => Some(trace),
        CallError::Returned(text)
        | CallError::Invalid(text)
        | CallError::NotJson(text)
        | CallError::Event(text)
        | CallError::State(text)
        | CallError::Host(text) => Some(text),
        CallError::OutputTooLarge { .. } | CallError::HostCalls { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Failure;

    fn failure(index: u32, reason: &str) -> Failure {
        Failure { index, reason: reason.to_owned() }
    }

    #[test]
    fn a_batch_and_an_output_come_back() {
        let sent = crate::testing::batch(&["one", "", "three"]);
        let columns = BatchColumns::new(&sent);
        let parts = columns.parts(&sent).iter().map(|part| part.to_vec()).collect();
        assert_eq!(batch(sent.first().get(), parts).expect("batch"), sent);
        let output = Output {
            payload: b"ab".to_vec(),
            ends: vec![1, 2],
            sources: vec![0, 3],
            failures: ["no", ""].iter().zip(1..).map(|(reason, index)| failure(index, reason)).collect(),
            partition_names: vec!["k".to_owned()],
            partition_values: b"xy".to_vec(),
            partition_ends: vec![1, 2],
        };
        let (answered, parts) = output_parts(output.clone());
        let raw = raw_output(answered, parts).expect("raw");
        assert_eq!(Output::check(raw, 4).expect("checked"), output);
        let error = CallError::Trap { trace: "where".to_owned() };
        let (bare, text) = error_and_text(error.clone());
        assert_eq!(error_with_text(bare, vec![text]).expect("text"), error);
    }

    #[test]
    fn reasons_that_are_none_are_refused() {
        let part = |bytes: &[u8]| bytes.to_vec();
        let raw = |reasons: &[u8], ends: &[u64]| {
            let ends = ends.iter().flat_map(|end| end.to_le_bytes()).collect();
            let columns = vec![part(&[]); 5];
            let failures = [part(&[0, 0, 0, 0, 1, 0, 0, 0]), part(reasons), ends];
            raw_output(Answered::default(), columns.into_iter().chain(failures).collect())
        };
        assert!(raw(b"abc", &[1, 3]).is_ok(), "two reasons");
        for (reasons, ends) in [
            (&b"abc"[..], &[1][..]),
            (b"abc", &[2, 1]),
            (b"abc", &[1, 4]),
            (b"abc", &[1, u64::MAX]),
            (b"\xff", &[0, 1]),
        ] {
            assert!(raw(reasons, ends).is_err(), "{reasons:?} {ends:?}");
        }
        assert!(raw_output(Answered::default(), vec![part(&[]); 7]).is_err(), "a column is missing");
    }
}
