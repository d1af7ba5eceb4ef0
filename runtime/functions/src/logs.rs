//! Log lines of functions: to the server's log, a bounded number a second, and kept per function for
//! `millrace logs` and the Lambda log tail.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use millrace_transform::{LogLevel, LogSink};
use millrace_types::{Clock, KIB};
use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::watch;

use crate::Functions;
use crate::meters::label;

/// Lines that are written into the server's log in one second, of all functions; the rest is counted.
const SERVER_LINES_PER_SECOND: u32 = 200;
/// Bytes of lines that are kept of one function; the oldest go first.
const FUNCTION_BYTES_MAX: usize = 256 * KIB;
/// Functions whose lines are kept; the one that was silent longest goes first.
const FUNCTIONS_MAX: usize = 256;
/// What a line costs besides its text.
const LINE_BYTES: usize = 64;
/// Lines that a function can write in a millisecond without two books of it having a number in common.
const LINES_PER_MS: u64 = 1_000;
/// Lines of one page.
const PAGE_LINES_MAX: usize = 1_000;

/// A line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LogLine {
    /// Its number: more than that of any line before it, also of those from before a start of the server.
    pub seq: u64,
    /// When it was written, milliseconds since the Unix epoch.
    pub time_ms: i64,
    /// `debug`, `info`, `warn` or `error`.
    pub level: &'static str,
    /// The revision that wrote it.
    pub revision: u32,
    /// What that revision is called at the moment of the answer, as in [`Functions::metered`]; empty until then.
    pub version: String,
    /// The text, with control characters escaped.
    pub message: String,
}

/// Lines behind a number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogPage {
    /// The lines, the oldest first.
    pub lines: Vec<LogLine>,
    /// Where the next page begins: the last line's number, or what was asked for.
    pub next: u64,
    /// Lines before the first one here that are not kept any more.
    pub lost: u64,
}

/// All lines that are kept.
pub(crate) struct Logs {
    clock: Arc<dyn Clock>,
    books: Mutex<HashMap<String, Book>>,
    share: Mutex<Share>,
    /// Told with each line.
    wrote: watch::Sender<()>,
}

impl std::fmt::Debug for Logs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Logs").finish_non_exhaustive()
    }
}

struct Book {
    lines: VecDeque<LogLine>,
    bytes: usize,
    /// The number before the book's first line.
    begin: u64,
    last: u64,
    written_ms: i64,
}

#[derive(Default)]
struct Share {
    second: u64,
    lines: u32,
    left_out: u64,
}

impl Book {
    /// An empty one. It may not be the function's first: its numbers go on from the clock, so that whoever read
    /// another one to its end misses nothing of this one.
    fn begun(now_ms: i64) -> Self {
        let begin = u64::try_from(now_ms).unwrap_or(0).saturating_mul(LINES_PER_MS);
        Self { lines: VecDeque::new(), bytes: 0, begin, last: begin, written_ms: now_ms }
    }
}

