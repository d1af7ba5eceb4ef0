//! Single events: what a handler is told and may do, and that it keeps to its bounds.

use millrace_types::{MIB, ManualClock, SeededEntropy};

use super::*;
use crate::testing::{Lines, Store, batch, guest, handler, host, host_settings, orders, text};
use crate::{Host, HostSettings, KeyValue, Outbound, OutboundRequest, OutboundResponse};

fn answer(function: &Function, list: &[(char, &str, &str)]) -> String {
    let invocation = function.handle(&orders(list), &CallContext::default());
    String::from_utf8(invocation.output.unwrap()).unwrap()
}

fn error(function: &Function, list: &[(char, &str, &str)]) -> CallError {
    function.handle(&orders(list), &CallContext::default()).output.unwrap_err()
}

fn stateful(store: &Arc<Store>) -> Function {
    handler(Setup { key_value: Some(Arc::clone(store) as Arc<dyn KeyValue>), ..Setup::default() })
}

#[test]
fn an_event_goes_in_and_its_answer_comes_out() {
    let function = handler(Setup::default());
    assert_eq!(function.world(), World::Handler);
    assert_eq!(answer(&function, &[('e', "hello ", ""), ('e', "you", "")]), "hello you");
    let event = orders(&[('E', "", "")]);
    assert_eq!(function.handle(&event, &CallContext::default()).output.unwrap(), event);
    assert_eq!(function.handle(b"", &CallContext::default()).output.unwrap(), b"", "an empty event is one");
}

#[test]
fn a_first_call_is_cold_and_a_kept_instance_is_not() {
    let limits = Limits { warm_batches_max: 2, ..Limits::default() };
    let function = handler(Setup { limits, ..Setup::default() });
    let call = || function.handle(&orders(&[('e', "x", "")]), &CallContext::default());
    let (one, two, three) = (call(), call(), call());
    assert_eq!([one.cold_start, two.cold_start, three.cold_start], [true, false, true]);
    assert!(one.init_duration > Duration::ZERO && one.init_duration <= one.duration, "{one:?}");
    assert_eq!(two.init_duration, Duration::ZERO);
    assert!(one.memory_high_water_bytes >= 2 * 64 * 1024 && one.fuel.is_none());
}

#[test]
fn a_call_knows_who_called_and_until_when() {
    let clock = Arc::new(ManualClock::at(1_700_000_000_000));
    let host = Host::new(&host_settings(), clock, Arc::new(SeededEntropy::new(7))).unwrap();
    let module = host.load_component(&wat::parse_str(text("handler")).unwrap()).unwrap();
    let limits = Limits { deadline: Duration::from_secs(7), ..Limits::default() };
    let function = Function::with(module, Setup { limits, ..Setup::default() });
    let call = CallContext {
        request_id: "id".into(),
        function_name: "shout".into(),
        function_version: "3".into(),
        client_context: Some("{}".into()),
        log: None,
    };
    let answer = function.handle(&orders(&[('c', "", "")]), &call).output.unwrap();
    let deadline = 1_700_000_007_000_u64.to_le_bytes();
    assert_eq!(answer, [b"id shout 3 ".as_slice(), &deadline, b"{} "].concat());
}

#[test]
fn log_lines_of_a_call_go_where_the_call_says() {
    let (all, own) = (Arc::new(Lines::default()), Arc::new(Lines::default()));
    let function = handler(Setup { log: Arc::clone(&all) as Arc<dyn LogSink>, ..Setup::default() });
    let event = orders(&[('L', "", "")]);
    assert!(function.handle(&event, &CallContext::default()).output.is_ok());
    let call = CallContext { log: Some(Arc::clone(&own) as Arc<dyn LogSink>), ..CallContext::default() };
    assert!(function.handle(&event, &call).output.is_ok());
    assert_eq!((all.0.lock().len(), own.0.lock().len()), (1, 1));
}

#[test]
fn failures_keep_their_kinds() {
    let function = handler(Setup::default());
    assert_eq!(error(&function, &[('f', "no", "")]), CallError::Returned("no".into()));
    let long = "x".repeat(5_000);
    assert_eq!(error(&function, &[('f', &long, "")]), CallError::Returned(long.clone()), "Lambda's JSON stays whole");
    assert_eq!(error(&function, &[('t', "", "")]).kind(), "trap");
    assert_eq!(error(&function, &[('?', "", "")]).kind(), "trap");
    let limits = Limits { host_calls_max: 1_000, ..Limits::default() };
    let bounded = handler(Setup { limits, ..Setup::default() });
    assert_eq!(error(&bounded, &[('x', "", "")]), CallError::HostCalls { max: 1_000 });
    for (at, kind) in CallError::KINDS.into_iter().enumerate() {
        assert_eq!(CallError::KINDS.iter().position(|other| *other == kind), Some(at), "{kind} stands once");
    }
}

