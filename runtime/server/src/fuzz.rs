//! Fuzz targets of the server: the texts of a settings file, of a project's manifest and of its test files. On
//! stable Rust alone, because a binary has no library that a fuzzer could link.

use millrace_types::mutate::{Target, drive};

use crate::cli::{cases_of, manifest_of};
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

/// A manifest: what is wrong is one line that begins with the file's name; what is read has a name that a path and
/// a URL take as it stands.
fn manifest(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match manifest_of(text) {
        Ok(manifest) => {
            let letters = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
            assert!(manifest.name.bytes().all(letters) && (1..=64).contains(&manifest.name.len()));
            assert!(manifest.build.command.is_some() == manifest.build.output.is_some());
        }
        Err(error) => complaint(&error.to_string(), "millrace.toml: ", data),
    }
}

/// Test files: names are told apart, and there is an expectation for each record.
fn test_file(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match cases_of(text) {
        Ok(cases) => {
            assert!(!cases.is_empty());
            for (nth, (name, records, expects)) in cases.iter().enumerate() {
                assert!(cases.iter().skip(nth + 1).all(|(other, ..)| other != name), "{name} twice");
                assert_eq!(records, expects, "{name}");
            }
        }
        Err(error) => complaint(&error.to_string(), "tests.toml: ", data),
    }
}

fn complaint(message: &str, begins: &str, data: &[u8]) {
    assert!(message.starts_with(begins), "{message}");
    // What it quotes is escaped.
    assert!(message.len() <= MESSAGE_BYTES_MAX + 10 * data.len(), "{message}");
}

fn manifests() -> Vec<Vec<u8>> {
    let whole = "[function]\nname = 'shout'\nlanguage = 'python'\nkind = 'handler'\nsource = 'x.py'\n[settings]\nA = 1\n\
         [limits]\nmemory_mb = 256\ntimeout_ms = 900\nwarm = true\n[grants]\nhttp = ['a.example']\nkey_value = true\n\
         [build]\nwatch = ['src/**']\ncommand = 'make'\noutput = 'out.wasm'\n";
    vec![whole.into(), b"[function]\nname = 'a'\nlanguage = 'rust'\n".to_vec()]
}

fn test_files() -> Vec<Vec<u8>> {
    let records = "[settings]\nA = 1\n[[test]]\nname = 'a'\nclock = 2026-11-25T09:00:00Z\nrandom_seed = 7\n\
         settings = { B = 'x' }\n[[test.record]]\ndata = 'x'\nkey = 'k'\narrival = '2026-11-25T09:00:00Z'\n\
         [[test.record]]\ndata_base64 = 'AAE='\n[[test.expect]]\ndata = 'X'\npartition_keys = { a = 'b' }\n\
         [[test.expect]]\noutputs = [{ data = 'A' }, { json = { b = 1 } }]\n[[test]]\nname = 'b'\n[[test.record]]\n\
         json = { a = [1, 2.5, true] }\n[[test.expect]]\nresult = 'ProcessingFailed'\nreason = 'no'\n";
    let event = "[[test]]\nname = 'e'\n[test.event]\njson = { name = 'Ada' }\n[test.answer]\nerror = 'nobody'\n";
    vec![records.into(), event.into()]
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
    let target = |name, run, seeds| Target { name, run, seeds, words, rounds: 3_000 };
    drive(&[
        target("settings", settings, seeds),
        target("manifest", manifest, manifests),
        target("test_file", test_file, test_files),
    ]);
}
