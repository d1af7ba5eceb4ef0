//! Says on stderr what a command waits for: a terminal gets seconds that count, anything else one line. What is
//! done within a second is not said.

use std::io::IsTerminal as _;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often a terminal is told, and what is not worth a word.
const STEP: Duration = Duration::from_secs(1);

/// Something that takes time, from its beginning until this is dropped.
pub(super) struct Progress {
    ended: Option<SyncSender<()>>,
    telling: Option<JoinHandle<()>>,
}

impl Progress {
    /// Begins to say `what`.
    pub(super) fn begin(what: impl Into<String>) -> Self {
        let (what, is_terminal) = (what.into(), std::io::stderr().is_terminal());
        let (ended, end) = sync_channel(0);
        let telling = millrace_tasks::thread("progress", move || {
            let waited = || matches!(end.recv_timeout(STEP), Err(RecvTimeoutError::Timeout));
            tell(&what, is_terminal, waited, |words| eprint!("{words}"));
        });
        // Without a thread nothing is said, and all is done.
        Self { ended: Some(ended), telling: telling.ok() }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        drop(self.ended.take());
        if let Some(telling) = self.telling.take() {
            // It says words and nothing else.
            drop(telling.join());
        }
    }
}

/// Tells `say` after each second that `waited` gives, until it gives none.
fn tell(what: &str, is_terminal: bool, mut waited: impl FnMut() -> bool, mut say: impl FnMut(&str)) {
    let mut seconds = 0_u64;
    while waited() {
        seconds += 1;
        if is_terminal {
            say(&format!("\r{what} … {seconds} s"));
        } else if seconds == 1 {
            say(&format!("{what} …\n"));
        }
    }
    if is_terminal && seconds > 0 {
        // Back to the line's beginning, and empty it.
        say("\r\x1b[K");
    }
}

/// `bytes` as people read them.
pub(super) fn mib(bytes: usize) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(is_terminal: bool, seconds: usize) -> String {
        let (mut left, mut said) = (seconds, String::new());
        let waited = || {
            let is_more = left > 0;
            left = left.saturating_sub(1);
            is_more
        };
        tell("compiling 18.9 MiB", is_terminal, waited, |words| said.push_str(words));
        said
    }

    #[test]
    fn a_terminal_sees_seconds_and_a_log_one_line() {
        assert_eq!(told(true, 2), "\rcompiling 18.9 MiB … 1 s\rcompiling 18.9 MiB … 2 s\r\x1b[K");
        assert_eq!(told(false, 3), "compiling 18.9 MiB …\n");
        assert_eq!((told(true, 0), told(false, 0)), (String::new(), String::new()));
        assert_eq!(mib(19_818_086), "18.9 MiB");
    }

    #[test]
    fn what_is_done_at_once_ends_at_once() {
        let begun = Progress::begin("nothing");
        assert!(begun.telling.as_ref().is_some_and(|telling| !telling.is_finished()));
        drop(begun);
    }
}
