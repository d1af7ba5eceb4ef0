//! Fuzz targets of the function host: what a guest answers, packed and as Firehose's JSON, Firehose's
//! events, what the compiling child answers, and files of compiled code. A module itself is read in the compiling child alone.

use std::sync::OnceLock;

use millrace_types::mutate::Target;
use millrace_types::{Batch, BatchBuilder};
use wasmtime::Engine;

use crate::abi::{RawFailure, RawOutput};
use crate::artifact::{ArtifactKey, open, seal};
use crate::call::BatchSource;
use crate::output::Output;
use crate::{compiler, engine, event_to_batch, firehose, outcome_to_event};

/// Records of the batch that the answers are held against.
const INPUTS: usize = 16;

/// Takes numbers and texts off the head of bytes.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// A small number, or after 255 any.
    fn number(&mut self) -> u32 {
        match self.byte() {
            255 => u32::from_le_bytes([self.byte(), self.byte(), self.byte(), self.byte()]),
            small => u32::from(small),
        }
    }

    fn numbers(&mut self) -> Vec<u32> {
        (0..self.byte()).map(|_| self.number()).collect()
    }

    fn bytes(&mut self) -> Vec<u8> {
        let length = usize::from(self.byte()).min(self.0.len());
        let (bytes, rest) = self.0.split_at(length);
        self.0 = rest;
        bytes.to_vec()
    }

    fn text(&mut self) -> String {
        String::from_utf8_lossy(&self.bytes()).into_owned()
    }

    fn output(&mut self) -> RawOutput {
        RawOutput {
            payload: self.bytes(),
            ends: self.numbers(),
            sources: self.numbers(),
            failures: (0..self.byte() % 8).map(|_| RawFailure { index: self.number(), reason: self.text() }).collect(),
            partition_names: (0..self.byte() % 8).map(|_| self.text()).collect(),
            partition_values: self.bytes(),
            partition_ends: self.numbers(),
        }
    }
}

/// Answers of a guest: what is taken fits in every column, and so does what parts are put together to.
pub fn output(data: &[u8]) {
    let mut bytes = Bytes(data);
    let mut whole = Output::default();
    for offset in [0, INPUTS as u32, 2 * INPUTS as u32] {
        let Ok(part) = Output::check(bytes.output(), INPUTS) else { continue };
        check(&part, INPUTS);
        let before = (whole.len(), whole.failures.len());
        if whole.fits(&part) {
            let after = (before.0 + part.len(), before.1 + part.failures.len());
            whole.append(part, offset);
            assert_eq!((whole.len(), whole.failures.len()), after);
            check(&whole, offset as usize + INPUTS);
        }
    }
}

fn check(output: &Output, inputs: usize) {
    let names = output.partition_names.len();
    assert_eq!(output.columns().iter().map(<[u8]>::len).sum::<usize>(), output.payload.len());
    assert!(output.sources.len() == output.len() && output.sources.is_sorted());
    assert!(output.sources.iter().all(|source| (*source as usize) < inputs));
    assert!(output.failures.is_sorted_by(|a, b| a.index < b.index));
    assert!(output.failures.iter().all(|failure| output.sources.binary_search(&failure.index).is_err()));
    assert_eq!(output.partition_ends.len(), names * output.len());
    let values = (0..output.len()).flat_map(|index| (0..names).map(move |name| (index, name)));
    assert_eq!(
        values.map(|(index, name)| output.partition(index, name).len()).sum::<usize>(),
        output.partition_values.len()
    );
}

fn some_batch() -> Batch {
    let mut builder = BatchBuilder::default();
    for _ in 0..INPUTS {
        builder.push(b"record", 0).expect("room");
    }
    builder.finish()
}

/// Firehose's JSON from a handler: every record that is named ends in one place.
pub fn firehose_answer(data: &[u8]) {
    let Ok(answer) = firehose::read(data, &some_batch(), 0..INPUTS, &BatchSource::default()) else { return };
    check(&answer.output, INPUTS);
    assert!(answer.failures.is_sorted_by(|a, b| a.0 < b.0));
    assert!(answer.failures.iter().all(|failed| answer.output.sources.binary_search(&failed.0).is_err()));
    assert!(answer.output.sources.is_sorted_by(|a, b| a < b), "one record of each");
    assert!(answer.output.failures.is_empty() && answer.output.len() + answer.failures.len() <= INPUTS);
}

/// Firehose's JSON for a transform: what is read is answered, record by record.
pub fn firehose_event(data: &[u8]) {
    let Ok(records) = event_to_batch(data) else { return };
    assert_eq!(records.batch.len(), records.ids.len());
    let output = Output {
        payload: records.batch.payload().to_vec(),
        ends: records.batch.ends().to_vec(),
        sources: (0..).take(records.ids.len()).collect(),
        ..Output::default()
    };
    // The answer has the members of an event's records.
    let again = event_to_batch(&outcome_to_event(&records, &output)).expect("an answer");
    assert_eq!((again.batch.payload(), again.batch.ends()), (records.batch.payload(), records.batch.ends()));
    assert_eq!(again.ids, records.ids);
}

