//! Events from acceptance to their record, on a real platform: real state, real guests, a bucket that the test holds.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use millrace_catalog::{BuildState, Catalog, Code, Configuration, EventConfig, LastUpdate, Place, Revision, State};
use millrace_log::RealDisk;
use millrace_outbound::{Outbound, OutboundSettings};
use millrace_sink::{Buckets, Object, Sink, SinkError, Stored};
use millrace_transform::{ArtifactKey, CompileLimits, Compiler, Host, HostSettings, KeyValue as _, compile, seal};
use millrace_types::{Clock, KIB, ManualClock, SeededEntropy, SystemClock};
use serde_json::{Value, json};

use super::schedule::Next;
use super::*;
use crate::FunctionParts;
use crate::files::sha256_hex;
use crate::granted::OwnState;

/// What the guest does with each event: `e WORD` answers, `f WORD` fails (`guest-examples/wat/handler.wat`).
const ANSWER: &str = "e\u{4}\0\0\0fine\0\0\0\0";
const FAIL: &str = "f\u{4}\0\0\0boom\0\0\0\0";
const HOUR: Duration = Duration::from_secs(3_600);

/// Every bucket, with what was put; or it refuses.
#[derive(Debug, Clone)]
struct Shelf {
    objects: mpsc::Sender<(String, Value)>,
    refuses: Arc<AtomicBool>,
}

impl Buckets for Shelf {
    fn open(&self, _: &str) -> Result<Arc<dyn Sink>, SinkError> {
        Ok(Arc::new(self.clone()))
    }
}

#[async_trait]
impl Sink for Shelf {
    async fn put(&self, object: &Object) -> Result<Stored, SinkError> {
        let bytes = object.content.read(0, usize::try_from(object.content.len()).expect("small")).await.expect("read");
        let record = serde_json::from_slice(&bytes).expect("JSON");
        self.objects.send((object.key.clone(), record)).await.expect("the test listens");
        if self.refuses.load(Ordering::SeqCst) {
            // It may have been stored: the answer was lost.
            return Err(SinkError::retry("Timeout", "no answer"));
        }
        Ok(Stored::default())
    }

    fn location(&self) -> String {
        "shelf".to_owned()
    }
}

struct World {
    functions: Arc<Functions>,
    shelf: Shelf,
    objects: mpsc::Receiver<(String, Value)>,
    dir: tempfile::TempDir,
}

impl World {
    fn start(clock: Arc<dyn Clock>) -> Self {
        Self::start_in(tempfile::tempdir().expect("dir"), clock)
    }

    fn start_in(dir: tempfile::TempDir, clock: Arc<dyn Clock>) -> Self {
        let settings = HostSettings { calls_max: 2, warm_max: 0, keep_resident_bytes: 64 * KIB, ..Default::default() };
        let entropy = Arc::new(SeededEntropy::new(7));
        let (objects, listen) = mpsc::channel(64);
        let shelf = Shelf { objects, refuses: Arc::default() };
        let place = Place { region: "us-east-1".to_owned(), account_id: "000000000000".to_owned() };
        let outbound = OutboundSettings::default();
        let outbound = Outbound::new(&outbound, tokio::runtime::Handle::current(), Arc::clone(&clock));
        let parts = FunctionParts {
            dir: dir.path().join("functions"),
            disk: Arc::new(RealDisk),
            catalog: Arc::new(
                Catalog::open(&dir.path().join("catalog"), place, Arc::clone(&clock)).expect("a catalog"),
            ),
            state: Arc::new(State::open(&dir.path().join("state")).expect("state")),
            host: Host::new(&settings, Arc::new(SystemClock), Arc::clone(&entropy) as _).expect("a host"),
            // Nothing is compiled here: code is sealed beforehand.
            compiler: Compiler { exe: "/nowhere".into(), limits: CompileLimits::default() },
            key: ArtifactKey::new(&[7; 32]),
            outbound: Arc::new(outbound.expect("a client")),
            buckets: Arc::new(shelf.clone()),
            clock,
            entropy,
            event_retry: Duration::from_millis(1),
        };
        Self { functions: Functions::start(parts).expect("starts"), shelf, objects: listen, dir }
    }

