//! Shadows: a version that runs on a share of the live batches. Its output is compared with what was
//! delivered, record by record, and thrown away.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use millrace_transform::{BatchSource, Function, Ran};
use millrace_types::Batch;
use parking_lot::Mutex;
use serde::Serialize;

use crate::error::chain;
use crate::{Functions, Live};

/// Differences that are kept for looking at; the oldest go first.
const SAMPLES_MAX: usize = 20;
/// Bytes that are kept of each side of a difference.
const SAMPLE_BYTES_MAX: usize = 512;

/// What a shadow has shown since it was started.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ShadowReport {
    /// Batches that it ran on.
    pub batches: u64,
    /// Batches that were drawn for it while it was still busy.
    pub skipped: u64,
    /// Records of the batches.
    pub records: u64,
    /// Records that became something else.
    pub different: u64,
    /// Records that only it failed.
    pub failed_here: u64,
    /// Records that only the live version failed.
    pub failed_live: u64,
    /// Why it did not run, when it did not.
    pub error: Option<String>,
    /// The newest differences.
    pub samples: VecDeque<Difference>,
}

/// A record that became something else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Its sequence number in its shard.
    pub sequence: u64,
    /// The record.
    pub input: String,
    /// What the live version made of it.
    pub live: String,
    /// What the shadow made of it.
    pub shadow: String,
}

/// All shadows.
#[derive(Debug, Default)]
pub(crate) struct Shadows(Mutex<HashMap<String, Arc<One>>>);

/// The shadow of one function.
#[derive(Debug, Default)]
struct One {
    busy: AtomicBool,
    report: Mutex<ShadowReport>,
    /// What ran last: a function of its own, whose effects are forgotten.
    runs: Mutex<Option<(u32, Arc<Function>)>>,
}

/// The one run of a shadow; when it goes, the next may come.
struct Busy(Arc<One>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.store(false, Ordering::Release);
    }
}

impl Shadows {
    fn of(&self, function: &str) -> Arc<One> {
        Arc::clone(self.0.lock().entry(function.to_owned()).or_default())
    }

    pub(crate) fn forget(&self, function: &str) {
        self.0.lock().remove(function);
    }
}

impl Functions {
    /// What the function's shadow has shown.
    #[must_use]
    pub fn shadow_report(&self, function: &str) -> ShadowReport {
        self.shadows.of(function).report.lock().clone()
    }

    /// Has the function's shadow, if it has one and this batch is drawn for it, run on a batch whose live
    /// outcome is `ran`. Returns at once; while it is busy, batches are counted and left out.
    pub fn shadow(self: &Arc<Self>, function: &str, batch: &Batch, ran: &Arc<Ran>, source: &Arc<BatchSource>) {
        let Ok(found) = self.function(function) else { return };
        let Some(shadow) = &found.shadow else { return };
        if self.draw() >= shadow.share {
            return;
        }
        let one = self.shadows.of(function);
        if one.busy.swap(true, Ordering::AcqRel) {
            one.report.lock().skipped += 1;
            return;
        }
        let busy = Busy(one);
        let version = shadow.version.map(|version| version.to_string());
        let (functions, name) = (Arc::clone(self), function.to_owned());
        let (batch, ran, source) = (batch.clone(), Arc::clone(ran), Arc::clone(source));
        self.tasks.spawn("shadow", async move {
            let resolved = functions.resolve(&name, version.as_deref()).and_then(crate::Resolved::ready);
            let ready = match resolved {
                Ok(resolved) => functions.live(&resolved.revision).await.map(|live| (live, resolved.version)),
                Err(error) => Err(error),
            };
            match ready {
                Ok((live, function_version)) => {
                    let source = BatchSource { function_name: name, function_version, ..(*source).clone() };
                    let own = Arc::clone(&functions);
                    let run = move || own.compare(&busy, &live, &batch, &ran, &Arc::new(source));
                    functions.threads.run_behind(run).await;
                }
                Err(error) => busy.0.report.lock().error = Some(chain(&error)),
            }
        });
    }

