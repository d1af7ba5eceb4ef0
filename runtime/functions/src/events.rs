//! Asynchronous invocations: an event is durable before it is accepted, is tried up to three times, and
//! then goes, with what was wrong, to its destination.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use millrace_catalog::{EventConfig, QueuedEvent};
use millrace_sink::Object;
use millrace_tasks::Tasks;
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::error::chain;
use crate::{Error, Functions, Invocation, Invoked, Throttle};

/// Retries when nothing else is configured, as at AWS.
const RETRIES: u32 = 2;
/// Age at which an event is given up when nothing else is configured, seconds: 6 hours, as at AWS.
const AGE_S: u32 = 21_600;
/// Events that run at once.
const RUNNING_MAX: usize = 8;
/// Wait before a call that was throttled, or a destination that did not take a record, is tried again.
const AGAIN: Duration = Duration::from_secs(1);
/// The longest wait between two tries of a destination.
const AGAIN_MAX: Duration = Duration::from_secs(60);

impl Functions {
    /// Takes an event; it is durable when this returns, and runs behind it.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Failed`] for a version that never will run, [`Error::Throttled`] when as
    /// many wait as may.
    pub async fn enqueue(self: &Arc<Self>, invocation: Invocation) -> Result<(), Error> {
        match self.resolve(&invocation.name, invocation.qualifier.as_deref())?.ready() {
            // It waits for the build.
            Ok(_) | Err(Error::Pending(_)) => {}
            Err(error) => return Err(error),
        }
        let event = QueuedEvent {
            function: invocation.name,
            qualifier: invocation.qualifier.unwrap_or_default(),
            request_id: invocation.request_id,
            accepted_ms: self.clock.now_ms(),
            attempts: 0,
            client_context: invocation.client_context,
            payload: invocation.payload,
        };
        let state = Arc::clone(&self.state);
        let pushed = millrace_tasks::blocking(move || state.push_event(&event)).await;
        pushed.map_err(|error| match error {
            millrace_catalog::Error::Limit { .. } => Error::Throttled(Throttle::Events),
            other => Error::Catalog(other),
        })?;
        self.event_came.notify_one();
        Ok(())
    }

    /// Runs what waits, in the order of acceptance, so many at once.
    pub(crate) async fn run_events(functions: Arc<Self>) {
        let running: Arc<Mutex<BTreeSet<u64>>> = Arc::default();
        let tasks = Tasks::new();
        loop {
            let state = Arc::clone(&functions.state);
            let events = match millrace_tasks::blocking(move || state.events()).await {
                Ok(events) => events,
                Err(error) => {
                    tracing::error!(error = chain(&error), "events that wait cannot be read");
                    tokio::time::sleep(AGAIN_MAX).await;
                    continue;
                }
            };
            for (number, event) in events {
                if running.lock().len() >= RUNNING_MAX {
                    break;
                }
                if !running.lock().insert(number) {
                    continue;
                }
                let (functions, running) = (Arc::clone(&functions), Arc::clone(&running));
                tasks.spawn("event", async move {
                    functions.run_event(number, event).await;
                    running.lock().remove(&number);
                    functions.event_came.notify_one();
                });
            }
            functions.event_came.notified().await;
        }
    }

    /// One event to its end.
    async fn run_event(self: &Arc<Self>, number: u64, mut event: QueuedEvent) {
        let config = self.event_config(&event);
        let retries = config.retries.unwrap_or(RETRIES);
        let age_ms = i64::from(config.age_s.unwrap_or(AGE_S)) * 1_000;
        let (condition, last) = loop {
            if self.clock.now_ms() - event.accepted_ms > age_ms {
                break ("EventAgeExceeded", None);
            }
            let invocation = Invocation {
                name: event.function.clone(),
                qualifier: Some(event.qualifier.clone()).filter(|q| !q.is_empty()),
                payload: event.payload.clone(),
                request_id: event.request_id.clone(),
                client_context: event.client_context.clone(),
            };
            let invoked = match self.invoke(invocation).await {
                Ok(invoked) => invoked,
                Err(Error::Throttled(_) | Error::Pending(_)) => {
                    // Not the event's fault: it waits, up to its age.
                    tokio::time::sleep(AGAIN).await;
                    continue;
                }
                Err(error) => {
                    tracing::warn!(
                        function = event.function,
                        error = chain(&error),
                        "an event has no function to go to"
                    );
                    break ("RetriesExhausted", None);
                }
            };
            event.attempts += 1;
            if !invoked.failed {
                break ("Success", Some(invoked));
            }
            if event.attempts > retries {
                break ("RetriesExhausted", Some(invoked));
            }
            let (state, kept) = (Arc::clone(&self.state), event.clone());
            if let Err(error) = millrace_tasks::blocking(move || state.update_event(number, &kept)).await {
                tracing::warn!(
                    error = chain(&error),
                    "an event's attempts could not be kept: it may be tried more often"
                );
            }
            tokio::time::sleep(self.event_retry * event.attempts).await;
        };
        self.hand_on(&event, &config, condition, last.as_ref()).await;
        let state = Arc::clone(&self.state);
        if let Err(error) = millrace_tasks::blocking(move || state.remove_event(number)).await {
            tracing::warn!(error = chain(&error), "an event that is done could not be removed: it comes again");
        }
    }

    fn event_config(&self, event: &QueuedEvent) -> EventConfig {
        let qualifier = if event.qualifier.is_empty() { crate::LATEST } else { &event.qualifier };
        let found = self.function(&event.function).ok();
        found.and_then(|function| function.event_configs.get(qualifier).cloned()).unwrap_or_default()
    }