/// Answers of the compiling child: what is read comes back.
pub fn compiled(data: &[u8]) {
    if let Ok(parts) = compiler::decode(data) {
        assert!(parts.iter().map(Vec::len).sum::<usize>() <= data.len());
        assert_eq!(compiler::encode(&Ok(parts)), data);
    }
}

fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| engine::compiling().expect("an engine"))
}

fn key() -> ArtifactKey {
    ArtifactKey::new(&[7; 32])
}

/// Files of compiled code: only our own bytes are believed.
pub fn artifact(data: &[u8]) {
    if let Ok(code) = open(data, &key(), engine()) {
        assert_eq!(seal(code.code(), &key()).expect("seals"), data);
    }
}

fn some_outputs() -> Vec<Vec<u8>> {
    // Payload, ends, sources, failures, names, values, their ends; then the next part.
    let mut one = b"\x05ab\xc3\xbcx\x03\x01\x02\x05\x03\x00\x00\x03\x01\x04\x02no\x02\x01k\x01l\x03vwx\x06\x01\x01\x02\x02\x03\x03".to_vec();
    let next = b"\x01z\x01\x01\x01\x02\x00\x01\x01m\x01u\x01\x01";
    let plain = b"\x03xyz\x01\x03\x01\x0f\x00\x00\x00\x00".to_vec();
    one.extend_from_slice(next);
    vec![one, plain, next.to_vec()]
}

fn some_events() -> Vec<Vec<u8>> {
    let kinesis = br#"{"records":[{"recordId":"a","data":"YQ==","approximateArrivalTimestamp":5,"kinesisRecordMetadata":{"partitionKey":"k\n"}}]}"#;
    vec![firehose::request(&some_batch(), 0, &BatchSource::default(), "id").json, kinesis.to_vec()]
}

fn some_handlers_answers() -> Vec<Vec<u8>> {
    let records = event_to_batch(&some_events()[0]).expect("an event");
    let mut raw = Bytes(&some_outputs()[0]).output();
    raw.failures.clear();
    let output = Output::check(raw, INPUTS).expect("an output");
    let odd = br#"{"records":[{"recordId":"4900000000000000000000000000000000000000000000000000000003000000","result":"Ok","data":"Pz8\/","metadata":{"partitionKeys":{"k":1,"l":null}}}]}"#;
    vec![outcome_to_event(&records, &output), odd.to_vec()]
}

fn some_answers() -> Vec<Vec<u8>> {
    vec![
        compiler::encode(&Ok(vec![b"component".to_vec(), b"code".to_vec(), b"env.a".to_vec()])),
        compiler::encode(&Err(crate::Error::Imports(vec!["env.a".into(), "env.b".into()]))),
        compiler::encode(&Err(crate::Error::Compile("no".into()))),
    ]
}

fn some_files() -> Vec<Vec<u8>> {
    vec![seal(b"code", &key()).expect("seals"), seal(&[0; 300], &ArtifactKey::new(&[8; 32])).expect("seals")]
}

/// All targets of this crate.
#[must_use]
pub fn targets() -> Vec<Target> {
    let words = &[
        "\"data\":\"YQ==\"",
        "\"result\":\"Dropped\"",
        "{\"k\":\"\"}",
        "null",
        "\u{0}",
        "\u{1}",
        "\u{2}",
        "\u{10}",
        "ü",
        "MILLFN\u{0}\u{1}",
        "k",
        "\u{0}\u{0}\u{0}\u{0}",
    ];
    let target = |name, run, seeds, rounds| Target { name, run, seeds, words, rounds };
    vec![
        target("output", output, some_outputs, 30_000),
        target("firehose_answer", firehose_answer, some_handlers_answers, 10_000),
        target("firehose_event", firehose_event, some_events, 10_000),
        target("compiled", compiled, some_answers, 10_000),
        target("artifact", artifact, some_files, 2_000),
    ]
}

#[test]
fn the_seeds_are_whole() {
    for seed in some_outputs() {
        assert!(Output::check(Bytes(&seed).output(), INPUTS).is_ok(), "{}", seed.escape_ascii());
    }
    for seed in some_events() {
        assert!(event_to_batch(&seed).is_ok(), "{}", seed.escape_ascii());
    }
    for seed in some_handlers_answers() {
        let answer = firehose::read(&seed, &some_batch(), 0..INPUTS, &BatchSource::default());
        assert!(answer.is_ok(), "{}", seed.escape_ascii());
    }
}

#[test]
fn targets_hold() {
    millrace_types::mutate::drive(&targets());
}
