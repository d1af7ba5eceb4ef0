//! One attempt at an event: at its invocation, or, when that is done, at its destination.

use std::sync::Arc;
use std::time::Duration;

use millrace_catalog::{Error as StateError, EventConfig, EventId, QueuedEvent};
use millrace_types::Backoff;

use super::record::record;
use super::schedule::Next;
use crate::error::chain;
use crate::{Error, Functions, Invocation, Invoked};

/// Retries when nothing else is configured, as at AWS.
const RETRIES: u32 = 2;
/// Age at which an event is given up when nothing else is configured, seconds: 6 hours, as at AWS.
const AGE_S: u32 = 21_600;
/// Records of failed events that one event may come through; its own is not sent on. AWS stops loops at about as many.
const HOPS_MAX: u32 = 16;
/// Waits of an event that could not be run, through no fault of its own.
const LATER: Backoff = Backoff { base: Duration::from_secs(1), cap: Duration::from_secs(60) };
/// Waits for a destination that does not take a record.
const DESTINATION: Backoff = Backoff { base: Duration::from_secs(10), cap: Duration::from_secs(600) };

/// What came of an event's invocation.
enum Called {
    Succeeded,
    /// How it ended, in the words of its record, and its last answer.
    GivenUp(&'static str, Option<Invoked>),
    /// It failed, and is tried again.
    Failed,
    /// It could not be made.
    Later,
}

impl Functions {
    /// `delays` attempts before this one came to nothing, one behind the other.
    pub(super) async fn attempt(self: &Arc<Self>, id: &EventId, delays: u32) -> Next {
        let later = || self.after(LATER, delays);
        let (state, key) = (Arc::clone(&self.state), id.clone());
        let mut event = match millrace_tasks::blocking(move || state.event(&key)).await {
            Ok(Some(event)) => event,
            // Its function is gone.
            Ok(None) => return Next::Done,
            Err(error @ StateError::Damaged { .. }) => {
                tracing::error!(error = chain(&error), "an event does not read; it is left as it lies");
                return Next::Done;
            }
            Err(error) => {
                tracing::warn!(error = chain(&error), "an event could not be read; it is tried again");
                return later();
            }
        };
        if self.function(&event.function).map_or(true, |function| function.owner() != id.owner) {
            // Its function was deleted when it was on its way.
            return self.remove(id).await;
        }
        if event.record.is_none() {
            let (condition, last) = match self.call_event(&mut event).await {
                Called::Succeeded => return self.remove(id).await,
                Called::Later => return later(),
                Called::Failed => {
                    self.keep(id, &event).await;
                    return Next::Again { wait: self.event_retry * event.attempts, delays: 0 };
                }
                Called::GivenUp(condition, last) => (condition, last),
            };
            if !self.end(&mut event, condition, last.as_ref()) {
                return self.remove(id).await;
            }
            // Durable before it is sent, so that it is the same one however often that is.
            if !self.keep(id, &event).await {
                return later();
            }
            return self.deliver(id, &event, 0).await;
        }
        self.deliver(id, &event, delays).await
    }

    async fn call_event(self: &Arc<Self>, event: &mut QueuedEvent) -> Called {
        let config = self.event_config(event);
        if self.clock.now_ms() - event.accepted_ms > age_ms(&config) {
            return Called::GivenUp("EventAgeExceeded", None);
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
                    Called::Succeeded
                } else if event.attempts > config.retries.unwrap_or(RETRIES) {
                    Called::GivenUp("RetriesExhausted", Some(invoked))
                } else {
                    Called::Failed
                }
            }
            Err(error) if is_passing(&error) => {
                if !matches!(error, Error::Throttled(_) | Error::Pending(_)) {
                    tracing::warn!(function = event.function, error = chain(&error), "an event cannot be run now");
                }
                Called::Later
            }
            Err(error) => {
                tracing::warn!(function = event.function, error = chain(&error), "an event has no function to go to");
                Called::GivenUp("RetriesExhausted", None)
            }
        }
    }

    /// Ends an event that is given up: answers whether there is a record to be sent.
    fn end(&self, event: &mut QueuedEvent, condition: &str, last: Option<&Invoked>) -> bool {
        let ended_ms = self.clock.now_ms();
        let why = match self.event_config(event).on_failure {
            None => "the function has no on-failure destination",
            Some(_) if event.hops >= HOPS_MAX => "it came through as many records of failed events as may be: a loop",
            Some(destination) => {
                let text = record(event, &self.arn(&event.function), ended_ms, condition, last);
                event.record = Some((destination, text));
                event.ended_ms = Some(ended_ms);
                // The record has it.
                event.payload.clear();
                return true;
            }
        };
        let (function, request, attempts) = (&event.function, &event.request_id, event.attempts);
        tracing::warn!(
            function,
            request,
            condition,
            attempts,
            why,
            "an event is given up, and no record of it is sent"
        );
        false
    }

    async fn deliver(self: &Arc<Self>, id: &EventId, event: &QueuedEvent, delays: u32) -> Next {
        let Some((destination, record)) = event.record.clone() else { return Next::Done };
        if let Err(why) = self.send(&destination, event, record).await {
            let (function, request) = (&event.function, &event.request_id);
            let since_ms = self.clock.now_ms() - event.ended_ms.unwrap_or(event.accepted_ms);
            if since_ms <= age_ms(&self.event_config(event)) {
                tracing::warn!(
                    function,
                    request,
                    destination,
                    why,
                    "a destination does not take the record of an event"
                );
                return self.after(DESTINATION, delays);
            }
            tracing::warn!(
                function,
                request,
                destination,
                why,
                "a destination has not taken the record of an event for as long as an event may wait: it is given up"
            );
        }
        self.remove(id).await
    }

    fn after(&self, backoff: Backoff, delays: u32) -> Next {
        let delays = delays.saturating_add(1);
        Next::Again { wait: backoff.delay(delays, &*self.entropy), delays }
    }

    async fn remove(&self, id: &EventId) -> Next {
        let (state, id) = (Arc::clone(&self.state), id.clone());
        if let Err(error) = millrace_tasks::blocking(move || state.remove_event(&id)).await {
            tracing::warn!(
                error = chain(&error),
                "an event that is done could not be removed: it comes again at the next start"
            );
        }
        Next::Done
    }

    /// Keeps what is new about an event; whether that was possible.
    async fn keep(&self, id: &EventId, event: &QueuedEvent) -> bool {
        let (state, id, event) = (Arc::clone(&self.state), id.clone(), event.clone());
        let kept = millrace_tasks::blocking(move || state.update_event(&id, &event)).await;
        if let Err(error) = &kept {
            tracing::warn!(
                error = chain(error),
                "what is known of an event could not be kept: it may be tried more often"
            );
        }
        kept.is_ok()
    }

    fn event_config(&self, event: &QueuedEvent) -> EventConfig {
        let qualifier = if event.qualifier.is_empty() { crate::LATEST } else { &event.qualifier };
        let found = self.function(&event.function).ok();
        found.and_then(|function| function.event_configs.get(qualifier).cloned()).unwrap_or_default()
    }
}

fn age_ms(config: &EventConfig) -> i64 {
    i64::from(config.age_s.unwrap_or(AGE_S)) * 1_000
}

/// Whether the call could not be made for a reason that may pass: there is no room for it, the version is being built,
/// or the server itself fails, at a version that was built and started once. Not when what was named is not there or
/// never will run.
fn is_passing(error: &Error) -> bool {
    matches!(
        error,
        Error::Throttled(_) | Error::Pending(_) | Error::Module { .. } | Error::Files(_) | Error::Catalog(_)
    )
}
