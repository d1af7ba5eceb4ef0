//! Calls: one event and its answer, or a batch of a stream.

use std::sync::Arc;

use millrace_transform::{BatchSource, CallContext, CallError, Ran, RunStats};
use millrace_types::Batch;
use serde_json::json;

use crate::calls::Permit;
use crate::logs::Tail;
use crate::meters::Cost;
use crate::{Error, Functions, Live, Resolved};

/// An event for a function.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// The function's name.
    pub name: String,
    /// `$LATEST` when `None`.
    pub qualifier: Option<String>,
    /// The event.
    pub payload: Vec<u8>,
    /// Names the call in logs and answers.
    pub request_id: String,
    /// `X-Amz-Client-Context`, decoded.
    pub client_context: Option<String>,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Invoked {
    /// The version that ran.
    pub version: String,
    /// The answer, or the error as Lambda has it in JSON.
    pub payload: Vec<u8>,
    /// The function failed.
    pub failed: bool,
    /// The end of the call's log.
    pub log: Vec<u8>,
}

impl Functions {
    /// Calls a function with one event and waits for the answer.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Pending`], [`Error::Throttled`], [`Error::Module`].
    pub async fn invoke(self: &Arc<Self>, invocation: Invocation) -> Result<Invoked, Error> {
        let resolved = self.resolve(&invocation.name, invocation.qualifier.as_deref())?.ready()?;
        let meter = self.meters.of(&resolved.revision.function, resolved.revision.number);
        let permit = self.permit(&invocation.name, invocation.payload.len()).inspect_err(|_| meter.throttled())?;
        let live = self.live(&resolved.revision).await?;
        let (functions, usage) = (Arc::clone(self), Arc::clone(permit.usage()));
        let call = move || {
            let invoked = functions.call(&live, &resolved, &invocation);
            drop(permit);
            invoked
        };
        Ok(self.threads.run(&usage, call).await)
    }

    fn call(&self, live: &Live, resolved: &Resolved, invocation: &Invocation) -> Invoked {
        let config = &resolved.revision.config;
        let tail = Arc::new(Tail::new(self.logs.sink(&invocation.name, resolved.revision.number)));
        let context = CallContext {
            request_id: invocation.request_id.clone(),
            function_name: invocation.name.clone(),
            function_version: resolved.version.clone(),
            client_context: invocation.client_context.clone(),
            log: Some(Arc::clone(&tail) as Arc<dyn millrace_transform::LogSink>),
        };
        let id = &invocation.request_id;
        tail.write(&format!("START RequestId: {id} Version: {}", resolved.version));
        let called = live.function.handle(&invocation.payload, &context);
        let duration_ms = called.duration.as_secs_f64() * 1_000.0;
        live.meter.cost(Cost {
            calls: 1,
            duration: called.duration,
            cold_starts: u64::from(called.cold_start),
            memory_high_water_bytes: called.memory_high_water_bytes,
            memory_bytes: config.memory_bytes,
        });
        let (payload, failed) = match called.output {
            Ok(answer) => (answer, false),
            Err(error) => {
                live.meter.error(error.kind(), 1);
                let payload = function_error(&error, invocation, config.timeout_ms);
                tail.write(&String::from_utf8_lossy(&payload));
                (payload, true)
            }
        };
        tail.write(&format!("END RequestId: {id}"));
        tail.write(&format!(
            "REPORT RequestId: {id}\tDuration: {duration_ms:.2} ms\tBilled Duration: {} ms\tMemory Size: {} MB\tMax \
             Memory Used: {} MB",
            duration_ms.ceil(),
            config.memory_bytes.div_ceil(1 << 20),
            (called.memory_high_water_bytes as u64).div_ceil(1 << 20),
        ));
        Invoked { version: resolved.version.clone(), payload, failed, log: tail.end() }
    }

