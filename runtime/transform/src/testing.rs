//! For this crate's tests: guests written in WAT, batches, hosts.

use std::sync::Arc;
use std::time::Duration;

use millrace_types::{Batch, BatchBuilder, KIB, SeededEntropy, Seq, SystemClock};

use crate::{Function, Host, HostSettings, Limits, LogSink, NoLog};

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

/// A host with little address space: tests run many at once.
pub(crate) fn host() -> Arc<Host> {
    let settings = HostSettings {
        calls_max: 2,
        warm_max: 2,
        epoch_tick: Duration::from_millis(1),
        keep_resident_bytes: 64 * KIB,
        deterministic: false,
    };
    Host::new(&settings, Arc::new(SystemClock), Arc::new(SeededEntropy::new(7))).unwrap()
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
