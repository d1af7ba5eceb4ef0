//! Asynchronous invocations: an event is durable before it is accepted, is tried up to three times, and
//! then goes, with what was wrong, to its destination.

mod attempt;
mod destination;
mod record;
mod schedule;

use std::sync::Arc;
use std::time::Duration;

use millrace_catalog::{EventId, QueuedEvent};
use millrace_tasks::Tasks;
use millrace_types::MIB;
use tokio::sync::mpsc;

use crate::{Error, Functions, Invocation, Throttle};
use schedule::{RUNNING_MAX, Schedule};

/// Bytes of an event, and of the record of one.
const EVENT_BYTES_MAX: usize = MIB;

impl Functions {
    /// Takes an event of at most 1 MiB; it is durable when this returns, and runs behind it.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Failed`] for a version that never will run, [`Error::Throttled`] when as
    /// many wait as may, [`Error::TooLarge`].
    pub async fn enqueue(self: &Arc<Self>, invocation: Invocation) -> Result<(), Error> {
        self.accept(invocation, 0).await
    }

    async fn accept(self: &Arc<Self>, invocation: Invocation, hops: u32) -> Result<(), Error> {
        if invocation.payload.len() > EVENT_BYTES_MAX {
            return Err(Error::TooLarge(format!(
                "an event has at most {EVENT_BYTES_MAX} bytes, not {}",
                invocation.payload.len()
            )));
        }
        let resolved = self.resolve(&invocation.name, invocation.qualifier.as_deref())?;
        let owner = resolved.function.owner();
        match resolved.ready() {
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
            hops,
            record: None,
            ended_ms: None,
            payload: invocation.payload,
        };
        let functions = Arc::clone(self);
        millrace_tasks::blocking(move || functions.push(&owner, &event)).await
    }

    /// Blocks. It is told here that the event came, and not where this is waited for: whoever waits may go, and what
    /// is durable runs.
    fn push(&self, owner: &str, event: &QueuedEvent) -> Result<(), Error> {
        let id = self.state.push_event(owner, event).map_err(|error| match error {
            millrace_catalog::Error::Limit { .. } => Error::Throttled(Throttle::Events),
            other => Error::Catalog(other),
        })?;
        if let Err(mpsc::error::SendError(id)) = self.event_came.blocking_send(id) {
            tracing::debug!(number = id.number, "the server is stopping: the event runs behind the next start");
        }
        Ok(())
    }

    /// Runs what waits when it is due. One that waits for its next attempt keeps no place. `waiting` is what waited
    /// before anything could be told by `came`.
    pub(crate) async fn run_events(functions: Arc<Self>, waiting: Vec<EventId>, mut came: mpsc::Receiver<EventId>) {
        let (done, mut ended) = mpsc::channel(RUNNING_MAX);
        let tasks = Tasks::new();
        let mut schedule = Schedule::default();
        for id in waiting {
            schedule.add(id, Duration::ZERO);
        }
        loop {
            while let Some((id, delays)) = schedule.next(functions.clock.monotonic()) {
                let (functions, done) = (Arc::clone(&functions), done.clone());
                tasks.spawn("event", async move {
                    let next = functions.attempt(&id, delays).await;
                    // The loop lives as long as its tasks.
                    drop(done.send((id, next)).await);
                });
            }
            let sleep = schedule.due().map(|due| due.saturating_sub(functions.clock.monotonic()));
            tokio::select! {
                Some(id) = came.recv() => schedule.add(id, functions.clock.monotonic()),
                Some((id, next)) = ended.recv() => schedule.end(&id, next, functions.clock.monotonic()),
                () = tokio::time::sleep(sleep.unwrap_or_default()), if sleep.is_some() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests;
