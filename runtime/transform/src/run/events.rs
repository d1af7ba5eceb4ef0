//! A batch for a handler: in events that fit, each as Firehose invokes a function with it.

use super::{DEADLINES_MAX, Failed, Part, Run, index};
use crate::call::{CallContext, new_request_id};
use crate::firehose::{self, Answer, Request};
use crate::{CallError, EVENT_BYTES_MAX};

impl Run<'_> {
    /// Calls the handler with all of the batch.
    pub(super) fn events(&mut self) {
        let mut from = 0;
        while from < self.batch.len() {
            let id = new_request_id(&*self.function.shared.entropy);
            let request = firehose::request(self.batch, from, self.source, &id);
            if request.to == from {
                let bytes = self.batch.record(from).len();
                self.fail(
                    from,
                    0,
                    &CallError::Event(format!(
                        "the record of {bytes} bytes does not fit in an event of {EVENT_BYTES_MAX} bytes"
                    )),
                );
                from += 1;
                continue;
            }
            let part = Part { from, to: request.to, attempts: 0 };
            from = request.to;
            if let Some((error, attempts)) = self.event(part, &request) {
                for at in part.from..part.to {
                    self.fail(at, attempts, &error);
                }
                if self.is_over() {
                    self.give_up(Part { from, to: self.batch.len(), attempts: 0 }, &error);
                    return;
                }
            }
        }
    }

    /// Calls the handler with one event as often as it is due; answers why it failed, and how often.
    fn event(&mut self, part: Part, request: &Request) -> Option<(CallError, u32)> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            let error = match self.call_event(part, request) {
                Ok(answer) => {
                    self.take_answer(answer, part.from, attempts);
                    return None;
                }
                Err(error) => error,
            };
            // What it answered it would answer again.
            let again = !matches!(error, CallError::NotJson(_) | CallError::Invalid(_));
            if !again || attempts > self.retries || self.ran.stats.deadlines >= DEADLINES_MAX {
                return Some((error, attempts));
            }
        }
    }

    fn call_event(&mut self, part: Part, request: &Request) -> Result<Answer, CallError> {
        let caller = CallContext {
            request_id: new_request_id(&*self.function.shared.entropy),
            function_name: self.source.function_name.clone(),
            function_version: self.source.function_version.clone(),
            client_context: None,
            log: None,
        };
        let (batch, source, output) = (self.batch, self.source, &self.ran.output);
        let invocation = self.function.answer(&request.json, caller, |answer| {
            let answer = firehose::read(answer, batch, part.from..part.to, source)?;
            let bytes_max = millrace_types::PAYLOAD_BYTES_MAX;
            if output.fits(&answer.output) { Ok(answer) } else { Err(CallError::OutputTooLarge { bytes_max }) }
        });
        self.count(&invocation);
        invocation.output
    }

    fn take_answer(&mut self, answer: Answer, from: usize, attempts: u32) {
        for (at, code, message) in answer.failures {
            let index = at + index(from);
            self.ran.failures.push(Failed { index, code, message: message.into(), attempts });
        }
        self.append(answer.output, from);
    }
}