impl Logs {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, books: Mutex::default(), share: Mutex::default(), wrote: watch::Sender::new(()) }
    }

    /// Where a revision's lines go.
    pub(crate) fn sink(self: &Arc<Self>, function: &str, revision: u32) -> Arc<dyn LogSink> {
        Arc::new(Sink { logs: Arc::clone(self), function: function.to_owned(), revision })
    }

    pub(crate) fn forget(&self, function: &str) {
        self.books.lock().remove(function);
    }

    fn keep(&self, function: &str, revision: u32, level: LogLevel, message: String) {
        let time_ms = self.clock.now_ms();
        let mut books = self.books.lock();
        if !books.contains_key(function) && books.len() >= FUNCTIONS_MAX {
            let silent = books.iter().min_by_key(|(_, book)| book.written_ms).map(|(name, _)| name.clone());
            books.remove(&silent.unwrap_or_default());
        }
        let book = books.entry(function.to_owned()).or_insert_with(|| Book::begun(time_ms));
        book.last += 1;
        book.written_ms = time_ms;
        book.bytes += message.len() + LINE_BYTES;
        let (seq, level, version) = (book.last, level_name(level), String::new());
        book.lines.push_back(LogLine { seq, time_ms, level, revision, version, message });
        while book.bytes > FUNCTION_BYTES_MAX {
            let Some(gone) = book.lines.pop_front() else { break };
            book.bytes -= gone.message.len() + LINE_BYTES;
        }
        drop(books);
        self.wrote.send_replace(());
    }

    /// Whether one more line may go to the server's log now, and how many were left out before it.
    fn take(&self) -> Option<u64> {
        let second = self.clock.monotonic().as_secs();
        let mut share = self.share.lock();
        if share.second != second {
            share.second = second;
            share.lines = 0;
        }
        if share.lines >= SERVER_LINES_PER_SECOND {
            share.left_out += 1;
            return None;
        }
        share.lines += 1;
        Some(std::mem::take(&mut share.left_out))
    }

    fn page(&self, function: &str, after: u64) -> LogPage {
        let books = self.books.lock();
        let Some(book) = books.get(function) else { return LogPage { lines: Vec::new(), next: after, lost: 0 } };
        // Numbers from before the book tell of lines that nobody counts any more; numbers behind it, of a clock
        // that was set back.
        let after = if after > book.last { book.begin } else { after.max(book.begin) };
        let lines: Vec<LogLine> =
            book.lines.iter().filter(|line| line.seq > after).take(PAGE_LINES_MAX).cloned().collect();
        let first = lines.first().map_or(book.last + 1, |line| line.seq);
        let next = lines.last().map_or(book.last, |line| line.seq);
        LogPage { lines, next, lost: (first - 1).saturating_sub(after) }
    }
}

impl Functions {
    /// Lines of a function behind number `after`; waits until `wait` for one when there is none.
    pub async fn logs(&self, function: &str, after: u64, wait: std::time::Duration) -> LogPage {
        let mut wrote = self.logs.wrote.subscribe();
        let end = self.clock.monotonic() + wait;
        loop {
            wrote.mark_unchanged();
            let mut page = self.logs.page(function, after);
            self.label(function, &mut page.lines);
            if !page.lines.is_empty()
                || tokio::time::timeout(end.saturating_sub(self.clock.monotonic()), wrote.changed()).await.is_err()
            {
                return page;
            }
        }
    }

    fn label(&self, function: &str, lines: &mut [LogLine]) {
        let snapshot = self.catalog.snapshot();
        let function = snapshot.function(function).map(AsRef::as_ref);
        let mut labels = BTreeMap::new();
        for line in lines {
            let label = labels.entry(line.revision).or_insert_with(|| label(function, line.revision));
            line.version.clone_from(label);
        }
    }
}

struct Sink {
    logs: Arc<Logs>,
    function: String,
    revision: u32,
}

impl LogSink for Sink {
    fn line(&self, level: LogLevel, message: &str) {
        let line = escaped(message);
        if let Some(left_out) = self.logs.take() {
            let (function, revision) = (&self.function, self.revision);
            if left_out > 0 {
                tracing::warn!(left_out, "log lines of functions were left out");
            }
            match level {
                LogLevel::Debug => tracing::debug!(function, revision, "{line}"),
                LogLevel::Info => tracing::info!(function, revision, "{line}"),
                LogLevel::Warn => tracing::warn!(function, revision, "{line}"),
                LogLevel::Error => tracing::error!(function, revision, "{line}"),
            }
        }
        self.logs.keep(&self.function, self.revision, level, line);
    }
}

/// A guest must not be able to write lines of its own into the log.
fn escaped(message: &str) -> String {
    let mut line = String::with_capacity(message.len());
    for c in message.chars() {
        if c.is_control() { line.extend(c.escape_default()) } else { line.push(c) }
    }
    line
}