    /// What a lane calls: the function of a stream in the version that is drawn for this batch, in memory, with
    /// its place among the calls that may run.
    ///
    /// # Errors
    /// As [`Self::invoke`].
    pub async fn for_batch(
        self: &Arc<Self>,
        name: &str,
        qualifier: Option<&str>,
    ) -> Result<(Resolved, Arc<Live>, Permit), Error> {
        let permit = self.wait_permit(name).await?;
        // Only now: what was rolled back while it waited does not run.
        let resolved = self.resolve(name, qualifier)?.ready()?;
        let live = self.live(&resolved.revision).await?;
        Ok((resolved, live, permit))
    }

    /// Runs a version over a batch and delivers nothing.
    ///
    /// # Errors
    /// As [`Self::invoke`].
    pub async fn try_batch(
        self: &Arc<Self>,
        name: &str,
        qualifier: Option<&str>,
        batch: Batch,
    ) -> Result<(Resolved, Ran), Error> {
        let (resolved, live, permit) = self.for_batch(name, qualifier).await?;
        let place = self.catalog.place();
        let source = BatchSource {
            stream_arn: format!("arn:aws:firehose:{}:{}:deliverystream/invoke", place.region, place.account_id),
            region: place.region.clone(),
            function_name: name.to_owned(),
            function_version: resolved.version.clone(),
            ..BatchSource::default()
        };
        let usage = Arc::clone(permit.usage());
        let call = move || {
            let ran = live.run(&batch, 0, &Arc::new(source));
            drop(permit);
            ran
        };
        Ok((resolved, self.threads.run(&usage, call).await))
    }
}

impl Live {
    /// Runs over a batch on this thread, and counts it.
    #[must_use]
    pub fn run(&self, batch: &Batch, retries: u32, source: &Arc<BatchSource>) -> Ran {
        let ran = self.function.run_from(batch, retries, source);
        self.count(&ran.stats);
        let (dropped, failed) = (ran.dropped(batch.len()), ran.failures.len());
        self.meter.records((batch.len() - dropped - failed) as u64, dropped as u64, failed as u64);
        ran
    }

    /// Counts what a run has cost.
    pub(crate) fn count(&self, stats: &RunStats) {
        self.meter.cost(Cost {
            calls: u64::from(stats.calls),
            duration: stats.duration,
            cold_starts: u64::from(stats.cold_starts),
            memory_high_water_bytes: stats.memory_high_water_bytes,
            memory_bytes: self.revision.config.memory_bytes,
        });
        for (kind, count) in CallError::KINDS.iter().zip(stats.failed_by_kind).filter(|(_, count)| *count > 0) {
            self.meter.error(kind, u64::from(count));
        }
    }
}

