//! What commands print: `println!` and its like, in this crate, end the process quietly when nobody reads any more
//! (`millrace … | head -1`), instead of in a panic. Signals stay as they are: a socket or a child's pipe that
//! closes is an error to be handled, not an end.

use std::fmt::Arguments;
use std::io::{ErrorKind, Write as _};
use std::panic::{UnwindSafe, catch_unwind, resume_unwind};
use std::process::ExitCode;

/// What a shell says of a tool that SIGPIPE ended: 128 and the signal's number.
const PIPE_CLOSED: u8 = 128 + 13;

/// Prints to stdout.
macro_rules! print {
    ($($words:tt)*) => { $crate::stdout::out(format_args!($($words)*)) };
}

/// Prints a line to stdout.
macro_rules! println {
    () => { $crate::stdout::out(format_args!("\n")) };
    ($($words:tt)*) => { $crate::stdout::out(format_args!("{}\n", format_args!($($words)*))) };
}

/// Prints to stderr.
macro_rules! eprint {
    ($($words:tt)*) => { $crate::stdout::err(format_args!($($words)*)) };
}

/// Prints a line to stderr.
macro_rules! eprintln {
    ($($words:tt)*) => { $crate::stdout::err(format_args!("{}\n", format_args!($($words)*))) };
}

/// Stdout takes nothing more. Unwinds through the command, so that all that it began is cleaned up, and through
/// no panic hook, so that nothing is said.
struct Closed {
    status: u8,
}

pub(crate) fn out(words: Arguments<'_>) {
    match std::io::stdout().write_fmt(words) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::BrokenPipe => resume_unwind(Box::new(Closed { status: PIPE_CLOSED })),
        Err(error) => {
            err(format_args!("millrace: writing to stdout: {error}\n"));
            resume_unwind(Box::new(Closed { status: 1 }))
        }
    }
}

/// What stderr does not take is lost: there is nobody left to tell.
pub(crate) fn err(words: Arguments<'_>) {
    drop(std::io::stderr().write_fmt(words));
}

/// Runs a command; the exit status is that of a tool that SIGPIPE ended when stdout was closed under it.
pub(crate) fn until_closed(command: impl FnOnce() -> ExitCode + UnwindSafe) -> ExitCode {
    catch_unwind(command).unwrap_or_else(|panic| match panic.downcast::<Closed>() {
        Ok(closed) => ExitCode::from(closed.status),
        Err(panic) => resume_unwind(panic),
    })
}
