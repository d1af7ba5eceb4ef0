//! The function host: user WebAssembly over whole batches or single events, and nothing else that it
//! could reach.
//!
//! A function's way: bytes → [`Compiler::judge`] (a bounded child process makes a component of them and
//! judges its world and its imports) → [`Compiler::compile`] (another one) → [`seal`] (the file in the
//! data directory) → [`Host::load`] → [`Function::with`] what its revision gives it →
//! [`Function::run_from`] per batch, which isolates records that the function cannot process, or
//! [`Function::handle`] per event.

mod abi;
mod artifact;
mod cache;
mod call;
mod compiler;
mod component;
mod engine;
mod error;
mod firehose;
mod function;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
mod guest;
mod host;
mod isolate;
mod limits;
mod output;
mod run;
mod trace;
mod wasi;

pub use artifact::{ArtifactKey, SEAL_BYTES, open_cache, seal, seal_cache};
pub use cache::{CACHE_BYTES_MAX, CompileCache};
pub use call::{BatchSource, CallContext, Setup};
pub use compiler::{CompileLimits, Compiled, Compiler, compile, compile_child};
pub use component::{Component, DeployLimits, Grants, World, componentize};
pub use error::Error;
pub use firehose::{EventRecords, event_to_batch, outcome_to_event};
pub use function::{CallError, EventInvocation, Function, Invocation};
pub use guest::{KeyValue, LogLevel, LogSink, NoLog, Outbound, OutboundRequest, OutboundResponse, Writes};
pub use host::{Host, Module};
pub use isolate::{Isolation, function_child};
pub use limits::{ANSWER_BYTES_MAX, EVENT_BYTES_MAX, HostSettings, Limits};
pub use output::{Failure, Output};
pub use run::{Failed, Ran, RunStats};

#[cfg(test)]
mod testing;
