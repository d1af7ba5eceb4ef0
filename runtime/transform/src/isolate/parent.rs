//! The server's side of a worker: starting it, one call, and its end. Nothing that it says is believed
//! without a check, and it has a time for everything.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use millrace_types::{Clock, KIB, MIB, SystemClock};
use parking_lot::Mutex;
use rustix::process::{Pid, WaitOptions, waitpid};

use super::columns::{self, Answered};
use super::frame::{self, Call, Kept, Responded, Said, Start, StartError};
use super::{Isolation, SUBCOMMAND};
use crate::error::io_error;
use crate::guest::{Pending, REQUESTS_MAX, Shared};
use crate::{CallError, Error, LogSink, OutboundRequest, OutboundResponse, World};

/// Time in which a worker has to start, milliseconds.
const START_MS_MAX: u64 = 30_000;
/// How much later than its deadlines, of the start and of the call, an answer may be there, milliseconds.
const LATE_MS_MAX: u64 = 5_000;
/// Bytes that are written to the socket at once.
const PIECE_BYTES_MAX: usize = 64 * KIB;
/// Bytes of log lines that are taken beyond a function's limit: the line that says that it is reached.
const LOG_SLACK_BYTES: usize = 1024;
/// JSON of one message of a worker, bytes: what a call wrote is the largest, a MiB in numbers.
const SAID_BYTES_MAX: usize = 8 * MIB;
/// Bytes beside a message that a worker says when it starts.
const START_PARTS_BYTES_MAX: u64 = 0;
/// The signal that a forbidden system call ends with.
const SIGSYS: i32 = 31;
/// The signal that a process ends itself with.
const SIGABRT: i32 = 6;

/// Workers of one function that wait for a call.
#[derive(Debug, Default)]
pub(crate) struct Workers(pub(super) Mutex<Vec<Worker>>);

impl Workers {
    /// Ends those that wait; says how many.
    pub(crate) fn end(&self) -> usize {
        std::mem::take(&mut *self.0.lock()).len()
    }
}

/// A process that runs one function; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Worker {
    child: Child,
    stream: UnixStream,
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Fails only when it has ended already and was waited for.
        drop(self.child.kill());
        if !self.lives() {
            return;
        }
        // Giving back its memory takes a while, which whoever lets go of a function need not wait for. The
        // number stays this process's until somebody has waited.
        let pid = Pid::from_child(&self.child);
        let waiting = millrace_tasks::thread("function-end", move || waitpid(Some(pid), WaitOptions::empty()));
        if waiting.is_err() {
            drop(self.child.wait());
        }
    }
}

/// What a call came to, and what it wrote.
pub(super) struct Done {
    pub(super) outcome: Result<(Answered, Vec<Vec<u8>>), CallError>,
    pub(super) init: Duration,
    pub(super) cold_start: bool,
    pub(super) memory_high_water_bytes: usize,
    pub(super) writes: Pending,
}

/// A worker's socket until a moment of the monotonic clock, behind which nothing is read or written.
struct Until<'a> {
    stream: &'a UnixStream,
    end: Duration,
}

impl Until<'_> {
    fn left(&self) -> io::Result<Duration> {
        let left = self.end.saturating_sub(SystemClock.monotonic());
        if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(left) }
    }
}

impl Read for Until<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(self.left()?))?;
        (&mut &*self.stream).read(bytes)
    }
}

