//! The whole front over a backend in memory: what a client sees on the wire.

mod fake;
mod functions;
mod lambda;
mod lambda_random;
mod lambda_refusals;
mod routes;
mod wire;
