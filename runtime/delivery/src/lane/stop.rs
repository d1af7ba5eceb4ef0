//! A lane's clean stop: what is there is cut, shipped and committed, as far as the grace time goes.

use std::sync::Arc;

use super::{Life, Work};
use crate::budget::Reading;
use crate::status::Trouble;

/// A lane that stops reads on for one part in so many of the grace time.
const STOP_READ_PART: u32 = 4;

impl Life {
    /// Cuts everything; then, for a part of the grace time, reads what is there and cuts once more: what was
    /// acknowledged just before a stop is not left to the next start.
    async fn cut_all(&mut self) -> Result<(), Trouble> {
        self.turn(None, true).await?;
        let clock = Arc::clone(&self.lane.shared.clock);
        let until = clock.monotonic() + self.lane.shared.settings.stop_grace() / STOP_READ_PART;
        let mut any = false;
        while clock.monotonic() < until {
            let full = self.work.as_ref().is_none_or(Work::has_full_window);
            let memory = self.lane.shared.budget.reading(self.lane.shard) != Reading::Wait;
            let readable = tokio::select! {
                biased;
                () = self.reader.ready() => true,
                () = std::future::ready(()) => false,
            };
            if full || !memory || !readable {
                break;
            }
            // A function that others keep busy is not waited for beyond that time.
            let left = until.saturating_sub(clock.monotonic());
            let ready = Self::ready(&mut self.coming, &self.lane, &self.plan);
            let Ok(ready) = tokio::time::timeout(left, ready).await else { break };
            if !self.step(ready).await? {
                break;
            }
            any = true;
        }
        if any { self.turn(None, true).await } else { Ok(()) }
    }

    /// Cuts everything and gives what is on its way the grace time.
    pub(super) async fn stop(&mut self) {
        let grace = self.lane.shared.settings.stop_grace();
        let all = async {
            if let Err(trouble) = self.cut_all().await {
                tracing::warn!(stream = self.lane.name, code = trouble.code, "at the stop: {}", trouble.message);
            }
            self.coming = None;
            while self.under_way > 0 {
                let Some(shipped) = self.arrivals.recv().await else {
                    return;
                };
                if self.shipped(shipped).await.is_err() {
                    return;
                }
            }
            // An error here costs only work at the next start.
            drop(self.commit_progress(Vec::new(), true).await);
        };
        if tokio::time::timeout(grace, all).await.is_err() {
            tracing::info!(stream = self.lane.name, "objects wait in the outbox for the next start");
        }
    }
}
