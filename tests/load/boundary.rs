//! The function boundary: a packed batch into a guest that hands it back, beside the same columns copied
//! there and back. `cargo bench -p millrace-transform --bench boundary` looks closer.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context as _;
use millrace_tests::guests;
use millrace_transform::{DeployLimits, Function, Host, HostSettings, Limits, NoLog, componentize};
use millrace_types::{Batch, BatchBuilder, SystemClock, SystemEntropy};

use crate::floors::own_cpu_s;

/// Records of a batch, as the producers send them.
const RECORDS: usize = 500;
/// Bytes of a record.
const RECORD_BYTES: usize = 100;
/// Records that are measured: seconds of CPU time, for its clock ticks a hundred times a second.
const TOTAL_RECORDS: usize = 60_000_000;

/// Nanoseconds of CPU time a record.
#[derive(Debug)]
pub(crate) struct Boundary {
    /// The columns copied there and back.
    pub(crate) memcpy_ns: f64,
    /// A fresh instance for each batch.
    pub(crate) fresh_ns: f64,
    /// One instance for all.
    pub(crate) warm_ns: f64,
}

/// Measures it over `share` of [`TOTAL_RECORDS`].
pub(crate) fn measure(share: f64) -> anyhow::Result<Boundary> {
    let mut builder = BatchBuilder::with_capacity(RECORDS, RECORDS * RECORD_BYTES);
    for number in 0..RECORDS {
        builder.push(format!("{number:0width$}", width = RECORD_BYTES).as_bytes(), 1_700_000_000_000)?;
    }
    let batch = builder.finish();
    let batches = whole(TOTAL_RECORDS as f64 * share / RECORDS as f64).max(1);
    let records = (batches * RECORDS) as f64;
    let (memcpy_s, ()) = own_cpu_s(|| {
        for _ in 0..batches {
            std::hint::black_box(there_and_back(std::hint::black_box(&batch)));
        }
        Ok(())
    })?;
    let ns = |cpu_s: f64| cpu_s * 1e9 / records;
    let fresh_s = calls(&batch, batches, 0)?;
    let warm_s = calls(&batch, batches, u32::MAX)?;
    Ok(Boundary { memcpy_ns: ns(memcpy_s), fresh_ns: ns(fresh_s), warm_ns: ns(warm_s) })
}

/// Into the guest go payload, ends and arrivals; out of it come payload, ends and sources. Answers the bytes copied.
fn there_and_back(batch: &Batch) -> usize {
    let there = std::hint::black_box((batch.payload().to_vec(), batch.ends().to_vec(), batch.arrivals_ms().to_vec()));
    let back = std::hint::black_box((there.0.clone(), there.1.clone(), there.1.clone()));
    there.0.len() + back.0.len()
}

fn calls(batch: &Batch, batches: usize, warm_batches_max: u32) -> anyhow::Result<f64> {
    let read = |name: &str| {
        let path = guests::tree().join(format!("guest-examples/wat/{name}.wat"));
        std::fs::read_to_string(&path).with_context(|| path.display().to_string())
    };
    let guest = wat::parse_str(read("component")?.replace(";; BODY", &read("identity")?))?;
    let host = Host::new(&HostSettings::default(), Arc::new(SystemClock), Arc::new(SystemEntropy))?;
    let module = host.load_component(&componentize(&guest, &DeployLimits::default())?.bytes)?;
    let limits = Limits { warm_batches_max, ..Limits::default() };
    let function = Function::new(module, BTreeMap::new(), limits, Arc::new(NoLog));
    let (cpu_s, ()) = own_cpu_s(|| {
        for _ in 0..batches {
            let output = function.call(std::hint::black_box(batch)).output.context("the guest failed")?;
            anyhow::ensure!(output.ends.len() == batch.len(), "the guest kept {} records", output.ends.len());
        }
        Ok(())
    })?;
    Ok(cpu_s)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of batches")]
fn whole(number: f64) -> usize {
    number as usize
}
