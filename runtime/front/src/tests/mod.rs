//! The whole front over a backend in memory: what a client sees on the wire.

mod fake;
mod routes;
mod wire;
