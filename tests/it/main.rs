//! The one integration binary: each test starts the real server on a free port, with a data
//! directory of its own.

mod commands;
mod exactly_once;
mod functions;
mod input;
mod isolate;
mod lambda;
mod limits;
mod parked;
mod projects;
mod rollout;
mod sdk;
mod start_stop;
mod vector_losses;
mod world;
