//! The `millrace` binary.

// First: its macros are for all that follow.
#[macro_use]
mod stdout;

mod admin;
mod assemble;
mod cli;
mod client;
#[cfg(test)]
mod fuzz;
mod lambda;
mod metrics;
mod named;
mod settings;
mod signal;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Children that compile or run functions come before anything else is set up: they must own nothing.
    match std::env::args().nth(1).as_deref() {
        Some("compile-function") => return millrace_transform::compile_child(),
        Some("run-function") => return millrace_transform::function_child(),
        _ => {}
    }
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        eprintln!("millrace: another TLS provider is installed already");
        return ExitCode::FAILURE;
    }
    stdout::until_closed(|| match cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("millrace: {}", cli::told(&error));
            ExitCode::FAILURE
        }
    })
}
