//! Fuzz target of the server: the text of a settings file. On stable Rust alone, because a binary has
//! no library that a fuzzer could link.

use millrace_types::mutate::{Target, drive};

use crate::settings::{dump, from_text};

/// Bytes of an error's message at most, but for what it quotes of the file.
const MESSAGE_BYTES_MAX: usize = 4_096;

/// Settings: what is read can be dumped, and the dump is read and says the same. (That no secret is
/// shown is a test of `settings`: here a mutation may move a secret to a place that is shown.)
fn settings(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match from_text(text) {
        Ok(settings) => {
            let dumped = dump(&settings).expect("settings are plain data");
            let again = from_text(&dumped).and_then(|settings| dump(&settings));
            assert_eq!(again.expect("a dump is read"), dumped);
        }
        Err(error) => assert!(error.to_string().len() <= MESSAGE_BYTES_MAX + data.len()),
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let whole = "data_dir = 'd'\ndev = true\nlog_json = false\naccess_key_id = 'a'\nsecret_access_key = 's3cret'\n\
         [[access_keys]]\nid = 'a'\nsecret = 's3cret'\n[journal]\nsegment_bytes = 1048576\n\
         [delivery]\ngzip_level = 1\ninterval_scale = 0.5\n";
    vec![whole.as_bytes().to_vec(), dump(&crate::settings::Settings::default()).expect("plain data").into_bytes()]
}

#[test]
fn targets_hold() {
    let words = &[
        "[",
        "]]",
        "= ",
        "\n",
        "\"\"\"",
        "1e400",
        "0x7f",
        "1979-05-27T07:32:00Z",
        "[objects.buckets.b]",
        "true",
        "{ a = 1 }",
    ];
    drive(&[Target { name: "settings", run: settings, seeds, words, rounds: 3_000 }]);
}
