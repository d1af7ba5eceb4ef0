//! What a failed call says: the kind of failure, the root cause, the guest's frames by name.

use wasmtime::{Trap, WasmBacktrace};

use crate::error::cut;
use crate::guest::{Guest, TooManyHostCalls};
use crate::{CallError, wasi};

/// Bytes of a trace that go into an error object.
const TRACE_BYTES_MAX: usize = 4096;
/// What the engine says when more was returned than [`Limits::output_bytes`](crate::Limits) allows.
/// Its error type is private; a test holds this text against the engine.
const TOO_MUCH: &str = "fuel allocated for hostcalls has been exhausted";

/// Classifies what the engine answered.
pub(crate) fn classify(error: &wasmtime::Error, guest: &Guest, output_bytes_max: usize) -> CallError {
    if error.downcast_ref::<Trap>() == Some(&Trap::Interrupt) || wasi::slept_too_long(error) {
        return CallError::Deadline { trace: trace(error, guest) };
    }
    if let Some(TooManyHostCalls(max)) = error.downcast_ref() {
        return CallError::HostCalls { max: *max };
    }
    if guest.memory_refused {
        return CallError::Memory { bytes: guest.shared.limits.memory_bytes, trace: trace(error, guest) };
    }
    if error.chain().any(|cause| cause.to_string().contains(TOO_MUCH)) {
        // With frames it was in the middle of its work: an argument of a host call, not its answer.
        if error.downcast_ref::<WasmBacktrace>().is_some() {
            let text = format!("it passed more than {output_bytes_max} bytes to the host in one call");
            return CallError::Trap { trace: with_frames(text, error, guest) };
        }
        return CallError::OutputTooLarge { bytes_max: output_bytes_max };
    }
    if error.downcast_ref::<WasmBacktrace>().is_none() && error.downcast_ref::<Trap>().is_none() {
        // No frame and no trap: the canonical ABI found a value that is none, a list outside the
        // memory, text that is not UTF-8.
        return CallError::Invalid(cut(&format!("{error:#}"), TRACE_BYTES_MAX).to_owned());
    }
    CallError::Trap { trace: trace(error, guest) }
}

/// Root cause, what the guest last logged as an error, and the frames.
fn trace(error: &wasmtime::Error, guest: &Guest) -> String {
    with_frames(error.root_cause().to_string(), error, guest)
}

/// As [`trace`], with a cause in our own words.
fn with_frames(mut text: String, error: &wasmtime::Error, guest: &Guest) -> String {
    if !guest.last_error.is_empty() {
        text.push_str("; the function said: ");
        text.push_str(&guest.last_error);
    }
    if let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() {
        // Printed by the engine, so that names are demangled; its first line is a headline. The
        // engine keeps 20 frames: deep recursion has thousands of the same.
        let printed = backtrace.to_string();
        for line in printed.lines().skip(1) {
            text.push('\n');
            text.push_str(line);
        }
    }
    cut(&text, TRACE_BYTES_MAX).to_owned()
}