    fn compare(&self, busy: &Busy, live: &Live, batch: &Batch, ran: &Ran, source: &Arc<BatchSource>) {
        let number = live.revision.number;
        let mut runs = busy.0.runs.lock();
        if runs.as_ref().is_none_or(|(before, _)| *before != number) {
            let function = Function::with(Arc::clone(live.function.module()), self.setup(&live.revision, false));
            *runs = Some((number, Arc::new(function)));
        }
        let function = runs.as_ref().map(|(_, function)| Arc::clone(function));
        drop(runs);
        let Some(function) = function else { return };
        let shadow = function.run_from(batch, 0, source);
        live.count(&shadow.stats);
        busy.0.report.lock().note(batch, ran, &shadow);
    }
}

/// What a record became: its outputs with their partition keys, or its failure.
#[derive(Debug, PartialEq, Eq, Default)]
struct Became<'a> {
    outputs: Vec<(&'a [u8], Vec<&'a [u8]>)>,
    failure: Option<&'a str>,
}

fn became(ran: &Ran) -> BTreeMap<u32, Became<'_>> {
    let mut all: BTreeMap<u32, Became<'_>> = BTreeMap::new();
    let output = &ran.output;
    for (at, source) in output.sources.iter().enumerate() {
        let keys = (0..output.partition_names.len()).map(|name| output.partition(at, name).as_bytes()).collect();
        all.entry(*source).or_default().outputs.push((output.columns().record(at), keys));
    }
    for failed in &ran.failures {
        all.entry(failed.index).or_default().failure = Some(failed.code);
    }
    all
}

impl ShadowReport {
    fn note(&mut self, batch: &Batch, live: &Ran, shadow: &Ran) {
        (self.batches, self.error) = (self.batches + 1, None);
        self.records += batch.len() as u64;
        let names_differ = live.output.partition_names != shadow.output.partition_names;
        let (live, shadow) = (became(live), became(shadow));
        let dropped = Became::default();
        for (index, input) in (0u32..).zip(batch.columns().iter()) {
            let (a, b) = (live.get(&index).unwrap_or(&dropped), shadow.get(&index).unwrap_or(&dropped));
            if a == b && (!names_differ || a.outputs.is_empty()) {
                continue;
            }
            self.different += 1;
            self.failed_here += u64::from(b.failure.is_some() && a.failure.is_none());
            self.failed_live += u64::from(a.failure.is_some() && b.failure.is_none());
            if self.samples.len() >= SAMPLES_MAX {
                self.samples.pop_front();
            }
            let sequence = batch.first().plus(u64::from(index)).get();
            let difference = Difference { sequence, input: shown(input), live: a.shown(), shadow: b.shown() };
            self.samples.push_back(difference);
        }
    }
}

impl Became<'_> {
    fn shown(&self) -> String {
        if let Some(code) = self.failure {
            return format!("failed: {code}");
        }
        if self.outputs.is_empty() {
            return "dropped".to_owned();
        }
        let mut text = String::new();
        for (bytes, keys) in &self.outputs {
            if text.len() > SAMPLE_BYTES_MAX {
                text.push_str(" | …");
                break;
            }
            if !text.is_empty() {
                text.push_str(" | ");
            }
            text.push_str(&shown(bytes));
            if !keys.is_empty() {
                let keys: Vec<String> = keys.iter().map(|key| shown(key)).collect();
                text.push_str(&format!(" [{}]", keys.join(", ")));
            }
        }
        text
    }
}

fn shown(bytes: &[u8]) -> String {
    let cut = &bytes[..bytes.len().min(SAMPLE_BYTES_MAX)];
    let mut text = String::from_utf8_lossy(cut).into_owned();
    if cut.len() < bytes.len() {
        text.push('…');
    }
    text
}
