//! For this crate's tests: guests written in WAT, batches, hosts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use millrace_types::{Batch, BatchBuilder, KIB, SeededEntropy, Seq, SystemClock};
use parking_lot::Mutex;

use crate::{Function, Host, HostSettings, KeyValue, Limits, LogLevel, LogSink, NoLog, Setup, Writes};

/// The text of `guest-examples/wat/NAME.wat`.
pub(crate) fn text(name: &str) -> String {
    std::fs::read_to_string(format!("{}/../../guest-examples/wat/{name}.wat", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// The component around `body`, assembled.
pub(crate) fn component(body: &str) -> Vec<u8> {
    wat::parse_str(text("component").replace(";; BODY", body)).unwrap()
}

/// The component of `guest-examples/wat/NAME.wat`.
pub(crate) fn guest(name: &str) -> Vec<u8> {
    component(&text(name))
}

pub(crate) fn batch(records: &[&str]) -> Batch {
    let mut builder = BatchBuilder::default();
    for record in records {
        builder.push(record.as_bytes(), 1_700_000_000_000).unwrap();
    }
    let mut batch = builder.finish();
    batch.set_first(Seq::new(42));
    batch
}

/// Settings of a host with little address space: tests run many at once.
pub(crate) fn host_settings() -> HostSettings {
    HostSettings {
        calls_max: 2,
        warm_max: 2,
        epoch_tick: Duration::from_millis(1),
        keep_resident_bytes: 64 * KIB,
        deterministic: false,
        compile_cache: None,
    }
}

pub(crate) fn host() -> Arc<Host> {
    Host::new(&host_settings(), Arc::new(SystemClock), Arc::new(SeededEntropy::new(7))).unwrap()
}

/// The handler that does what its event says: see `guest-examples/wat/handler.wat`.
pub(crate) fn handler(setup: Setup) -> Function {
    let component = wat::parse_str(text("handler")).unwrap();
    Function::with(host().load_component(&component).unwrap(), setup)
}

/// Orders for the handler.
pub(crate) fn orders(orders: &[(char, &str, &str)]) -> Vec<u8> {
    let mut event = Vec::new();
    for (order, first, second) in orders {
        event.push(*order as u8);
        for word in [first, second] {
            event.extend_from_slice(&u32::try_from(word.len()).unwrap().to_le_bytes());
            event.extend_from_slice(word.as_bytes());
        }
    }
    event
}

/// Orders for the handler when it is given Firehose's events. They are a setting, so text: what is to
/// be answered is cut into words whose lengths are ASCII.
pub(crate) fn with_orders(list: &[(char, &str, &str)]) -> Setup {
    let mut orders = Vec::new();
    for (order, first, second) in list {
        let words = if *order == 'e' { first.as_bytes().chunks(127).collect() } else { vec![first.as_bytes()] };
        for word in words {
            orders.extend(self::orders(&[(*order, std::str::from_utf8(word).unwrap(), second)]));
        }
    }
    let orders = String::from_utf8(orders).unwrap();
    Setup { settings: BTreeMap::from([("orders".to_owned(), orders)]), ..Setup::default() }
}

/// State in memory.
#[derive(Debug, Default)]
pub(crate) struct Store {
    pub(crate) kept: Mutex<BTreeMap<String, Vec<u8>>>,
    /// Refuse that many commits, or reads, from now on.
    pub(crate) refuse_commits: Mutex<u32>,
    pub(crate) refuse_gets: Mutex<u32>,
}

fn refuse(left: &Mutex<u32>) -> Result<(), String> {
    let mut left = left.lock();
    if *left == 0 {
        return Ok(());
    }
    *left -= 1;
    Err("the store is away".to_owned())
}

impl KeyValue for Store {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, String> {
        refuse(&self.refuse_gets)?;
        Ok(self.kept.lock().get(key).cloned())
    }

    fn keys(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<String>, String> {
        let kept = self.kept.lock();
        let all = kept.keys().filter(|key| key.starts_with(prefix) && after.is_none_or(|after| key.as_str() > after));
        Ok(all.take(limit).cloned().collect())
    }

    fn commit(&self, writes: &Writes) -> Result<(), String> {
        refuse(&self.refuse_commits)?;
        let mut kept = self.kept.lock();
        for (key, value) in writes {
            match value {
                Some(value) => kept.insert(key.clone(), value.clone()),
                None => kept.remove(key),
            };
        }
        Ok(())
    }
}

/// Keeps the lines that it is given.
#[derive(Default)]
pub(crate) struct Lines(pub(crate) Mutex<Vec<String>>);

impl LogSink for Lines {
    fn line(&self, _: LogLevel, message: &str) {
        self.0.lock().push(message.to_owned());
    }
}

pub(crate) fn function(component: &[u8], limits: Limits) -> Function {
    function_with(component, limits, &[], Arc::new(NoLog))
}

pub(crate) fn function_with(
    component: &[u8],
    limits: Limits,
    settings: &[(&str, &str)],
    log: Arc<dyn LogSink>,
) -> Function {
    let module = host().load_component(component).unwrap();
    let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Function::new(module, settings, limits, log)
}
