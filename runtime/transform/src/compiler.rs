//! Compiling in a child process: wasmtime does not count a compile bomb as a vulnerability, so the
//! process that compiles has little address space, little CPU time, a deadline and no environment.
//!
//! ```text
//! stdin   kind 1 (0 judge, 1 compile) | grants 1 (bits: 0 http, 1 key-value) | address space 8, bytes
//!         | CPU 8, seconds | cache 8, bytes | cache | module
//! stdout  kind 1 (0 done, else an error) | count 4 | count × (length 4 | bytes)       little-endian
//! ```

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, setrlimit};

use crate::cache::CompileCache;
use crate::error::{cut, io_error};
use crate::{Component, DeployLimits, Error, Grants, World, componentize, engine};

/// The hidden argument with which the server's own executable compiles.
const SUBCOMMAND: &str = "compile-function";
const HEAD_BYTES: usize = 26;
/// Kinds of a request: make a component and judge it; compile a component.
const JUDGE: u8 = 0;
const COMPILE: u8 = 1;
/// Bits of a request's grants. Which hosts are granted is no business of the child.
const GRANT_HTTP: u8 = 1;
const GRANT_KEY_VALUE: u8 = 2;
/// Compiling threads in the child; each reserves address space.
const THREADS: &str = "4";
/// Bytes that are kept of what the child writes to stderr.
const STDERR_BYTES_MAX: u64 = 4096;

/// Bounds on the compiling child.
#[derive(Debug, Clone)]
pub struct CompileLimits {
    /// Bounds on what is deployed.
    pub deploy: DeployLimits,
    /// Address space of the child, bytes.
    pub address_space_bytes: u64,
    /// CPU time of the child, seconds.
    pub cpu_seconds: u64,
    /// Wall time of the child.
    pub deadline: Duration,
    /// Bytes that the child may answer: the component, or its code and what the next compilation needs.
    pub answer_bytes_max: u64,
}

impl Default for CompileLimits {
    fn default() -> Self {
        Self {
            deploy: DeployLimits::default(),
            address_space_bytes: 4 << 30,
            cpu_seconds: 60,
            deadline: Duration::from_secs(60),
            answer_bytes_max: 512 << 20,
        }
    }
}

/// What a compilation yields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compiled {
    /// The code, for [`seal`](crate::seal).
    pub code: Vec<u8>,
    /// What [`Compiler::compile_after`] may be given when the component has changed, up to
    /// [`CACHE_BYTES_MAX`](crate::CACHE_BYTES_MAX). It becomes code, so it must come back unchanged: see
    /// [`seal_cache`](crate::seal_cache).
    pub cache: Vec<u8>,
}

/// Compiles in a child process.
#[derive(Debug, Clone)]
pub struct Compiler {
    /// The executable, which runs [`compile_child`] when its only argument is `compile-function`.
    pub exe: PathBuf,
    /// Bounds on the child.
    pub limits: CompileLimits,
}

impl Compiler {
    /// Makes a component of a deployed module and judges its world and imports, in the child; compiles
    /// nothing, so that a bad module is answered at once. Blocks.
    ///
    /// # Errors
    /// As [`componentize`], [`Error::CompileStopped`] at a limit, [`Error::Io`].
    pub fn judge(&self, module: &[u8], grants: &Grants) -> Result<Component, Error> {
        let max = self.limits.deploy.module_bytes_max;
        if module.len() > max {
            return Err(Error::TooLarge { bytes: module.len(), max });
        }
        let mut parts = self.ask(JUDGE, grants, &[], module)?.into_iter();
        let (Some(bytes), Some(world)) = (parts.next(), parts.next()) else { return Err(broken()) };
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let world = World::of_name(&text(world)).ok_or_else(broken)?;
        Ok(Component { bytes, world, imports: parts.map(text).collect() })
    }

    /// Compiles a component that [`Self::judge`] gave: the code, for [`seal`](crate::seal). Also for a
    /// stored one, after [`Error::Recompile`]. Blocks.
    ///
    /// # Errors
    /// As [`compile`], [`Error::CompileStopped`] at a limit, [`Error::Io`].
    pub fn compile(&self, component: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(self.compile_after(component, &[])?.code)
    }

    /// [`Self::compile`], where what has not changed since `cache` was made is not compiled again. Blocks.
    ///
    /// # Errors
    /// As [`Self::compile`]. A cache that does not read is none.
    pub fn compile_after(&self, component: &[u8], cache: &[u8]) -> Result<Compiled, Error> {
        let mut parts = self.ask(COMPILE, &Grants::default(), cache, component)?.into_iter();
        let (Some(code), Some(cache)) = (parts.next(), parts.next()) else { return Err(broken()) };
        Ok(Compiled { code, cache })
    }

