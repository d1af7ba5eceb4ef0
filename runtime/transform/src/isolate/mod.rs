//! Functions in processes of their own: what breaks out of WebAssembly finds a process that holds one
//! function, opens nothing and reaches nobody but the server, which believes none of its words unchecked.
//!
//! A worker serves one function and one call at a time. It is the server's own executable, started with
//! [`SUBCOMMAND`] and one end of a socket pair: [`worker`] is its life, [`confine`] its walls, [`frame`]
//! and [`columns`] the words between both, [`parent`] the server's side of a worker, [`calls`] that of a function.
//!
//! The server checks the authentication code of a compiled function and sends the very bytes that it
//! checked; the key never enters a worker, so that nobody who breaks out can make code that the server
//! would believe. A worker believes its socket: only the process that started it holds the other end.

mod calls;
mod columns;
mod confine;
mod frame;
mod parent;
mod worker;

use std::path::PathBuf;

pub(crate) use calls::Isolated;
pub(crate) use parent::Workers;
pub use worker::function_child;

/// The hidden argument with which the server's own executable runs a function.
pub(crate) const SUBCOMMAND: &str = "run-function";

/// How functions are run in processes of their own.
#[derive(Debug, Clone)]
pub struct Isolation {
    /// The executable, which runs [`function_child`] when its only argument is `run-function`.
    pub exe: PathBuf,
    /// All of its environment: what its allocator is to be told, so that it reserves no memory that counts
    /// against the bound of a function's process.
    pub variables: &'static [(&'static str, &'static str)],
}
