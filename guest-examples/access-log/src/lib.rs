//! The benchmark: access-log lines in JSON. `referer` is removed, `method` becomes lower case,
//! `processed` is added.

use std::borrow::Cow;

use millrace_sdk::{Batch, Output, Record};
use serde::{Deserialize, Serialize};

#[derive(Deserialize, Serialize)]
struct Access<'a> {
    #[serde(borrow)]
    timestamp: Cow<'a, str>,
    #[serde(borrow)]
    remote_addr: Cow<'a, str>,
    #[serde(borrow)]
    method: Cow<'a, str>,
    #[serde(borrow)]
    path: Cow<'a, str>,
    status: u16,
    bytes: u64,
    #[serde(borrow)]
    user_agent: Cow<'a, str>,
    #[serde(borrow)]
    request_id: Cow<'a, str>,
    duration_ms: f64,
    #[serde(borrow)]
    host: Cow<'a, str>,
    #[serde(skip_deserializing)]
    processed: bool,
}

fn turn(record: Record, out: &mut Output) -> Result<(), serde_json::Error> {
    let mut access: Access = serde_json::from_slice(record.bytes())?;
    access.method.to_mut().make_ascii_lowercase();
    access.processed = true;
    out.write(record, |buffer| serde_json::to_writer(buffer, &access))
}

#[millrace_sdk::transform]
fn access_log(batch: &Batch, out: &mut Output) -> Result<(), String> {
    for record in batch.iter() {
        if let Err(error) = turn(record, out) {
            out.fail(record, error.to_string());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_goes_one_is_lower_cased_one_comes() {
        let line = br#"{"timestamp":"2026-01-02T03:04:05.678Z","remote_addr":"10.1.2.3","method":"GET","path":"/a","status":200,"bytes":5,"referer":"https://x.example/","user_agent":"u","request_id":"r","duration_ms":1.5,"host":"h"}"#;
        let batch = Batch::of([line.as_slice()]);
        let mut out = Output::for_batch(&batch);
        access_log(&batch, &mut out).unwrap();
        let text = String::from_utf8(out.get(0).unwrap().0.to_vec()).unwrap();
        assert!(text.contains(r#""method":"get""#) && text.contains(r#""processed":true"#), "{text}");
        assert!(!text.contains("referer") && text.contains(r#""duration_ms":1.5"#), "{text}");
    }
}
