//! Asynchronous invocations: an event is durable before it is accepted, is tried up to three times, and
//! then goes, with what was wrong, to its destination.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use millrace_catalog::{EventConfig, QueuedEvent};
use millrace_sink::Object;
use millrace_tasks::Tasks;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::error::chain;
use crate::{Error, Functions, Invocation, Invoked, Throttle};

/// Retries when nothing else is configured, as at AWS.
const RETRIES: u32 = 2;
/// Age at which an event is given up when nothing else is configured, seconds: 6 hours, as at AWS.
const AGE_S: u32 = 21_600;
/// Events that run at once.
const RUNNING_MAX: usize = 8;
/// Wait before a call that was throttled is tried again.
const THROTTLED_AGAIN: Duration = Duration::from_secs(1);
/// Wait before a destination that did not take a record is tried again.
const DESTINATION_AGAIN: Duration = Duration::from_secs(10);

/// What is left of an event behind an attempt.
enum Next {
    Done,
    Again(Duration),
}

/// What came of an event's invocation.
enum Called {
    /// How it ended, in the words of its record, and its last answer.
    Done(&'static str, Option<Invoked>),
    Again(Duration),
}

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
            record: None,
            payload: invocation.payload,
        };
        let state = Arc::clone(&self.state);
        let pushed = millrace_tasks::blocking(move || state.push_event(&event)).await;
        let number = pushed.map_err(|error| match error {
            millrace_catalog::Error::Limit { .. } => Error::Throttled(Throttle::Events),
            other => Error::Catalog(other),
        })?;
        if self.event_came.send(number).await.is_err() {
            tracing::debug!(number, "the server is stopping: the event runs behind the next start");
        }
        Ok(())
    }

    /// Runs what waits when it is due, in the order of acceptance, so many at once. One that waits for its next
    /// attempt keeps no place.
    pub(crate) async fn run_events(functions: Arc<Self>, mut came: mpsc::Receiver<u64>) {
        let (done, mut ended) = mpsc::channel(RUNNING_MAX);
        let tasks = Tasks::new();
        let mut waiting: BTreeSet<(Duration, u64)> = BTreeSet::new();
        let mut running = 0;
        let state = Arc::clone(&functions.state);
        match millrace_tasks::blocking(move || state.events()).await {
            Ok(numbers) => waiting.extend(numbers.into_iter().map(|number| (Duration::ZERO, number))),
            Err(error) => {
                tracing::error!(error = chain(&error), "events that wait cannot be read; a restart tries again")
            }
        }
        loop {
            let now = functions.clock.monotonic();
            while running < RUNNING_MAX
                && let Some((due, number)) = waiting.first().copied().filter(|(due, _)| *due <= now)
            {
                waiting.remove(&(due, number));
                running += 1;
                let (functions, done) = (Arc::clone(&functions), done.clone());
                tasks.spawn("event", async move {
                    let next = functions.attempt(number).await;
                    // The loop lives as long as its tasks.
                    drop(done.send((number, next)).await);
                });
            }
            let sleep = waiting.first().map(|(due, _)| due.saturating_sub(now)).filter(|_| running < RUNNING_MAX);
            tokio::select! {
                Some(number) = came.recv() => {
                    waiting.insert((now, number));
                }
                Some((number, next)) = ended.recv() => {
                    running -= 1;
                    if let Next::Again(wait) = next {
                        waiting.insert((functions.clock.monotonic() + wait, number));
                    }
                }
                () = tokio::time::sleep(sleep.unwrap_or_default()), if sleep.is_some() => {}
            }
        }
    }

    /// One attempt at an event: at its invocation, or, when that is done, at its destination.
    async fn attempt(self: &Arc<Self>, number: u64) -> Next {
        let state = Arc::clone(&self.state);
        let mut event = match millrace_tasks::blocking(move || state.event(number)).await {
            Ok(Some(event)) => event,
            // Its function is gone.
            Ok(None) => return Next::Done,
            Err(error) => {
                tracing::error!(error = chain(&error), number, "an event does not read; it is left as it lies");
                return Next::Done;
            }
        };
        if event.record.is_none() {
            let (condition, last) = match self.call_event(&mut event).await {
                Called::Again(wait) => {
                    self.keep_event(number, &event).await;
                    return Next::Again(wait);
                }
                Called::Done(condition, last) => (condition, last),
            };
            event.record = self.record_of(&event, condition, last.as_ref());
        }
        if let Some((destination, record)) = event.record.clone()
            && let Err(why) = self.send(&destination, &event, record).await
        {
            tracing::warn!(
                function = event.function,
                destination,
                why,
                "a destination does not take the record of an event"
            );
            self.keep_event(number, &event).await;
            return Next::Again(DESTINATION_AGAIN);
        }
        let state = Arc::clone(&self.state);
        if let Err(error) = millrace_tasks::blocking(move || state.remove_event(number)).await {
            tracing::warn!(error = chain(&error), "an event that is done could not be removed: it comes again");
        }
        Next::Done
    }

    async fn call_event(self: &Arc<Self>, event: &mut QueuedEvent) -> Called {
        let config = self.event_config(event);
        let age_ms = i64::from(config.age_s.unwrap_or(AGE_S)) * 1_000;
        if self.clock.now_ms() - event.accepted_ms > age_ms {
            return Called::Done("EventAgeExceeded", None);
        }
        let invocation = Invocation {
            name: event.function.clone(),
            qualifier: Some(event.qualifier.clone()).filter(|q| !q.is_empty()),
            payload: event.payload.clone(),
            request_id: event.request_id.clone(),
            client_context: event.client_context.clone(),
        };
        match self.invoke(invocation).await {
            Ok(invoked) => {
                event.attempts += 1;
                if !invoked.failed {
                    Called::Done("Success", Some(invoked))
                } else if event.attempts > config.retries.unwrap_or(RETRIES) {
                    Called::Done("RetriesExhausted", Some(invoked))
                } else {
                    Called::Again(self.event_retry * event.attempts)
                }
            }
            // Not the event's fault: it waits, up to its age.
            Err(Error::Throttled(_) | Error::Pending(_)) => Called::Again(THROTTLED_AGAIN),
            Err(error) => {
                tracing::warn!(function = event.function, error = chain(&error), "an event has no function to go to");
                Called::Done("RetriesExhausted", None)
            }
        }
    }

    async fn keep_event(&self, number: u64, event: &QueuedEvent) {
        let (state, kept) = (Arc::clone(&self.state), event.clone());
        if let Err(error) = millrace_tasks::blocking(move || state.update_event(number, &kept)).await {
            tracing::warn!(
                error = chain(&error),
                "what is known of an event could not be kept: it may be tried more often"
            );
        }
    }

    fn event_config(&self, event: &QueuedEvent) -> EventConfig {
        let qualifier = if event.qualifier.is_empty() { crate::LATEST } else { &event.qualifier };
        let found = self.function(&event.function).ok();
        found.and_then(|function| function.event_configs.get(qualifier).cloned()).unwrap_or_default()
    }

    /// Where the record of an event goes, and the record; none when nobody wants it.
    fn record_of(&self, event: &QueuedEvent, condition: &str, last: Option<&Invoked>) -> Option<(String, String)> {
        let config = self.event_config(event);
        let wanted = if condition == "Success" { config.on_success } else { config.on_failure };
        if wanted.is_none() && condition != "Success" {
            tracing::warn!(
                function = event.function,
                request = event.request_id,
                condition,
                attempts = event.attempts,
                "an event is given up; the function has no on-failure destination"
            );
        }
        wanted.map(|destination| (destination, self.record(event, condition, last).to_string()))
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

    async fn send(self: &Arc<Self>, destination: &str, event: &QueuedEvent, record: String) -> Result<(), String> {
        match Destination::parse(destination)? {
            Destination::Function { name, qualifier } => {
                let invocation = Invocation {
                    name,
                    qualifier,
                    payload: record.into_bytes(),
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
                    content: Arc::new(bytes::Bytes::from(record.into_bytes())),
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