    fn ask(&self, kind: u8, grants: &Grants, cache: &[u8], module: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
        let mut child = Command::new(&self.exe)
            .arg(SUBCOMMAND)
            .env_clear()
            .env("RAYON_NUM_THREADS", THREADS)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(io_error("starting the compiling process"))?;
        let mut request = Vec::with_capacity(HEAD_BYTES + cache.len() + module.len());
        request.push(kind);
        let http = if grants.http_hosts.is_empty() { 0 } else { GRANT_HTTP };
        request.push(http | if grants.key_value { GRANT_KEY_VALUE } else { 0 });
        request.extend_from_slice(&self.limits.address_space_bytes.to_le_bytes());
        request.extend_from_slice(&self.limits.cpu_seconds.to_le_bytes());
        request.extend_from_slice(&(cache.len() as u64).to_le_bytes());
        request.extend_from_slice(cache);
        request.extend_from_slice(module);
        let answer = self.converse(&mut child, request);
        if answer.is_err() {
            // It may have ended by itself already.
            drop(child.kill());
        }
        let status = child.wait().map_err(io_error("waiting for the compiling process"))?;
        let (answer, stderr) = answer?;
        if !status.success() || answer.is_empty() {
            return Err(self.stopped(status, &stderr));
        }
        decode(&answer)
    }

    /// Writes the request and reads the answer, each on a thread of its own, so that neither pipe
    /// can block the other; waits no longer than the deadline.
    fn converse(&self, child: &mut Child, request: Vec<u8>) -> Result<(Vec<u8>, String), Error> {
        let (Some(mut stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(broken());
        };
        let failed = || io_error("starting a thread to talk to the compiling process");
        // A child that dies early closes the pipe; its exit status says why.
        millrace_tasks::thread("compile-write", move || drop(stdin.write_all(&request))).map_err(failed())?;
        let (done, answered) = mpsc::sync_channel(2);
        let answer_bytes_max = self.limits.answer_bytes_max;
        let first = done.clone();
        millrace_tasks::thread("compile-read", move || drop(first.send((0, read(stdout, answer_bytes_max)))))
            .map_err(failed())?;
        millrace_tasks::thread("compile-errors", move || drop(done.send((1, read(stderr, STDERR_BYTES_MAX)))))
            .map_err(failed())?;
        let mut streams = [Vec::new(), Vec::new()];
        for _ in 0..streams.len() {
            let late = |_| Error::CompileStopped(format!("it took longer than {} s", self.limits.deadline.as_secs()));
            // The second wait begins when the first ended, but a live child keeps both streams open.
            let (at, bytes) = answered.recv_timeout(self.limits.deadline).map_err(late)?;
            let stream: &mut Vec<u8> = &mut streams[at];
            *stream = bytes;
        }
        let [answer, errors] = streams;
        if answer.len() as u64 == answer_bytes_max {
            return Err(Error::CompileStopped(format!("the code has more than {answer_bytes_max} bytes")));
        }
        Ok((answer, String::from_utf8_lossy(&errors).into_owned()))
    }

    fn stopped(&self, status: ExitStatus, stderr: &str) -> Error {
        use std::os::unix::process::ExitStatusExt as _;
        // SIGXCPU at the soft limit, SIGKILL at the hard one; an allocation that fails aborts.
        let said = cut(stderr.trim(), 300);
        Error::CompileStopped(match status.signal() {
            Some(9 | 24) => format!("it took more than {} s of CPU time", self.limits.cpu_seconds),
            Some(signal) => format!(
                "it needed more than {} MiB of address space, or failed (signal {signal}): {said}",
                self.limits.address_space_bytes >> 20
            ),
            None => format!("the compiling process failed: {said}"),
        })
    }
}

fn broken() -> Error {
    Error::CompileStopped("the compiling process gave no answer".to_owned())
}

fn read(stream: impl Read, bytes_max: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    #[expect(clippy::disallowed_methods, reason = "taken up to bytes_max")]
    let result = stream.take(bytes_max).read_to_end(&mut bytes);
    // What was read until then is judged by its shape.
    drop(result);
    bytes
}

/// Compiles a component for this machine's engine, in this process.
///
/// # Errors
/// [`Error::Compile`] when the component is invalid or uses what the engine has not.
pub fn compile(component: &[u8]) -> Result<Vec<u8>, Error> {
    Ok(compile_after(component, &[])?.code)
}

fn compile_after(component: &[u8], cache: &[u8]) -> Result<Compiled, Error> {
    let cache = Arc::new(CompileCache::of(cache));
    let engine = engine::caching(&cache)?;
    let code = engine.precompile_component(component).map_err(|error| Error::Compile(format!("{error:#}")))?;
    Ok(Compiled { code, cache: cache.entries() })
}

/// The child's whole life: limits itself, reads the request from stdin, answers on stdout.
#[must_use]
pub fn compile_child() -> ExitCode {
    let mut head = [0; HEAD_BYTES];
    let mut stdin = std::io::stdin().lock();
    if stdin.read_exact(&mut head).is_err() {
        return ExitCode::FAILURE;
    }
    let number = |at: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&head[at..at + 8]);
        u64::from_le_bytes(bytes)
    };
    // Nobody waits for the answer when the parent is gone.
    if rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL)).is_err() {
        return ExitCode::FAILURE;
    }
    // Before the first byte of the module is read.
    let limits = [
        (Resource::As, number(2), number(2)),
        (Resource::Cpu, number(10), number(10).saturating_add(1)),
        (Resource::Core, 0, 0),
        (Resource::Fsize, 0, 0),
    ];
    for (resource, soft, hard) in limits {
        if setrlimit(resource, Rlimit { current: Some(soft), maximum: Some(hard) }).is_err() {
            return ExitCode::FAILURE;
        }
    }
    let cache = read(stdin.by_ref(), number(18));
    let module = read(stdin, u64::MAX);
    let answer = encode(&answer(head[0], head[1], &cache, &module));
    match std::io::stdout().lock().write_all(&answer) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn answer(kind: u8, granted: u8, cache: &[u8], module: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
    if kind == COMPILE {
        let Compiled { code, cache } = compile_after(module, cache)?;
        return Ok(vec![code, cache]);
    }
    let some_host = (granted & GRANT_HTTP != 0).then(String::new);
    let grants = Grants { http_hosts: some_host.into_iter().collect(), key_value: granted & GRANT_KEY_VALUE != 0 };
    // The parent has judged the size.
    let component = componentize(module, &DeployLimits { module_bytes_max: usize::MAX, grants })?;
    let mut parts = vec![component.bytes, component.world.name().into()];
    parts.extend(component.imports.into_iter().map(String::into_bytes));
    Ok(parts)
}