/// The error of a call as Lambda answers it.
fn function_error(error: &CallError, invocation: &Invocation, timeout_ms: u32) -> Vec<u8> {
    let id = &invocation.request_id;
    if let CallError::Returned(text) = error
        && let Ok(given) = serde_json::from_str::<serde_json::Value>(text)
        && given.get("errorMessage").is_some_and(serde_json::Value::is_string)
    {
        return text.clone().into_bytes();
    }
    let (kind, message) = match error {
        CallError::Returned(text) => ("Error", text.clone()),
        CallError::Deadline { .. } => (
            "Sandbox.Timedout",
            format!("RequestId: {id} Error: Task timed out after {:.2} seconds", f64::from(timeout_ms) / 1_000.0),
        ),
        CallError::Memory { .. } => ("Runtime.OutOfMemory", format!("RequestId: {id} Error: {error}")),
        CallError::OutputTooLarge { .. } => ("Function.ResponseSizeTooLarge", error.to_string()),
        CallError::Invalid(_) => ("Runtime.InvalidReturn", error.to_string()),
        CallError::NotJson(_) | CallError::Event(_) => ("Runtime.InvalidEvent", error.to_string()),
        CallError::Trap { .. } | CallError::HostCalls { .. } | CallError::State(_) | CallError::Host(_) => {
            ("Runtime.ExitError", format!("RequestId: {id} Error: {error}"))
        }
    };
    json!({ "errorMessage": message, "errorType": kind }).to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use millrace_catalog::{Catalog, Place, State};
    use millrace_log::RealDisk;
    use millrace_outbound::{Outbound, OutboundSettings};
    use millrace_sink::{Buckets, Sink, SinkError};
    use millrace_transform::{ArtifactKey, CompileLimits, Compiler, Host, HostSettings};
    use millrace_types::{Clock, SeededEntropy, SystemClock};
    use serde_json::{Value, from_value};

    use super::*;
    use crate::FunctionParts;

    #[derive(Debug)]
    struct NoBuckets;

    impl Buckets for NoBuckets {
        fn open(&self, bucket: &str) -> Result<Arc<dyn Sink>, SinkError> {
            Err(SinkError::operator("NoSuchBucket", bucket))
        }
    }

    fn functions(dir: &std::path::Path) -> Arc<Functions> {
        let (clock, entropy) = (Arc::new(SystemClock) as Arc<dyn Clock>, Arc::new(SeededEntropy::new(1)));
        let place = Place { region: "us-east-1".to_owned(), account_id: "000000000000".to_owned() };
        let host = HostSettings { calls_max: 1, warm_max: 0, ..HostSettings::default() };
        let runtime = tokio::runtime::Handle::current();
        let outbound = Outbound::new(&OutboundSettings::default(), runtime, Arc::clone(&clock)).expect("a client");
        let parts = FunctionParts {
            dir: dir.join("functions"),
            disk: Arc::new(RealDisk),
            catalog: Arc::new(Catalog::open(&dir.join("catalog"), place, Arc::clone(&clock)).expect("a catalog")),
            state: Arc::new(State::open(&dir.join("state")).expect("state")),
            host: Host::new(&host, Arc::clone(&clock), Arc::clone(&entropy) as _).expect("a host"),
            compiler: Compiler { exe: "/nowhere".into(), limits: CompileLimits::default() },
            key: ArtifactKey::new(&[1; 32]),
            outbound: Arc::new(outbound),
            buckets: Arc::new(NoBuckets),
            clock,
            entropy,
            event_retry: std::time::Duration::from_secs(1),
        };
        Functions::start(parts).expect("starts")
    }

    fn revision(number: u32, state: &Value) -> millrace_catalog::Revision {
        let code = json!({ "sha256": "00", "component_bytes": 0, "uploaded_sha256": "", "uploaded_bytes": 0,
                           "world": "transform", "imports": [] });
        let config = json!({ "description": "", "role": "", "settings": {}, "memory_bytes": 65_536,
                             "timeout_ms": 1_000, "warm": false, "http_hosts": [], "key_value": false,
                             "log_group": null });
        let given = json!({ "function": "f", "function_id": 0, "number": number, "created_ms": 0, "code": code,
                            "config": config, "state": state });
        from_value(given).expect("a revision")
    }

    #[tokio::test]
    async fn a_batch_that_waits_runs_what_is_live_when_it_begins() {
        let dir = tempfile::tempdir().expect("a folder");
        let functions = functions(dir.path());
        let function = json!({ "id": 0, "name": "f", "arn": "", "created_ms": 0, "latest": 1, "last_revision": 2,
                               "last_update": "Successful", "revision_id": "", "versions": {}, "last_version": 0,
                               "aliases": {}, "reserved_concurrency": 1, "tags": {}, "event_configs": {},
                               "shadow": null });
        let function = from_value(function).expect("a function");
        let make = |number| (function, revision(number, &json!("Active")));
        functions.catalog.create_function("f", make).expect("stored");
        let place = functions.wait_permit("f").await.expect("the one place");
        let mut waits = Box::pin(functions.for_batch("f", None));
        tokio::select! {
            biased;
            _ = &mut waits => panic!("there is one place"),
            () = std::future::ready(()) => {}
        }
        // Meanwhile another revision is made the live one. It is told apart by not running.
        let failed = json!({ "Failed": { "slug": "function.module", "reason": "the second" } });
        let edited = functions.catalog.edit_function("f", |edit| {
            edit.revisions.insert(2, Arc::new(revision(2, &failed)));
            edit.function.latest = 2;
            Ok::<_, Error>(())
        });
        edited.expect("stored");
        drop(place);
        let refused = waits.await.map(drop).expect_err("it does not run");
        assert!(matches!(&refused, Error::Failed { reason, .. } if reason == "the second"), "{refused:?}");
    }
}
