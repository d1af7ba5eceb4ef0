//! The benchmark: access-log lines in JSON. `referer` is removed, `method` becomes lower case,
//! `processed` is added.

use std::borrow::Cow;
use std::error::Error;

use millrace_sdk::{Batch, Output, Record};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Fields that go on as they are stay as they are written: no digit of a number changes.
#[derive(Deserialize, Serialize)]
struct Access<'a> {
    #[serde(borrow)]
    timestamp: &'a RawValue,
    #[serde(borrow)]
    remote_addr: &'a RawValue,
    #[serde(borrow)]
    method: Cow<'a, str>,
    #[serde(borrow)]
    path: &'a RawValue,
    #[serde(borrow)]
    status: &'a RawValue,
    #[serde(borrow)]
    bytes: &'a RawValue,
    #[serde(borrow)]
    user_agent: &'a RawValue,
    #[serde(borrow)]
    request_id: &'a RawValue,
    #[serde(borrow)]
    duration_ms: &'a RawValue,
    #[serde(borrow)]
    host: &'a RawValue,
    #[serde(skip_deserializing)]
    processed: bool,
}

fn turn(record: Record, out: &mut Output) -> Result<(), Box<dyn Error>> {
    let mut access: Access = serde_json::from_str(record.text()?)?;
    access.method.to_mut().make_ascii_lowercase();
    access.processed = true;
    out.write(record, |buffer| serde_json::to_writer(buffer, &access))?;
    Ok(())
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