pub(crate) fn encode(answer: &Result<Vec<Vec<u8>>, Error>) -> Vec<u8> {
    let texts;
    let (kind, parts) = match answer {
        Ok(parts) => (0, parts),
        Err(error) => {
            let (kind, words) = match error {
                Error::NotWasm(text) => (1, vec![text.clone()]),
                Error::Imports(names) => (2, names.clone()),
                Error::World(text) => (3, vec![text.clone()]),
                Error::Compile(text) => (4, vec![text.clone()]),
                other => (5, vec![other.to_string()]),
            };
            texts = words.into_iter().map(String::into_bytes).collect();
            (kind, &texts)
        }
    };
    // A part that does not fit its length is none that could be read: the code is far below 4 GiB.
    let length = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX).to_le_bytes();
    let mut out = vec![kind];
    out.extend_from_slice(&length(parts.len()));
    for part in parts {
        out.extend_from_slice(&length(part.len()));
        out.extend_from_slice(part);
    }
    out
}

pub(crate) fn decode(answer: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
    let (kind, rest) = answer.split_first().ok_or_else(broken)?;
    let (count, mut rest) = take_length(rest).ok_or_else(broken)?;
    let mut parts = Vec::new();
    for _ in 0..count {
        let (length, tail) = take_length(rest).ok_or_else(broken)?;
        let (part, tail) = tail.split_at_checked(length).ok_or_else(broken)?;
        parts.push(part.to_vec());
        rest = tail;
    }
    if !rest.is_empty() {
        return Err(broken());
    }
    if *kind == 0 {
        return Ok(parts);
    }
    let mut words: Vec<String> = parts.iter().map(|part| String::from_utf8_lossy(part).into_owned()).collect();
    if *kind == 2 {
        return Err(Error::Imports(words));
    }
    let text = words.pop().unwrap_or_default();
    Err(match kind {
        1 => Error::NotWasm(text),
        3 => Error::World(text),
        4 => Error::Compile(text),
        _ => Error::Engine(text),
    })
}

fn take_length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    Some((u32::from_le_bytes(*length) as usize, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn answers_come_back(parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..6)) {
            let bytes = encode(&Ok(parts.clone()));
            prop_assert_eq!(decode(&bytes).unwrap(), parts);
            for at in 0..bytes.len() {
                prop_assert!(decode(&bytes[..at]).is_err(), "cut at {}", at);
            }
        }

        #[test]
        fn rubbish_is_no_answer_and_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            drop(decode(&bytes));
        }
    }

    #[test]
    fn refusals_come_back_as_what_they_are() {
        let there_and_back = |error: Error| decode(&encode(&Err(error))).unwrap_err();
        let names = vec!["env.a".to_owned(), "wasi:filesystem/types@0.2.0".to_owned()];
        assert!(matches!(there_and_back(Error::Imports(names.clone())), Error::Imports(back) if back == names));
        assert!(matches!(there_and_back(Error::NotWasm("x".into())), Error::NotWasm(text) if text == "x"));
        assert!(matches!(there_and_back(Error::World("x".into())), Error::World(_)));
        assert!(matches!(there_and_back(Error::Compile("x".into())), Error::Compile(_)));
        assert!(matches!(there_and_back(Error::Recompile), Error::Engine(_)));
    }
}
