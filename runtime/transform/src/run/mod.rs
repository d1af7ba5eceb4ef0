//! A whole batch, whatever the function does: tried again, halved (world `transform`) until what cannot
//! be processed stands alone, and never for longer than a bounded time. Every record ends in the output, in the
//! failures, or dropped by the function.

mod events;

use std::sync::Arc;
use std::time::Duration;

use millrace_types::Batch;

use crate::call::BatchSource;
use crate::error::cut;
use crate::output::{PROCESSING_FAILED, REASON_BYTES_MAX};
use crate::{CallError, Function, Invocation, Output, World};

/// Calls of one batch that may fail before the rest of it is given up: a trap costs some
/// microseconds, and isolating one record of 500 takes ten failing calls.
const FAILING_CALLS_MAX: u32 = 1_024;
/// Deadlines that may pass before the rest is given up.
const DEADLINES_MAX: u32 = 16;
/// The halving of a batch ends after this many times the function's deadline.
const DEADLINES_IN_ALL: u32 = 8;

/// The wire text for a function that failed (firehose reference, section 5).
const FUNCTION_ERROR: &str = "The Lambda function was successfully invoked but it returned an error result.";

/// What became of a batch. A record in neither was dropped by the function.
#[derive(Debug, Default)]
pub struct Ran {
    /// The output; `sources` are indices of the whole batch, `failures` is empty.
    pub output: Output,
    /// Records that were not processed, in order.
    pub failures: Vec<Failed>,
    /// What it cost.
    pub stats: RunStats,
}

impl Ran {
    /// How many of `records` (the batch's length) the function dropped.
    #[must_use]
    pub fn dropped(&self, records: usize) -> usize {
        let kept = self.output.sources.chunk_by(|a, b| a == b).count();
        records - kept - self.failures.len()
    }
}

/// A record for the error output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// Index of the record in the batch.
    pub index: u32,
    /// The error code of the error object, `Lambda.…`.
    pub code: &'static str,
    /// The error message: the wire's text, and the function's words or a symbolised trace.
    pub message: Arc<str>,
    /// Calls that had this record among theirs.
    pub attempts: u32,
}

/// What a batch cost.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct RunStats {
    /// Calls in all.
    pub calls: u32,
    /// Calls that gave no output.
    pub failed_calls: u32,
    /// Of these, calls that ran past their deadline.
    pub deadlines: u32,
    /// The calls that gave no output by kind, at the places of [`CallError::KINDS`].
    pub failed_by_kind: [u32; CallError::KINDS.len()],
    /// Calls for which a new instance was made.
    pub cold_starts: u32,
    /// Time in calls.
    pub duration: Duration,
    /// The part of it in which new instances were made and initialised.
    pub init_duration: Duration,
    /// Most bytes that an instance's memories had.
    pub memory_high_water_bytes: usize,
    /// WebAssembly operations, about: 0 on a host that does not count them.
    pub fuel: u64,
}

impl Function {
    /// As [`Self::run_from`], from the source of the function's [`Setup`](crate::Setup).
    #[must_use]
    pub fn run(&self, batch: &Batch, retries: u32) -> Ran {
        self.run_from(batch, retries, &self.shared.source)
    }

    /// Runs the function over `batch` from `source` on this thread.
    ///
    /// World `transform`: an error that the function returns for the
    /// whole batch is tried again up to `retries` times before the batch is halved; a record that
    /// fails alone is tried once more (not with `retries` 0, nor after an invalid output).
    ///
    /// World `handler`: the batch becomes Firehose's event for a transformation, or several where one
    /// would pass [`EVENT_BYTES_MAX`](crate::EVENT_BYTES_MAX), and the answer is read as Firehose reads
    /// it. An event that fails is tried again up to `retries` times, then all its records fail; an answer
    /// that is none is not tried again.
    #[must_use]
    pub fn run_from(&self, batch: &Batch, retries: u32, source: &Arc<BatchSource>) -> Ran {
        let mut run = Run { function: self, batch, source, retries, ran: Ran::default(), spent: Duration::ZERO };
        if batch.is_empty() {
            return run.ran;
        }
        if self.world() == World::Handler {
            run.events();
            return run.ran;
        }
        // Parts that are still to be done, the first on top, so that outputs come in order.
        let mut parts = vec![Part { from: 0, to: batch.len(), attempts: 0 }];
        while let Some(part) = parts.pop() {
            let Err(failed) = run.part(part) else { continue };
            let attempts = failed.attempts;
            if part.len() == 1 {
                run.fail(part.from, attempts, &failed.error);
            } else {
                let middle = part.from + part.len() / 2;
                parts.push(Part { from: middle, to: part.to, attempts });
                parts.push(Part { from: part.from, to: middle, attempts });
            }
            if run.is_over() {
                for rest in parts.drain(..).rev() {
                    run.give_up(rest, &failed.error);
                }
            }
        }
        run.ran
    }
}

/// Records `from..to` of the batch, which `attempts` calls had among theirs.
#[derive(Clone, Copy)]
struct Part {
    from: usize,
    to: usize,
    attempts: u32,
}

impl Part {
    fn len(self) -> usize {
        self.to - self.from
    }
}

struct PartFailed {
    error: CallError,
    attempts: u32,
}

struct Run<'a> {
    function: &'a Function,
    batch: &'a Batch,
    source: &'a Arc<BatchSource>,
    retries: u32,
    ran: Ran,
    /// Time in calls of parts of the batch.
    spent: Duration,
}