    /// Gives the record of an event to its destination; as often as it takes.
    async fn hand_on(
        self: &Arc<Self>,
        event: &QueuedEvent,
        config: &EventConfig,
        condition: &str,
        last: Option<&Invoked>,
    ) {
        let wanted = if condition == "Success" { &config.on_success } else { &config.on_failure };
        let Some(destination) = wanted else {
            if condition != "Success" {
                tracing::warn!(
                    function = event.function,
                    request = event.request_id,
                    condition,
                    attempts = event.attempts,
                    "an event is given up; the function has no on-failure destination"
                );
            }
            return;
        };
        let record = self.record(event, condition, last);
        let mut wait = AGAIN;
        while let Err(why) = self.send(destination, event, &record).await {
            tracing::warn!(
                function = event.function,
                destination,
                why,
                "a destination does not take the record of an event"
            );
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(AGAIN_MAX);
        }
    }

    /// The invocation record, as AWS documents it.
    fn record(&self, event: &QueuedEvent, condition: &str, last: Option<&Invoked>) -> Value {
        let json_or_text = |bytes: &[u8]| {
            serde_json::from_slice(bytes).unwrap_or_else(|_| Value::from(String::from_utf8_lossy(bytes).into_owned()))
        };
        let qualifier = if event.qualifier.is_empty() { crate::LATEST } else { &event.qualifier };
        let mut record = json!({
            "version": "1.0",
            "timestamp": timestamp(self.clock.now_ms(), "%Y-%m-%dT%H:%M:%S.%3fZ"),
            "requestContext": {
                "requestId": event.request_id,
                "functionArn": format!("{}:{qualifier}", self.arn(&event.function)),
                "condition": condition,
                "approximateInvokeCount": event.attempts,
            },
            "requestPayload": json_or_text(&event.payload),
        });
        if let Some(last) = last {
            let mut context = json!({ "statusCode": 200, "executedVersion": last.version });
            if last.failed {
                context["functionError"] = "Unhandled".into();
            }
            record["responseContext"] = context;
            record["responsePayload"] = json_or_text(&last.payload);
        }
        record
    }

    async fn send(self: &Arc<Self>, destination: &str, event: &QueuedEvent, record: &Value) -> Result<(), String> {
        match Destination::parse(destination)? {
            Destination::Function { name, qualifier } => {
                let invocation = Invocation {
                    name,
                    qualifier,
                    payload: record.to_string().into_bytes(),
                    request_id: self.entropy.uuid(),
                    client_context: None,
                };
                self.enqueue(invocation).await.map_err(|error| chain(&error))
            }
            Destination::Bucket(bucket) => {
                let now_ms = self.clock.now_ms();
                let key = format!(
                    "aws/lambda/async/{}/{}-{}",
                    event.function,
                    timestamp(now_ms, "%Y/%m/%d/%Y-%m-%dT%H.%M.%S"),
                    event.request_id
                );
                let sink = self.buckets.open(&bucket).map_err(|error| error.to_string())?;
                let object = Object {
                    key,
                    content: Arc::new(bytes::Bytes::from(record.to_string().into_bytes())),
                    content_type: "application/json",
                    content_encoding: None,
                    metadata: Vec::new(),
                };
                sink.put(&object).await.map(drop).map_err(|error| error.to_string())
            }
        }
    }
}

fn timestamp(ms: i64, pattern: &str) -> String {
    Timestamp::from_millisecond(ms).unwrap_or_default().strftime(pattern).to_string()
}

/// Where the record of an event goes.
#[derive(Debug, PartialEq, Eq)]
enum Destination {
    Function { name: String, qualifier: Option<String> },
    Bucket(String),
}

impl Destination {
    fn parse(arn: &str) -> Result<Self, String> {
        if let Some(bucket) = arn.strip_prefix("arn:aws:s3:::") {
            return Ok(Self::Bucket(bucket.to_owned()));
        }
        let parts: Vec<&str> = arn.split(':').collect();
        match parts.as_slice() {
            ["arn", "aws", "lambda", _, _, "function", name] => {
                Ok(Self::Function { name: (*name).to_owned(), qualifier: None })
            }
            ["arn", "aws", "lambda", _, _, "function", name, qualifier] => {
                Ok(Self::Function { name: (*name).to_owned(), qualifier: Some((*qualifier).to_owned()) })
            }
            _ => Err(format!(
                "the destination {arn} cannot be reached from here: name a function (arn:aws:lambda:…:function:NAME) or \
                 a bucket (arn:aws:s3:::NAME)"
            )),
        }
    }
}

impl Functions {
    /// Refuses a destination that cannot be reached from here.
    ///
    /// # Errors
    /// [`Error::Invalid`] that names it.
    pub fn check_destination(arn: &str) -> Result<(), Error> {
        Destination::parse(arn).map(drop).map_err(|text| Error::invalid("function.destination", text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_are_functions_and_buckets() {
        assert_eq!(Destination::parse("arn:aws:s3:::b"), Ok(Destination::Bucket("b".to_owned())));
        let function = Destination::parse("arn:aws:lambda:us-east-1:000000000000:function:f:live");
        let wanted = Destination::Function { name: "f".to_owned(), qualifier: Some("live".to_owned()) };
        assert_eq!(function, Ok(wanted));
        assert!(Destination::parse("arn:aws:sqs:us-east-1:1:q").is_err());
    }
}