#[test]
fn events_and_answers_have_the_size_of_lambdas() {
    let function = handler(Setup::default());
    let fits = "x".repeat(EVENT_BYTES_MAX - 9);
    assert_eq!(answer(&function, &[('e', &fits, "")]), fits);
    let invocation = function.handle(&vec![b'x'; EVENT_BYTES_MAX + 1], &CallContext::default());
    assert!(matches!(&invocation.output, Err(CallError::Event(text)) if text.contains("6291456")), "{invocation:?}");
    assert!(!invocation.cold_start, "it was not called");
}

#[test]
fn an_answer_may_have_100_bytes_more_than_an_event() {
    let function = handler(Setup::default());
    let half = "x".repeat(crate::ANSWER_BYTES_MAX / 2 - 9);
    let list = [('e', half.as_str(), ""), ('E', "", "")];
    let given = orders(&list);
    // The word and the event: 2 * half + 18.
    assert_eq!(given.len() + half.len(), crate::ANSWER_BYTES_MAX);
    assert_eq!(function.handle(&given, &CallContext::default()).output.unwrap().len(), crate::ANSWER_BYTES_MAX);
    let list = [('e', half.as_str(), ""), ('E', "", ""), ('e', "", "")];
    assert_eq!(error(&function, &list).kind(), "output-too-large");
}

#[test]
fn what_a_call_writes_is_kept_when_it_answers_well() {
    let store = Arc::new(Store::default());
    let function = stateful(&store);
    let own = [('g', "a", ""), ('s', "a", "1"), ('g', "a", ""), ('s', "b", "2"), ('d', "a", ""), ('g', "a", "")];
    assert_eq!(answer(&function, &own), "-1-", "a call reads its own writes");
    assert_eq!(*store.kept.lock(), BTreeMap::from([("b".into(), b"2".to_vec())]));
    assert_eq!(answer(&function, &[('k', "", ""), ('s', "c", "3"), ('d', "b", ""), ('k', "", "")]), "b,c,");
    for failing in ['f', 't'] {
        error(&function, &[('s', "c", "4"), (failing, "no", "")]);
        assert_eq!(answer(&function, &[('g', "c", "")]), "3");
    }
}

#[test]
fn a_call_whose_writes_are_not_kept_has_failed() {
    let store = Arc::new(Store { refuse_commits: 1.into(), ..Store::default() });
    let function = stateful(&store);
    assert_eq!(error(&function, &[('s', "a", "1")]), CallError::State("the store is away".into()));
    assert!(store.kept.lock().is_empty());
    assert_eq!(answer(&function, &[('e', "x", "")]), "x", "nothing was written, nothing is committed");
    assert_eq!(answer(&function, &[('s', "a", "1")]), "");
}

#[test]
fn what_is_not_granted_answers_so() {
    let function = handler(Setup::default());
    let each = [('g', "a", ""), ('s', "a", ""), ('d', "a", ""), ('k', "", ""), ('h', "http://a", "")];
    for order in each {
        let answer = answer(&function, &[order]);
        assert!(answer.starts_with('!') && answer.ends_with("was not granted to this function"), "{answer}");
    }
}

#[derive(Debug, Default)]
struct Web {
    seen: Mutex<Vec<(OutboundRequest, Duration)>>,
    body: Vec<u8>,
}

impl Outbound for Web {
    fn send(&self, request: OutboundRequest, timeout: Duration) -> Result<OutboundResponse, String> {
        if request.url == "http://down" {
            return Err("no route".to_owned());
        }
        self.seen.lock().push((request, timeout));
        Ok(OutboundResponse { status: 200, headers: vec![("x".into(), b"y".to_vec())], body: self.body.clone() })
    }
}

fn connected(web: &Arc<Web>) -> Function {
    let http = Arc::clone(web) as Arc<dyn Outbound>;
    let limits = Limits { deadline: Duration::from_secs(60), ..Limits::default() };
    handler(Setup { http: Some(http), limits, ..Setup::default() })
}

#[test]
fn a_request_goes_out_as_it_was_written() {
    let web = Arc::new(Web { body: b"pong".to_vec(), ..Web::default() });
    let function = connected(&web);
    assert_eq!(answer(&function, &[('h', "https://api.example.com/", "ping")]), "pong");
    let (request, timeout) = web.seen.lock().pop().unwrap();
    let expected = OutboundRequest {
        method: "POST".into(),
        url: "https://api.example.com/".into(),
        headers: vec![("x-name".into(), b"value".to_vec())],
        body: b"ping".to_vec(),
    };
    assert_eq!(request, expected);
    assert!(timeout <= Duration::from_secs(60) && timeout > Duration::from_secs(30), "{timeout:?}");
    assert_eq!(answer(&function, &[('h', "http://down", "")]), "!no route");
}

