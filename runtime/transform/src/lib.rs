//! The function host: user WebAssembly over whole batches, and nothing else that it could reach.
//!
//! A function's way: bytes → [`Compiler`] (a bounded child process makes a component of them, judges
//! its imports and compiles it) → [`seal`] (the file in the data directory) → [`Host::load`] →
//! [`Function::run`] per batch, which isolates records that the function cannot process.

mod abi;
mod artifact;
mod compiler;
mod component;
mod engine;
mod error;
mod function;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
mod guest;
mod host;
mod limits;
mod output;
mod run;
mod trace;
mod wasi;

pub use artifact::{ArtifactKey, seal};
pub use compiler::{Built, CompileLimits, Compiler, compile, compile_child};
pub use component::{Component, DeployLimits, componentize};
pub use error::Error;
pub use function::{CallError, Function, Invocation};
pub use guest::{LogLevel, LogSink, NoLog};
pub use host::{Host, Module};
pub use limits::{HostSettings, Limits};
pub use output::{Failure, Output};
pub use run::{Failed, Ran, RunStats};

#[cfg(test)]
mod testing;
