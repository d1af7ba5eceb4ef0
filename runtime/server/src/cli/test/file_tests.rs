//! Test files: the whole format, and what is refused.

use super::*;

fn cases(text: &str) -> Result<Vec<Case>> {
    let file = TomlFile { path: Path::new("t.toml"), slug: "project.tests" };
    let project = BTreeMap::from([("mode".to_owned(), "project".to_owned()), ("a".to_owned(), "1".to_owned())]);
    Reader { file: &file }.cases(&file.parse(text)?, &project)
}

#[test]
fn a_test_says_what_goes_in_and_what_comes_out() {
    let text = r#"
[settings]
mode = "file"
[[test]]
name = "all"
clock = "2026-11-25T09:00:00Z"
random_seed = 7
settings = { own = "x" }
[[test.record]]
data = "abc"
key = "k"
[[test.record]]
data_base64 = "AAE="
arrival = 2026-11-25T09:00:01Z
[[test.record]]
json = { a = [1, 2.5, true], at = 2026-11-25 }
[[test.expect]]
data = "ABC"
partition_keys = { kind = "loud" }
[[test.expect]]
result = "Dropped"
[[test.expect]]
result = "ProcessingFailed"
reason = "no"
[[test]]
name = "several"
[[test.record]]
data = ""
[[test.expect]]
outputs = [{ data = "a" }, { json = { b = 1 }, partition_keys = { k = "v" } }]
"#;
    let found = cases(text).expect("reads");
    let [all, several] = found.as_slice() else { panic!("two tests: {found:?}") };
    assert_eq!((all.clock_ms, all.seed, all.is_virtual), (1_795_597_200_000, 7, Some("clock")));
    let settings: Vec<_> = all.settings.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(settings, [("a", "1"), ("mode", "file"), ("own", "x")]);
    let Body::Records(records, expects) = &all.body else { panic!("records") };
    let records: Vec<_> = records.iter().map(|r| (r.data.as_slice(), r.key.as_deref(), r.arrival_ms)).collect();
    assert_eq!(
        records,
        [
            (b"abc".as_slice(), Some("k"), 1_795_597_200_000),
            (&[0, 1], None, 1_795_597_201_000),
            (br#"{"a":[1,2.5,true],"at":"2026-11-25"}"#, None, 1_795_597_200_000),
        ]
    );
    let loud = &expects[0].outputs.as_ref().expect("one")[0];
    assert_eq!(loud.payload, Some(Payload::Bytes(b"ABC".to_vec())));
    assert_eq!(loud.partition_keys.as_ref().expect("keys")["kind"], "loud");
    assert_eq!(expects[1].result, Outcome::Dropped);
    assert_eq!(expects[2].reason.as_deref(), Some("no"));
    assert_eq!((several.clock_ms, several.seed, several.is_virtual), (CLOCK_MS, SEED, None));
    let Body::Records(_, expects) = &several.body else { panic!("records") };
    let outputs = expects[0].outputs.as_ref().expect("several");
    assert_eq!(outputs[1].payload, Some(Payload::Json(serde_json::json!({ "b": 1 }))));
}

#[test]
fn a_test_may_be_over_an_event() {
    let of = |text: &str| cases(&format!("[[test]]\nname = 't'\n{text}")).map(|mut cases| cases.remove(0).body);
    let body = of("[test.event]\njson = { a = 1 }\n[test.answer]\ndata = 'x'\n").expect("reads");
    let Body::Event(event, answer) = body else { panic!("an event") };
    assert_eq!((event.as_slice(), answer), (br#"{"a":1}"#.as_slice(), Answer::Payload(Payload::Bytes(b"x".to_vec()))));
    let body = of("[test.event]\ndata = ''\n[test.answer]\nerror = 'no'\n").expect("reads");
    assert!(matches!(body, Body::Event(_, Answer::Error(error)) if error == "no"));
    for (text, said) in [
        ("[test.event]\n[test.answer]\nerror = 'no'\n", "an event has data"),
        ("[test.event]\njson = 1\n", "an answer has data"),
        ("[test.event]\njson = 1\n[test.answer]\nerror = 'a'\ndata = 'b'\n", "one of them"),
        ("[test.event]\njsn = 1\n", "did you mean json?"),
        ("[test.event]\njson = 1\n[[test.record]]\ndata = 'a'\n", "not both"),
    ] {
        let error = of(text).expect_err(text).to_string();
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn what_does_not_fit_is_said_by_name() {
    let test = |rest: &str| format!("[[test]]\nname = 't'\n{rest}");
    let one = "[[test.record]]\ndata = 'a'\n[[test.expect]]\n";
    for (text, said) in [
        (String::new(), "there is no [[test]]"),
        ("[setting]\n".to_owned(), "there is no key setting; did you mean settings?"),
        ("[[test]]\n".to_owned(), "test 1: a test has a name"),
        (test("seed = 1\n"), "there is no key test.seed"),
        (test("random_seed = -1\n"), "random_seed is a whole number from 0"),
        (test("clock = 'now'\n"), "clock is a time such as"),
        (test("[[test.record]]\ndata = 'a'\n"), "1 [[test.record]] and 0 [[test.expect]]"),
        (test("[[test.record]]\ndta = 'a'\n"), "there is no key test.record.dta; did you mean data?"),
        (test("[[test.record]]\nkey = 'a'\n"), "a record has data, data_base64 or json"),
        (test("[[test.record]]\ndata = 'a'\njson = 1\n"), "data and json say one thing twice"),
        (test("[[test.record]]\ndata = 1\n"), "data is text"),
        (test("[[test.record]]\ndata_base64 = '%'\n"), "is not base64"),
        (test(&format!("{one}result = 'ok'\n")), "not \"ok\""),
        (test(&format!("{one}resutl = 'Ok'\n")), "did you mean result?"),
        (test(&format!("{one}data = 'a'\noutputs = []\n")), "outputs stands for all outputs"),
        (test(&format!("{one}outputs = [{{ dat = 'a' }}]\n")), "test.expect.outputs.dat"),
        (test(&format!("{one}result = 'Dropped'\ndata = 'a'\n")), "outputs go with result Ok"),
        (test(&format!("{one}reason = 'a'\n")), "a reason with ProcessingFailed"),
        (test(one) + &test(one), "two tests are called \"t\""),
    ] {
        let error = cases(&text).expect_err(&text).to_string();
        assert!(error.starts_with("t.toml: ") && error.contains(said), "{error}");
    }
}