#[test]
fn requests_of_a_call_are_bounded() {
    let web = Arc::new(Web::default());
    let function = connected(&web);
    let many = vec![('h', "http://a", ""); 51];
    assert_eq!(answer(&function, &many), "!one call sends at most 50 requests");
    assert_eq!(web.seen.lock().len(), 50);
    let mib = "x".repeat(MIB);
    assert_eq!(answer(&function, &[('h', "http://a", &mib)]), "");
    assert_eq!(web.seen.lock().last().unwrap().0.body.len(), MIB, "1 MiB is not too much to lift");
    let over = "x".repeat(MIB + 1);
    assert_eq!(answer(&function, &[('h', "http://a", &over)]), "!the body of a request has at most 1048576 bytes");
    let url = "x".repeat(65 * 1024);
    assert!(answer(&function, &[('h', &url, "")]).contains("at most 65536 bytes"));
    let web = Arc::new(Web { body: vec![0; 6 * MIB + 1], ..Web::default() });
    assert!(answer(&connected(&web), &[('h', "http://a", "")]).contains("more than 6291456 bytes"));
}

#[test]
fn a_deterministic_host_counts_fuel_and_takes_no_sealed_code() {
    let settings = HostSettings { deterministic: true, ..host_settings() };
    let new = || Host::new(&settings, Arc::new(ManualClock::at(0)), Arc::new(SeededEntropy::new(7))).unwrap();
    let limits = Limits { warm_batches_max: 9, ..Limits::default() };
    let load = |host: Arc<Host>| {
        let module = host.load_component(&wat::parse_str(text("handler")).unwrap()).unwrap();
        Function::with(module, Setup { limits: limits.clone(), ..Setup::default() })
    };
    let fuel = |function: &Function, list: &[(char, &str, &str)]| {
        function.handle(&orders(list), &CallContext::default()).fuel.unwrap()
    };
    let (one, two) = (load(new()), load(new()));
    let list = [('e', "x", ""), ('e', "y", "")];
    let cold = fuel(&one, &list);
    assert_eq!(cold, fuel(&two, &list), "the same call uses the same");
    assert!(fuel(&one, &list) <= cold, "a kept instance counts from the beginning");
    assert!(fuel(&one, &list[..1]) < fuel(&two, &list), "less work uses less");
    assert!(fuel(&one, &[('t', "", "")]) > 0, "a trap has used some");
    let key = crate::ArtifactKey::new(&[3; 32]);
    let sealed = crate::seal(&crate::compile(&guest("identity")).unwrap(), &key).unwrap();
    assert!(matches!(new().load_bytes(&sealed, &key), Err(crate::Error::Recompile)));
}

#[test]
fn a_transform_is_invoked_with_firehoses_event() {
    let module = host().load_component(&guest("identity")).unwrap();
    let function = Function::with(module, Setup::default());
    let event = br#"{"records":[{"recordId":"a","data":"aGk="},{"recordId":"b","data":""}]}"#;
    let answer = function.handle(event, &CallContext::default()).output.unwrap();
    assert_eq!(
        String::from_utf8(answer).unwrap(),
        r#"{"records":[{"recordId":"a","result":"Ok","data":"aGk="},{"recordId":"b","result":"Ok","data":""}]}"#
    );
    let refused = function.handle(b"[]", &CallContext::default()).output.unwrap_err();
    assert!(refused.to_string().starts_with("the event is not Firehose's JSON"), "{refused}");
    assert!(function.call(&batch(&["x"])).output.is_ok());
}

#[test]
fn a_host_keeps_what_it_compiled_and_needs_not_compile_it_again() {
    let loaded = |cache: crate::CompileCache| {
        let cache = Arc::new(cache);
        let settings = HostSettings { deterministic: true, compile_cache: Some(Arc::clone(&cache)), ..host_settings() };
        let host = Host::new(&settings, Arc::new(ManualClock::at(0)), Arc::new(SeededEntropy::new(7))).unwrap();
        host.load_component(&guest("identity")).unwrap();
        cache
    };
    let first = loaded(crate::CompileCache::default());
    assert!(!first.entries().is_empty());
    // Keys may differ from run to run; what the second took out of the first's comes before what it made.
    let (before, after) = (first.entries(), loaded(first.next()).entries());
    assert!(after.len() < 2 * before.len(), "most was taken, not made");
}