impl Write for Until<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(self.left()?))?;
        // The kernel waits as long as that for each piece that it makes of a write: here it makes one.
        let piece = &bytes[..bytes.len().min(PIECE_BYTES_MAX)];
        (&mut &*self.stream).write_all(piece).map(|()| piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn end_after(time: Duration) -> Duration {
    SystemClock.monotonic().saturating_add(time)
}

impl Worker {
    /// Starts a worker for `code` and waits until it runs the function; says of which world it is.
    ///
    /// # Errors
    /// [`Error::World`] and [`Error::Start`] as in this process, [`Error::Engine`] when the machine does
    /// not give what a worker needs, [`Error::Io`].
    pub(super) fn start(isolation: &Isolation, start: &Start, code: &[u8]) -> Result<(Self, World), Error> {
        let mut worker = Self::spawn(isolation)?;
        let deadline = if start.try_start { start.limits.deadline } else { Duration::ZERO };
        let end = end_after(deadline.saturating_add(Duration::from_millis(START_MS_MAX)));
        match worker.write(start, &[code], end).and_then(|()| worker.read(end, START_PARTS_BYTES_MAX)) {
            Ok((Said::Started(Ok(handler)), _)) => {
                Ok((worker, if handler { World::Handler } else { World::Transform }))
            }
            Ok((Said::Started(Err((kind, text))), _)) => Err(match kind {
                StartError::World => Error::World(text),
                StartError::Start => Error::Start(text),
                StartError::Engine => Error::Engine(format!("in a process of its own: {text}")),
            }),
            Ok(_) => Err(Error::Engine("a function's process said something else than that it runs".to_owned())),
            Err(error) => Err(Error::Engine(worker.ended(&error))),
        }
    }

    /// Starts a worker without code, to see that its walls stand.
    ///
    /// # Errors
    /// [`Error::Engine`], naming what the machine does not give; [`Error::Io`].
    pub(super) fn try_walls(isolation: &Isolation, start: &Start) -> Result<(), Error> {
        let mut worker = Self::spawn(isolation)?;
        let end = end_after(Duration::from_millis(START_MS_MAX));
        match worker.write(start, &[], end).and_then(|()| worker.read(end, START_PARTS_BYTES_MAX)) {
            Ok((Said::Walled(walled), _)) => walled.map_err(Error::Engine),
            Ok(_) => Err(Error::Engine("a function's process said something else than of its walls".to_owned())),
            Err(error) => Err(Error::Engine(worker.ended(&error))),
        }
    }

    /// It has not ended while it waited.
    pub(super) fn lives(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    fn spawn(isolation: &Isolation) -> Result<Self, Error> {
        let failed = || io_error("starting a function's process");
        let (stream, far) = UnixStream::pair().map_err(failed())?;
        let child = Command::new(&isolation.exe)
            .arg(SUBCOMMAND)
            .env_clear()
            .envs(isolation.variables.iter().copied())
            .current_dir("/")
            // A terminal's interrupt is for the server, which ends its workers when their calls have ended.
            .process_group(0)
            .stdin(OwnedFd::from(far))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(failed())?;
        Ok(Self { child, stream })
    }

    fn write(&self, message: &impl serde::Serialize, parts: &[&[u8]], end: Duration) -> io::Result<()> {
        frame::write(&mut Until { stream: &self.stream, end }, message, parts)
    }

    fn read(&self, end: Duration, parts_bytes_max: u64) -> io::Result<(Said, Vec<Vec<u8>>)> {
        let bounds = frame::Bounds { json_bytes_max: SAID_BYTES_MAX, parts_bytes_max };
        frame::read(&mut Until { stream: &self.stream, end }, &bounds)
    }

    /// Makes one call, which may take `deadline` and as long again to start an instance. Behind an error
    /// the worker is of no use any more.
    pub(super) fn call(
        &mut self,
        call: &Call,
        parts: &[&[u8]],
        deadline: Duration,
        shared: &Shared,
        log: &dyn LogSink,
    ) -> Result<Done, CallError> {
        let time = deadline.saturating_mul(2).saturating_add(Duration::from_millis(LATE_MS_MAX));
        self.converse(call, parts, end_after(time), shared, log).map_err(|error| CallError::Host(self.ended(&error)))
    }

    fn converse(
        &self,
        call: &Call,
        parts: &[&[u8]],
        end: Duration,
        shared: &Shared,
        log: &dyn LogSink,
    ) -> io::Result<Done> {
        let parts_bytes_max = shared.limits.output_bytes_max.max(crate::ANSWER_BYTES_MAX) as u64;
        self.write(call, parts, end)?;
        let mut served = Served { shared, log, end, logged_bytes: 0, requests: 0, writes: Pending::default() };
        loop {
            let (said, parts) = self.read(end, parts_bytes_max)?;
            match said {
                Said::Answer { outcome, init, cold_start, memory_high_water_bytes } => {
                    let outcome = match outcome {
                        Ok(answered) => Ok((answered, parts)),
                        Err(error) => Err(columns::error_with_text(error, parts).map_err(io::Error::other)?),
                    };
                    let writes = served.writes;
                    return Ok(Done { outcome, init, cold_start, memory_high_water_bytes, writes });
                }
                Said::Log { level, line } => served.line(level, &line)?,
                Said::Get { key } => self.write(&served.get(&key), &[], end)?,
                Said::Keys { prefix, after, limit } => {
                    self.write(&served.keys(&prefix, after.as_deref(), limit), &[], end)?;
                }
                Said::Commit(writes) => {
                    for (key, value) in &writes {
                        served.writes.write(key, value.as_deref()).map_err(io::Error::other)?;
                    }
                }
                Said::Http { method, url, headers, timeout } => {
                    let body = parts.into_iter().next().unwrap_or_default();
                    let (responded, body) = served.http(OutboundRequest { method, url, headers, body }, timeout);
                    self.write(&responded, &[&body], end)?;
                }
                Said::Started(_) | Said::Walled(_) => return Err(io::Error::other("it started twice")),
            }
        }
    }

    /// What became of a worker that is of no use any more. It is ended.
    fn ended(&mut self, error: &io::Error) -> String {
        // How a process ends is settled before its socket closes: this ends only one that lives on.
        drop(self.child.kill());
        let status = self.child.wait();
        match (error.kind(), status) {
            (ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe | ErrorKind::ConnectionReset, Ok(status)) => {
                format!("the function's process ended: {}", how(status))
            }
            (ErrorKind::TimedOut | ErrorKind::WouldBlock, _) => {
                "the function's process did not answer in time".to_owned()
            }
            _ => format!("the function's process does not keep to its words: {error}"),
        }
    }
}

fn how(status: ExitStatus) -> String {
    match status.signal() {
        Some(SIGSYS) => "it made a system call that is not allowed".to_owned(),
        Some(SIGABRT) => "it gave up, as it does when it gets no more memory".to_owned(),
        Some(signal) => format!("by signal {signal}"),
        None => status.to_string(),
    }
}

/// What a call asks of the server, with its bounds: a worker that is not itself any more could pass
/// those that the guest has.
struct Served<'a> {
    shared: &'a Shared,
    log: &'a dyn LogSink,
    end: Duration,
    logged_bytes: usize,
    requests: u32,
    writes: Pending,
}

impl Served<'_> {
    fn line(&mut self, level: u8, line: &str) -> io::Result<()> {
        self.logged_bytes = self.logged_bytes.saturating_add(line.len().max(1));
        let level = frame::level(level).ok_or_else(|| io::Error::other("a log line has no level"))?;
        if self.logged_bytes > self.shared.limits.log_bytes_max.saturating_add(LOG_SLACK_BYTES) {
            return Err(io::Error::other("it logs more than it may"));
        }
        self.log.line(level, line);
        Ok(())
    }

    fn get(&self, key: &str) -> Kept<Option<Vec<u8>>> {
        self.shared.key_value.as_ref().map_or_else(|| Err(not_granted("key-value")), |state| state.get(key))
    }

    fn keys(&self, prefix: &str, after: Option<&str>, limit: usize) -> Kept<Vec<String>> {
        let state = self.shared.key_value.as_ref().ok_or_else(|| not_granted("key-value"))?;
        state.keys(prefix, after, limit.min(Pending::KEYS_ASKED_MAX))
    }

    fn http(&mut self, request: OutboundRequest, timeout: Duration) -> (Responded, Vec<u8>) {
        let Some(http) = &self.shared.http else { return (Err(not_granted("http")), Vec::new()) };
        if self.requests == REQUESTS_MAX {
            return (Err(format!("one call sends at most {REQUESTS_MAX} requests")), Vec::new());
        }
        self.requests += 1;
        let left = self.end.saturating_sub(SystemClock.monotonic());
        match http.send(request, timeout.min(left)) {
            Ok(OutboundResponse { status, headers, body }) => (Ok((status, headers)), body),
            Err(why) => (Err(why), Vec::new()),
        }
    }
}

fn not_granted(interface: &str) -> String {
    format!("{interface} was not granted to this function")
}
