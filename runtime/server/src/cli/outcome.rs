//! What a function made of some records: as JSON for the admin route, as a table for people.

use base64_simd::STANDARD;
use millrace_transform::Ran;
use millrace_types::Batch;
use serde_json::{Value, json};

use super::show::{Rows, count, printable};

/// Records that are shown one by one; the sums count all.
pub(super) const SHOWN_RECORDS_MAX: usize = 50;
/// Bytes of outputs that an answer holds in full, for tests to compare; rows behind them have none.
pub(super) const FULL_BYTES_MAX: usize = 8 << 20;
/// Bytes that are shown of a record.
const SHOWN_BYTES_MAX: usize = 120;

/// The JSON of a run.
pub(crate) fn describe(batch: &Batch, ran: &Ran) -> Value {
    let output = &ran.output;
    let mut rows = Vec::new();
    let mut dropped = 0;
    let mut at = 0;
    let mut full_left = FULL_BYTES_MAX;
    let mut failures = ran.failures.iter().peekable();
    for (nth, record) in batch.columns().iter().enumerate() {
        let first = at;
        while output.sources.get(at).is_some_and(|source| *source as usize == nth) {
            at += 1;
        }
        let failed = failures.next_if(|f| f.index as usize == nth);
        let outcome = match (failed, at - first) {
            (Some(_), _) => "failed",
            (None, 0) => "dropped",
            (None, 1) if output.columns().record(first) == record => "kept",
            (None, 1) => "changed",
            (None, _) => "many",
        };
        dropped += usize::from(outcome == "dropped");
        if rows.len() < SHOWN_RECORDS_MAX {
            let mut shown = row(nth, record, outcome, first..at, ran, failed);
            shown["full"] = full(first..at, ran, &mut full_left);
            rows.push(shown);
        }
    }
    json!({
        "records": batch.len(),
        "outputs": output.len(),
        "dropped": dropped,
        "failed": ran.failures.len(),
        "calls": ran.stats.calls,
        "failedCalls": ran.stats.failed_calls,
        "durationMicros": u64::try_from(ran.stats.duration.as_micros()).unwrap_or(u64::MAX),
        "memoryHighWaterBytes": ran.stats.memory_high_water_bytes,
        "rows": rows,
    })
}

fn row(
    nth: usize,
    record: &[u8],
    outcome: &str,
    outputs: std::ops::Range<usize>,
    ran: &Ran,
    failed: Option<&millrace_transform::Failed>,
) -> Value {
    let output = &ran.output;
    let texts: Vec<_> = outputs.clone().map(|o| shorten(output.columns().record(o))).collect();
    let keys: Vec<_> = outputs
        .map(|o| {
            let pairs = output.partition_names.iter().enumerate();
            pairs.map(|(n, name)| format!("{name}={}", output.partition(o, n))).collect::<Vec<_>>().join(",")
        })
        .collect();
    json!({
        "record": nth,
        "input": shorten(record),
        "outcome": outcome,
        "outputs": texts,
        "partitionKeys": keys,
        "error": failed.map(|f| json!({ "code": f.code, "message": &*f.message, "attempts": f.attempts })),
    })
}

/// The outputs as they are, in base64, with their partition keys; null when they have more bytes than are left.
fn full(outputs: std::ops::Range<usize>, ran: &Ran, left: &mut usize) -> Value {
    let output = &ran.output;
    let bytes = outputs.clone().map(|o| output.columns().record(o).len()).sum();
    let Some(rest) = left.checked_sub(bytes) else {
        *left = 0;
        return Value::Null;
    };
    *left = rest;
    let one = |o| {
        let keys = output.partition_names.iter().enumerate().map(|(n, name)| (name.clone(), output.partition(o, n)));
        // An empty value stands for none.
        let keys: serde_json::Map<_, _> = keys.filter(|(_, v)| !v.is_empty()).map(|(n, v)| (n, v.into())).collect();
        json!({ "data": STANDARD.encode_to_string(output.columns().record(o)), "partitionKeys": keys })
    };
    outputs.map(one).collect()
}

fn shorten(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut short: String = text.chars().take(SHOWN_BYTES_MAX).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

/// Prints the table of a run.
pub(super) fn print(run: &Value) {
    println!("{}", table(run));
    let number = |name: &str| run[name].as_u64().unwrap_or(0);
    let records = number("records");
    if records > SHOWN_RECORDS_MAX as u64 {
        println!("… and {} more", records - SHOWN_RECORDS_MAX as u64);
    }
    println!(
        "{}: {}, {} dropped, {} failed; {} ({} failed), {:.3} ms, {:.1} MiB of guest memory",
        count(records, "record"),
        count(number("outputs"), "output"),
        number("dropped"),
        number("failed"),
        count(number("calls"), "call"),
        number("failedCalls"),
        number("durationMicros") as f64 / 1000.0,
        number("memoryHighWaterBytes") as f64 / 1_048_576.0,
    );
}

fn table(run: &Value) -> Rows {
    let mut table = Rows::new(["record", "outcome", "output or error", "partition keys"]);
    for row in run["rows"].as_array().into_iter().flatten() {
        let list = |name: &str| {
            let texts = row[name].as_array().into_iter().flatten().filter_map(Value::as_str);
            texts.filter(|t| !t.is_empty()).map(printable).collect::<Vec<_>>().join("\n")
        };
        let shown = match row["error"]["code"].as_str() {
            Some(code) => format!("{code}: {}", printable(row["error"]["message"].as_str().unwrap_or_default())),
            None => list("outputs"),
        };
        table.push([
            row["record"].to_string(),
            row["outcome"].as_str().unwrap_or_default().to_owned(),
            shown,
            list("partitionKeys"),
        ]);
    }
    table.drop_if_empty(3);
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use millrace_transform::Output;

    #[test]
    fn outputs_are_there_in_full_until_there_are_too_many_bytes() {
        let payload = [vec![b'x'; 150], vec![b'y'; 10]].concat();
        let output = Output { payload, ends: vec![150, 160], sources: vec![0, 1], ..Output::default() };
        let ran = Ran { output, ..Ran::default() };
        let mut left = 155;
        let first = full(0..1, &ran, &mut left);
        assert_eq!(STANDARD.decode_to_vec(first[0]["data"].as_str().expect("text")).expect("base64"), [b'x'; 150]);
        assert_eq!((full(1..2, &ran, &mut left), left), (Value::Null, 0));
    }
}
