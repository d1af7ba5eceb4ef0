//! A worker's life: it reads what it is to run, walls itself in, and serves calls until the server hangs up.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use millrace_types::{SystemClock, SystemEntropy};
use parking_lot::Mutex;

use super::columns::{self, Answered};
use super::confine;
use super::frame::{self, Bounds, Call, Kept, Responded, Said, Start, StartError};
use crate::artifact::Verified;
use crate::{
    CallContext, Error, Function, Host, HostSettings, KeyValue, LogLevel, LogSink, Outbound, OutboundRequest,
    OutboundResponse, Setup, World, Writes,
};

/// The child's whole life: walls itself in and runs one function for the server at the other end of its
/// standard input.
#[must_use]
pub fn function_child() -> ExitCode {
    // The server sees the end of the socket and how this process ended; there is nobody else to tell.
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn serve() -> io::Result<()> {
    let inherited = confine::inherited();
    // Guests that sleep wait in it; without it the first that does would start threads, behind the walls.
    let timers = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build()?;
    let _entered = timers.enter();
    let mut server = Server(Arc::new(Mutex::new(UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?))));
    let (start, parts): (Start, _) = server.read()?;
    let walled = walled(&start, inherited);
    let Some(code) = parts.into_iter().next() else {
        return server.write(&Said::Walled(walled.map(drop).map_err(told)), &[]);
    };
    let prepared = walled.and_then(|host| prepare(&host, start, &code, &server));
    let function = match prepared {
        Ok(function) => function,
        Err(error) => {
            let (kind, text) = match error {
                Error::World(text) => (StartError::World, text),
                Error::Start(text) => (StartError::Start, text),
                other => (StartError::Engine, told(other)),
            };
            return server.write(&Said::Started(Err((kind, text))), &[]);
        }
    };
    server.write(&Said::Started(Ok(function.world() == World::Handler)), &[])?;
    loop {
        let (call, parts) = match server.read() {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            read => read?,
        };
        answer(&function, call, parts, &mut server)?;
    }
}

fn told(error: Error) -> String {
    match error {
        Error::Engine(text) => text,
        other => other.to_string(),
    }
}

/// Puts all walls up; the host's thread and pool are made before the last, which would not let them.
fn walled(start: &Start, inherited: Result<Vec<u64>, String>) -> Result<Arc<Host>, Error> {
    let inherited = inherited.map_err(Error::Engine)?;
    confine::limit(start.limits.memory_bytes).and_then(|()| confine::deny_files()).map_err(Error::Engine)?;
    let settings = HostSettings {
        calls_max: 1,
        warm_max: u32::from(start.limits.warm_batches_max > 0),
        epoch_tick: start.epoch_tick,
        keep_resident_bytes: start.keep_resident_bytes,
        deterministic: false,
        compile_cache: None,
    };
    let host = Host::new(&settings, Arc::new(SystemClock), Arc::new(SystemEntropy))?;
    confine::deny_calls(&inherited).map_err(Error::Engine)?;
    Ok(host)
}

/// Loads the function behind the last wall: no byte of the guest runs before.
fn prepare(host: &Arc<Host>, start: Start, code: &[u8], server: &Server) -> Result<Function, Error> {
    let module = host.load_verified(Verified::from_the_server(code))?;
    if start.try_start {
        let (settings, limits) = (start.settings.clone(), start.limits.clone());
        host.try_start(&module, Setup { settings, limits, ..Setup::default() })?;
    }
    let server = Arc::new(server.clone());
    let setup = Setup {
        settings: start.settings,
        limits: start.limits,
        log: Arc::<Server>::clone(&server),
        source: Arc::new(start.source.into()),
        key_value: start.key_value.then(|| Arc::<Server>::clone(&server) as Arc<dyn KeyValue>),
        http: start.http.then_some(server as Arc<dyn Outbound>),
    };
    Ok(Function::with(module, setup))
}

