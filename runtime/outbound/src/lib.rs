//! HTTP requests of user functions: what a grant allows, which addresses may be connected to, and a
//! client that trusts neither the function, nor a name's addresses, nor the server that answers.
//!
//! Rules, each held in one file:
//! - a request goes only where a grant of the function says (`grant`), by `https` unless the grant
//!   says `http://`;
//! - a URL has one reading (`target`): no userinfo, no other spelling of an address;
//! - every address that a name resolves to is judged (`address`), and the connection goes to the
//!   judged address itself, so that a second answer of the name server changes nothing (`connect`);
//! - a request says nothing about the connection (`request`), sizes are bounded both ways;
//! - no redirect is followed, no proxy asked, no cookie kept; connections are reused by one function
//!   only (`pool`).

mod address;
mod client;
mod connect;
mod error;
mod grant;
mod pool;
mod request;
mod target;
#[cfg(test)]
mod tests;

pub use client::{Outbound, OutboundSettings};
pub use connect::{Resolver, SystemResolver};
pub use error::{OutboundError, SetupError};
pub use grant::{Allowed, GRANTS_MAX, Grant, GrantError};
pub use request::{OutboundRequest, OutboundResponse};

/// Body of a request at most, bytes.
pub const REQUEST_BYTES_MAX: usize = 1024 * 1024;
/// Body of a response at most, bytes: what Lambda answers at most.
pub const RESPONSE_BYTES_MAX: usize = 6 * 1024 * 1024;
/// Names and values of all headers of a request, or of a response, at most, bytes.
pub const HEADER_BYTES_MAX: usize = 64 * 1024;
/// Headers of a request, or of a response, at most.
pub const HEADERS_MAX: usize = 100;
/// A URL at most, bytes.
pub const URL_BYTES_MAX: usize = 8 * 1024;
/// Time for a name, a connection and TLS at most, milliseconds, within the request's whole time.
pub const CONNECT_MS_MAX: u64 = 5_000;
/// Requests of all functions that run at once, each on a connection of its own; further ones wait.
pub const REQUESTS_MAX: usize = 192;
/// Requests of one function to one host that run at once; further ones wait.
pub const REQUESTS_PER_HOST_MAX: usize = 32;
/// Connections that are kept for reuse, of all functions.
pub const IDLE_MAX: usize = 64;
/// Connections that are kept for reuse, of one function to one host.
pub const IDLE_PER_HOST_MAX: usize = 4;
/// A connection is reused within this time, milliseconds.
pub const IDLE_MS_MAX: u64 = 30_000;
/// Names that are looked up at once. A look-up cannot be stopped, so it keeps its place until it ends.
pub const LOOKUPS_MAX: usize = 16;
/// Addresses of a name at most.
pub const ADDRESSES_MAX: usize = 64;