    /// A function that does `orders`; records go to `on_failure`, a function's name or a bucket's behind `s3:`.
    fn function(&self, name: &str, orders: &str, retries: Option<u32>, on_failure: Option<&str>) -> String {
        let wat = format!("{}/../../guest-examples/wat/handler.wat", env!("CARGO_MANIFEST_DIR"));
        let component = wat::parse_file(wat).expect("a component");
        let sha256 = self.functions.files.put_component(&component).expect("stored");
        if !self.functions.files.sealed_path(&sha256).exists() {
            let sealed = seal(&compile(&component).expect("compiles"), &self.functions.key).expect("sealed");
            self.functions.files.put_sealed(&sha256, &sealed).expect("stored");
        }
        let on_failure = on_failure.map(|to| match to.strip_prefix("s3:") {
            Some(bucket) => format!("arn:aws:s3:::{bucket}"),
            None => self.functions.arn(to),
        });
        let events = EventConfig { retries, on_failure, ..EventConfig::default() };
        let make = |number| (self.first(name, number, events), revision(name, number, &component, orders));
        self.functions.catalog.create_function(name, make).expect("made").owner()
    }

    fn first(&self, name: &str, number: u32, events: EventConfig) -> millrace_catalog::Function {
        millrace_catalog::Function {
            id: 0,
            name: name.to_owned(),
            arn: self.functions.arn(name),
            created_ms: 0,
            latest: number,
            last_revision: number,
            last_update: LastUpdate::Successful,
            deploying: None,
            revision_id: "r".to_owned(),
            versions: BTreeMap::new(),
            last_version: 0,
            aliases: BTreeMap::new(),
            reserved_concurrency: None,
            tags: BTreeMap::new(),
            event_configs: [(crate::LATEST.to_owned(), events)].into(),
            shadow: None,
        }
    }

    /// The state of a function, as a guest of it has it.
    fn own_state(&self, name: &str) -> OwnState {
        let latest = self.functions.function(name).expect("there").latest;
        let revision = self.functions.revision(name, latest).expect("there");
        OwnState::new(&self.functions.state, &self.functions.catalog, &revision)
    }

    fn invocation(&self, name: &str) -> Invocation {
        Invocation {
            name: name.to_owned(),
            qualifier: None,
            payload: b"{\"n\":1}".to_vec(),
            request_id: "request".to_owned(),
            client_context: None,
        }
    }

    /// An event that the loop is not told of: the test makes the attempts.
    fn waiting(&self, name: &str, owner: &str) -> EventId {
        let event = QueuedEvent {
            function: name.to_owned(),
            qualifier: String::new(),
            request_id: "request".to_owned(),
            accepted_ms: self.functions.clock.now_ms(),
            attempts: 0,
            client_context: None,
            hops: 0,
            record: None,
            ended_ms: None,
            payload: b"{}".to_vec(),
        };
        self.functions.state.push_event(owner, &event).expect("taken")
    }

    fn event(&self, id: &EventId) -> Option<QueuedEvent> {
        self.functions.state.event(id).expect("read")
    }

    fn invocations(&self, name: &str) -> u64 {
        self.functions.metered().iter().filter(|(of, ..)| of == name).map(|(.., counts)| counts.invocations).sum()
    }

    /// Waits until no event is left.
    async fn drained(&self) {
        while !self.functions.state.events().expect("read").is_empty() {
            tokio::task::yield_now().await;
        }
    }

    async fn object(&mut self) -> (String, Value) {
        self.objects.recv().await.expect("an object")
    }
}

fn revision(function: &str, number: u32, component: &[u8], orders: &str) -> Revision {
    Revision {
        function: function.to_owned(),
        function_id: 0,
        number,
        created_ms: 0,
        code: Code {
            sha256: sha256_hex(component),
            component_bytes: component.len() as u64,
            uploaded_sha256: String::new(),
            uploaded_bytes: 0,
            world: "handler".to_owned(),
            imports: Vec::new(),
        },
        config: Configuration {
            settings: [("orders".to_owned(), orders.to_owned())].into(),
            memory_bytes: 1 << 26,
            timeout_ms: 60_000,
            ..Configuration::default()
        },
        state: BuildState::Active,
    }
}

fn manual() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(1_700_000_000_000))
}