impl Run<'_> {
    /// Calls a part as often as it is due; its output is taken, or its last error answered.
    fn part(&mut self, part: Part) -> Result<(), PartFailed> {
        let whole = part.len() == self.batch.len();
        let slice;
        let batch = if whole {
            self.batch
        } else {
            slice = self.batch.slice(part.from, part.to);
            &slice
        };
        let deadline = self.deadline(part.len());
        let mut attempts = part.attempts;
        let mut tries = 0;
        loop {
            tries += 1;
            attempts += 1;
            let error = match self.call(batch, deadline, whole) {
                Ok(output) => {
                    self.take(output, part.from, attempts);
                    return Ok(());
                }
                Err(error) => error,
            };
            let again = match error {
                CallError::Returned(_) | CallError::State(_) if whole => self.retries,
                CallError::Invalid(_) => 0,
                _ if part.len() == 1 => self.retries.min(1),
                _ => 0,
            };
            if tries > again {
                return Err(PartFailed { error, attempts });
            }
        }
    }

    fn call(&mut self, batch: &Batch, deadline: Duration, whole: bool) -> Result<Output, CallError> {
        let invocation = self.function.transform(batch, deadline, self.source, |output| self.ran.output.fits(output));
        if !whole {
            self.spent += invocation.duration;
        }
        self.count(&invocation);
        invocation.output
    }

    fn count<T>(&mut self, invocation: &Invocation<T>) {
        let stats = &mut self.ran.stats;
        stats.calls += 1;
        stats.cold_starts += u32::from(invocation.cold_start);
        stats.duration += invocation.duration;
        stats.init_duration += invocation.init_duration;
        stats.memory_high_water_bytes = stats.memory_high_water_bytes.max(invocation.memory_high_water_bytes);
        stats.fuel = stats.fuel.saturating_add(invocation.fuel.unwrap_or(0));
        if let Err(error) = &invocation.output {
            stats.failed_calls += 1;
            stats.failed_by_kind[error.kind_index()] += 1;
            stats.deadlines += u32::from(matches!(error, CallError::Deadline { .. }));
        }
    }

    /// Half a batch needs less time than the whole; twice its share leaves room, and a tenth of the
    /// whole is left to the smallest.
    fn deadline(&self, records: usize) -> Duration {
        let whole = self.function.shared.limits.deadline;
        if records == self.batch.len() {
            return whole;
        }
        let share = whole.as_secs_f64() * 2.0 * records as f64 / self.batch.len() as f64;
        Duration::from_secs_f64(share).max(whole / 10).min(whole)
    }

    /// True when enough was tried. Retries of the whole batch are bounded by their own number.
    fn is_over(&self) -> bool {
        let stats = &self.ran.stats;
        stats.failed_calls.saturating_sub(self.retries) >= FAILING_CALLS_MAX
            || stats.deadlines >= DEADLINES_MAX
            || self.spent >= self.function.shared.limits.deadline * DEADLINES_IN_ALL
    }

    fn take(&mut self, mut output: Output, from: usize, attempts: u32) {
        let offset = index(from);
        for failure in std::mem::take(&mut output.failures) {
            let message = if failure.reason.is_empty() {
                PROCESSING_FAILED.to_owned()
            } else {
                format!("{PROCESSING_FAILED}: {}", failure.reason)
            };
            let index = failure.index + offset;
            self.ran.failures.push(Failed {
                index,
                code: "Lambda.ProcessingFailedStatus",
                message: message.into(),
                attempts,
            });
        }
        self.append(output, from);
    }

    /// Puts what records `from..` became behind what is there; it fits.
    fn append(&mut self, output: Output, from: usize) {
        if self.ran.output.is_empty() && from == 0 {
            self.ran.output = output;
        } else {
            self.ran.output.append(output, index(from));
        }
    }

    fn fail(&mut self, at: usize, attempts: u32, error: &CallError) {
        let (code, message) = self.words(error);
        self.ran.failures.push(Failed { index: index(at), code, message: message.into(), attempts });
    }

    /// Fails all records of a part that will not be looked at further.
    fn give_up(&mut self, part: Part, error: &CallError) {
        let (code, message) = self.words(error);
        // One text for all of them: there may be as many as a batch has records.
        let message: Arc<str> = format!("too many calls of this batch failed, the last because: {message}").into();
        for at in part.from..part.to {
            let (index, message) = (index(at), Arc::clone(&message));
            self.ran.failures.push(Failed { index, code, message, attempts: part.attempts });
        }
    }

    fn words(&self, error: &CallError) -> (&'static str, String) {
        match error {
            CallError::Deadline { .. } => {
                let deadline_ms = self.function.shared.limits.deadline.as_millis();
                ("Lambda.FunctionTimedOut", format!("The function did not end within {deadline_ms} ms: {error}"))
            }
            CallError::Invalid(_) => ("Lambda.InvalidReturnFormat", error.to_string()),
            CallError::NotJson(_) => ("Lambda.JsonProcessingException", error.to_string()),
            // A handler's words are as long as an answer may be.
            CallError::Returned(words) => {
                ("Lambda.FunctionError", format!("{FUNCTION_ERROR} {}", cut(words, REASON_BYTES_MAX)))
            }
            _ => ("Lambda.FunctionError", format!("{FUNCTION_ERROR} {error}")),
        }
    }
}

fn index(at: usize) -> u32 {
    // A batch has at most RECORDS_MAX records.
    u32::try_from(at).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod event_tests;
#[cfg(test)]
mod tests;