fn level_name(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Debug => "debug",
        LogLevel::Info => "info",
        LogLevel::Warn => "warn",
        LogLevel::Error => "error",
    }
}

/// Keeps the lines of one call as well, up to a size: Lambda's log tail.
pub(crate) struct Tail {
    inner: Arc<dyn LogSink>,
    lines: Mutex<Vec<u8>>,
}

/// Bytes of `X-Amz-Log-Result`, before base64.
pub(crate) const TAIL_BYTES: usize = 4 * KIB;

impl Tail {
    pub(crate) fn new(inner: Arc<dyn LogSink>) -> Self {
        Self { inner, lines: Mutex::default() }
    }

    /// The last 4 KiB.
    pub(crate) fn end(&self) -> Vec<u8> {
        let lines = self.lines.lock();
        lines[lines.len().saturating_sub(TAIL_BYTES)..].to_vec()
    }

    pub(crate) fn write(&self, line: &str) {
        let mut lines = self.lines.lock();
        lines.extend_from_slice(line.as_bytes());
        lines.push(b'\n');
        // Seldom, and then down to what is shown: a flood of lines costs no more than a few.
        if lines.len() > 2 * TAIL_BYTES {
            let over = lines.len() - TAIL_BYTES;
            lines.drain(..over);
        }
    }
}

impl LogSink for Tail {
    fn line(&self, level: LogLevel, message: &str) {
        self.write(message);
        self.inner.line(level, message);
    }
}

#[cfg(test)]
mod tests {
    use millrace_types::ManualClock;

    use super::*;

    #[test]
    fn lines_are_numbered_bounded_and_said_to_be_lost() {
        let logs = Arc::new(Logs::new(Arc::new(ManualClock::at(7))));
        let sink = logs.sink("f", 3);
        sink.line(LogLevel::Warn, "a\nb");
        let page = logs.page("f", 0);
        assert_eq!((page.next, page.lost), (7_001, 0));
        assert_eq!((page.lines[0].message.as_str(), page.lines[0].level), ("a\\nb", "warn"));
        assert_eq!(logs.page("f", 7_001), LogPage { lines: vec![], next: 7_001, lost: 0 });
        for _ in 0..3 {
            sink.line(LogLevel::Info, &"x".repeat(FUNCTION_BYTES_MAX / 2));
        }
        let page = logs.page("f", 7_001);
        assert_eq!((page.lines.len(), page.next, page.lost), (1, 7_004, 2));
        assert_eq!(logs.page("f", 99_000).lines.len(), 1, "a clock that was set back hides nothing");
        assert_eq!(logs.page("g", 5), LogPage { lines: vec![], next: 5, lost: 0 });
    }

    #[test]
    fn a_book_that_begins_anew_is_read_from_its_start() {
        let clock = Arc::new(ManualClock::at(7));
        let logs = Arc::new(Logs::new(Arc::clone(&clock) as Arc<dyn Clock>));
        logs.sink("f", 1).line(LogLevel::Info, "of the old one");
        let read = logs.page("f", 0).next;
        logs.forget("f");
        clock.set_wall_ms(8);
        for _ in 0..3 {
            logs.sink("f", 1).line(LogLevel::Info, "of the new one");
        }
        let page = logs.page("f", read);
        assert_eq!((page.lines.len(), page.lost), (3, 0));
        assert!(page.lines[0].seq > read && page.next > read, "numbers only grow");
    }

    #[test]
    fn a_tail_is_the_end() {
        let tail = Tail::new(Arc::new(millrace_transform::NoLog));
        for n in 0..10_000 {
            tail.line(LogLevel::Info, &format!("line {n}"));
        }
        let end = tail.end();
        assert!(end.len() <= TAIL_BYTES && end.ends_with(b"line 9999\n"), "{}", end.len());
        assert!(end.len() > TAIL_BYTES / 2);
    }
}
