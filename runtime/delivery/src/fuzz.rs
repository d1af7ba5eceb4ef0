//! Fuzz target of delivery: the body of an intent, as the journal gives it back.

use millrace_types::mutate::Target;

use crate::intent::Body;

/// What is read comes back when it is written.
pub fn intent(data: &[u8]) {
    let Ok(body) = Body::from_bytes(data) else { return };
    assert_eq!(Body::from_bytes(&body.to_bytes()).expect("our own form"), body);
    let known = body.static_encoding();
    assert!(known.is_none() || known == body.content_encoding.as_deref());
}

fn some_intents() -> Vec<Vec<u8>> {
    [
        r#"{"bucket":"b","key":"k","place":{"file":"00000000000000000001.obj","offset":3,"length":9},"crc64":18446744073709551615,"content_encoding":"gzip","metadata":[["a","b"]],"records":2,"error_type":null,"partition":"c=1/","function":["f",7]}"#,
        r#"{"bucket":"","key":"","place":{"file":"","offset":0,"length":0},"crc64":0,"content_encoding":null,"metadata":[],"records":0,"error_type":"processing-failed","partition":null,"function":null}"#,
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

/// All targets of this crate.
#[must_use]
pub fn targets() -> Vec<Target> {
    let words = &["null", "\"\\u0000\"", "[[", "18446744073709551616", "-1", "1e30", "\"crc64\":", "{\"", "}"];
    vec![Target { name: "intent", run: intent, seeds: some_intents, words, rounds: 10_000 }]
}

#[test]
fn targets_hold() {
    millrace_types::mutate::drive(&targets());
}