/// The wait behind an attempt that came to nothing.
fn delay(next: Next, wanted_delays: u32) -> Duration {
    match next {
        Next::Again { wait, delays } if delays == wanted_delays => wait,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_tried_as_often_as_configured_and_its_record_goes_to_the_bucket() {
    let mut world = World::start(Arc::new(SystemClock));
    world.function("twice", FAIL, Some(1), Some("s3:lost"));
    world.function("thrice", FAIL, None, Some("s3:lost"));
    world.function("well", ANSWER, None, Some("s3:lost"));
    for (name, attempts) in [("twice", 2), ("thrice", 3)] {
        world.functions.enqueue(world.invocation(name)).await.expect("taken");
        let (key, record) = world.object().await;
        assert!(key.starts_with(&format!("aws/lambda/async/{name}/")) && key.ends_with("-request"), "{key}");
        assert_eq!(record["requestContext"]["condition"], "RetriesExhausted");
        assert_eq!(record["requestContext"]["approximateInvokeCount"], attempts);
        assert_eq!(record["requestPayload"], json!({ "n": 1 }));
        assert_eq!(record["responseContext"]["functionError"], "Unhandled");
        assert!(record["responsePayload"]["errorMessage"].as_str().expect("words").contains("boom"), "{record}");
        assert_eq!(world.invocations(name), attempts);
    }
    world.functions.enqueue(world.invocation("well")).await.expect("taken");
    world.drained().await;
    assert_eq!(world.invocations("well"), 1);
    assert!(world.objects.try_recv().is_err(), "nothing is said of what went well");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_goes_to_a_function_and_from_there_on() {
    let mut world = World::start(Arc::new(SystemClock));
    world.function("second", FAIL, Some(0), Some("s3:lost"));
    world.function("first", FAIL, Some(0), Some("second"));
    world.functions.enqueue(world.invocation("first")).await.expect("taken");
    let (key, record) = world.object().await;
    assert!(key.starts_with("aws/lambda/async/second/"), "{key}");
    let inner = &record["requestPayload"]["requestContext"]["functionArn"];
    assert_eq!(inner, "arn:aws:lambda:us-east-1:000000000000:function:first:$LATEST");
    world.drained().await;
    assert_eq!((world.invocations("first"), world.invocations("second")), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_that_send_each_other_their_failures_come_to_an_end() {
    let world = World::start(Arc::new(SystemClock));
    world.function("a", FAIL, Some(0), Some("b"));
    world.function("b", FAIL, Some(0), Some("a"));
    world.functions.enqueue(world.invocation("a")).await.expect("taken");
    world.drained().await;
    assert_eq!(world.invocations("a") + world.invocations("b"), 17, "the event, and 16 records");
    for (arn, why) in [
        (world.functions.arn("a"), "the function itself"),
        (format!("{}:live", world.functions.arn("a")), "the function itself"),
        ("arn:aws:lambda:eu-west-1:000000000000:function:b".to_owned(), "another region"),
    ] {
        let refused = world.functions.check_destination("a", &arn).expect_err("refused").to_string();
        assert!(refused.contains(&arn) && refused.contains(why), "{refused}");
    }
    world.functions.check_destination("a", &world.functions.arn("b")).expect("another one");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_whose_client_went_away_runs_all_the_same() {
    let mut world = World::start(Arc::new(SystemClock));
    world.function("f", FAIL, Some(0), Some("s3:lost"));
    let mut taking = Box::pin(world.functions.enqueue(world.invocation("f")));
    tokio::select! {
        biased;
        taken = &mut taking => taken.expect("taken"),
        () = std::future::ready(()) => {}
    }
    drop(taking);
    world.object().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_over_its_size_is_refused() {
    let world = World::start(Arc::new(SystemClock));
    world.function("f", ANSWER, None, None);
    let mut invocation = world.invocation("f");
    invocation.payload = vec![b' '; EVENT_BYTES_MAX + 1];
    let refused = world.functions.enqueue(invocation).await;
    assert!(matches!(refused, Err(Error::TooLarge(_))), "{refused:?}");
}

fn take_away(folder: &Path) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        std::fs::remove_file(entry.path()).expect("removed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn trouble_of_the_servers_own_costs_an_event_no_attempt_until_it_is_too_old() {
    let clock = manual();
    let mut world = World::start(Arc::clone(&clock) as _);
    let owner = world.function("f", FAIL, None, Some("s3:lost"));
    let id = world.waiting("f", &owner);
    let before = world.event(&id);
    take_away(&world.dir.path().join("functions"));
    let first = delay(world.functions.attempt(&id, 0).await, 1);
    assert!((Duration::from_millis(500)..=Duration::from_secs(1)).contains(&first), "{first:?}");
    let later = delay(world.functions.attempt(&id, 5).await, 6);
    assert!((Duration::from_secs(16)..=Duration::from_secs(32)).contains(&later), "{later:?}");
    let last = delay(world.functions.attempt(&id, 99).await, 100);
    assert!((Duration::from_secs(30)..=Duration::from_secs(60)).contains(&last), "{last:?}");
    assert_eq!(world.event(&id), before);
    clock.advance(6 * HOUR + Duration::from_secs(1));
    assert_eq!(world.functions.attempt(&id, 7).await, Next::Done);
    let (_, record) = world.object().await;
    assert_eq!(record["requestContext"]["condition"], "EventAgeExceeded");
    assert_eq!(world.event(&id), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_throttled_waits() {
    let world = World::start(manual());
    let owner = world.function("f", ANSWER, None, None);
    world.functions.set_concurrency("f", Some(0)).await.expect("set");
    let id = world.waiting("f", &owner);
    let before = world.event(&id);
    delay(world.functions.attempt(&id, 0).await, 1);
    assert_eq!(world.event(&id), before);
    world.functions.set_concurrency("f", None).await.expect("cleared");
    assert_eq!(world.functions.attempt(&id, 1).await, Next::Done);
    assert_eq!((world.event(&id), world.invocations("f")), (None, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_is_the_same_object_at_each_attempt_and_is_given_up_in_the_end() {
    let clock = manual();
    let mut world = World::start(Arc::clone(&clock) as _);
    let owner = world.function("f", FAIL, Some(0), Some("s3:lost"));
    world.shelf.refuses.store(true, Ordering::SeqCst);
    let id = world.waiting("f", &owner);
    let wait = delay(world.functions.attempt(&id, 9).await, 1);
    assert!((Duration::from_secs(5)..=Duration::from_secs(10)).contains(&wait), "{wait:?}");
    let first = world.object().await;
    let kept = world.event(&id).expect("it waits");
    assert_eq!((kept.attempts, kept.ended_ms, kept.payload.len()), (1, Some(1_700_000_000_000), 0));
    clock.advance(HOUR);
    delay(world.functions.attempt(&id, 1).await, 2);
    assert_eq!(world.object().await, first, "one object, whatever became of the first put");
    assert_eq!(world.event(&id), Some(kept));
    clock.advance(5 * HOUR + Duration::from_secs(1));
    assert_eq!(world.functions.attempt(&id, 2).await, Next::Done);
    assert_eq!((world.event(&id), world.invocations("f")), (None, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_deleted_function_reaches_the_next_of_its_name() {
    let world = World::start(manual());
    let old = world.function("f", FAIL, None, Some("s3:lost"));
    let id = world.waiting("f", &old);
    let running = world.own_state("f");
    let writes = [("key".to_owned(), Some(b"value".to_vec()))].into();
    running.commit(&writes).expect("it is there");
    // Killed between the two: it has left the catalog alone.
    world.functions.catalog.remove_function("f").expect("removed");
    let new = world.function("f", ANSWER, None, None);
    assert_ne!(new, old);
    assert!(running.commit(&writes).is_err(), "a guest of the old one that still runs");
    let own = world.own_state("f");
    assert_eq!((own.get("key"), own.keys("", None, 9)), (Ok(None), Ok(Vec::new())));
    assert_eq!(world.functions.attempt(&id, 0).await, Next::Done);
    assert_eq!((world.event(&id), world.invocations("f")), (None, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_forgets_who_is_in_no_catalog_and_goes_on_with_who_is() {
    let mut world = World::start(manual());
    let gone = world.function("gone", FAIL, None, None);
    let kept = world.function("kept", FAIL, Some(0), Some("s3:lost"));
    world.waiting("gone", &gone);
    world.waiting("kept", &kept);
    let own = world.own_state("gone");
    own.commit(&[("key".to_owned(), Some(b"value".to_vec()))].into()).expect("it is there");
    drop(own);
    world.functions.catalog.remove_function("gone").expect("removed");
    world.functions.stop().await;
    let World { functions, dir, .. } = world;
    drop(functions);
    world = World::start_in(dir, manual());
    assert_eq!(world.functions.state.get(&gone, "key").expect("read"), None);
    let (key, _) = world.object().await;
    assert!(key.starts_with("aws/lambda/async/kept/"), "{key}");
    world.drained().await;
    assert_eq!(world.invocations("gone"), 0);
}