fn answer(function: &Function, call: Call, parts: Vec<Vec<u8>>, server: &mut Server) -> io::Result<()> {
    let broken = |why: String| io::Error::new(io::ErrorKind::InvalidData, why);
    let said = |outcome, init, cold_start, memory_high_water_bytes| Said::Answer {
        outcome,
        init,
        cold_start,
        memory_high_water_bytes,
    };
    match call {
        Call::Batch { deadline, source, first } => {
            let batch = columns::batch(first, parts).map_err(broken)?;
            let made = function.transform(&batch, deadline, &Arc::new(source.into()), |_| true);
            let (outcome, parts) = match made.output {
                Ok(output) => {
                    let (answered, parts) = columns::output_parts(output);
                    (Ok(answered), parts)
                }
                Err(error) => {
                    let (error, text) = columns::error_and_text(error);
                    (Err(error), vec![text])
                }
            };
            let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
            server.write(&said(outcome, made.init_duration, made.cold_start, made.memory_high_water_bytes), &parts)
        }
        Call::Event { request_id, function_name, function_version, client_context } => {
            let call = CallContext { request_id, function_name, function_version, client_context, log: None };
            let made = function.handle(&parts.into_iter().next().unwrap_or_default(), &call);
            let (outcome, part) = match made.output {
                Ok(answer) => (Ok(Answered::default()), answer),
                Err(error) => {
                    let (error, text) = columns::error_and_text(error);
                    (Err(error), text)
                }
            };
            server.write(&said(outcome, made.init_duration, made.cold_start, made.memory_high_water_bytes), &[&part])
        }
    }
}

/// The other end of the socket, through which the function's log, state and requests go as well. A call
/// runs on one thread, so that nobody waits for the lock.
#[derive(Debug, Clone)]
struct Server(Arc<Mutex<UnixStream>>);

impl Server {
    fn read<M: serde::de::DeserializeOwned>(&self) -> io::Result<(M, Vec<Vec<u8>>)> {
        frame::read(&mut *self.0.lock(), &Bounds::SERVER)
    }

    fn write(&self, said: &Said, parts: &[&[u8]]) -> io::Result<()> {
        frame::write(&mut *self.0.lock(), said, parts)
    }

    /// Says something and waits for its answer.
    fn ask<M: serde::de::DeserializeOwned>(&self, said: &Said, parts: &[&[u8]]) -> Result<(M, Vec<Vec<u8>>), String> {
        self.write(said, parts).and_then(|()| self.read()).map_err(|error| format!("the server is gone: {error}"))
    }
}

impl LogSink for Server {
    fn line(&self, level: LogLevel, message: &str) {
        let line = Said::Log { level: frame::level_number(level), line: message.to_owned() };
        // A server that is gone is found when the call has ended.
        drop(self.write(&line, &[]));
    }
}

impl KeyValue for Server {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, String> {
        self.ask::<Kept<Option<Vec<u8>>>>(&Said::Get { key: key.to_owned() }, &[])?.0
    }

    fn keys(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<String>, String> {
        let keys = Said::Keys { prefix: prefix.to_owned(), after: after.map(str::to_owned), limit };
        self.ask::<Kept<Vec<String>>>(&keys, &[])?.0
    }

    /// The server makes them durable when it has found the answer good.
    fn commit(&self, writes: &Writes) -> Result<(), String> {
        self.write(&Said::Commit(writes.clone()), &[]).map_err(|error| format!("the server is gone: {error}"))
    }
}

impl Outbound for Server {
    fn send(&self, request: OutboundRequest, timeout: Duration) -> Result<OutboundResponse, String> {
        let OutboundRequest { method, url, headers, body } = request;
        let said = Said::Http { method, url, headers, timeout };
        let (responded, parts) = self.ask::<Responded>(&said, &[&body])?;
        let (status, headers) = responded?;
        Ok(OutboundResponse { status, headers, body: parts.into_iter().next().unwrap_or_default() })
    }
}
