//! The server under test as a process of its own: start, ready line, signals, restart.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::Signal;
use tokio::sync::oneshot;

use crate::{Keys, process, wait};

/// How long a start may take before the harness gives up.
const READY_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a clean stop may take.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);
const READY_PREFIX: &str = "millrace: listening on ";

/// How to start a server.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// Its data directory.
    pub data_dir: PathBuf,
    /// Address to listen on; a restart takes the port of the first start again.
    pub listen: String,
    /// `--dev`: any credentials.
    pub dev: bool,
    /// Further flags.
    pub args: Vec<String>,
    /// Environment, on top of the harness's own without `MILLRACE_*` and `AWS_*`.
    pub env: Vec<(String, String)>,
}

/// A running server; killed when dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    options: ServerOptions,
    base: String,
    ready_s: f64,
}

impl ServerOptions {
    /// A server in `--dev` on a free loopback port.
    #[must_use]
    pub fn dev(data_dir: &Path) -> Self {
        Self {
            data_dir: data_dir.to_owned(),
            listen: "127.0.0.1:0".to_owned(),
            dev: true,
            args: Vec::new(),
            env: Vec::new(),
        }
    }

    /// With one more variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With a store behind `endpoint` for all buckets.
    #[must_use]
    pub fn s3(mut self, endpoint: &str, keys: &Keys) -> Self {
        self.args.extend(["--s3-endpoint".to_owned(), endpoint.to_owned()]);
        self.env("AWS_ACCESS_KEY_ID", &keys.id)
            .env("AWS_SECRET_ACCESS_KEY", &keys.secret)
            .env("AWS_REGION", "us-east-1")
    }

    /// The command that starts it.
    ///
    /// # Errors
    /// When the binary is not built.
    pub fn command(&self) -> anyhow::Result<Command> {
        let mut command = Command::new(binary()?);
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            if name.starts_with("MILLRACE_") || name.starts_with("AWS_") {
                command.env_remove(name);
            }
        }
        // A `millrace.toml` in the caller's folder must not reach the test.
        if let Some(folder) = self.data_dir.parent().filter(|folder| folder.is_dir()) {
            command.current_dir(folder);
        }
        command.arg("serve").arg("--data-dir").arg(&self.data_dir).args(["--listen", &self.listen]);
        if self.dev {
            command.arg("--dev");
        }
        command.args(&self.args).envs(self.env.iter().map(|(name, value)| (name, value)));
        Ok(command)
    }

    fn log_file(&self) -> anyhow::Result<File> {
        let mut path = self.data_dir.clone().into_os_string();
        path.push(".log");
        File::options().create(true).append(true).open(&path).context("log file")
    }
}

/// The server's binary: `MILLRACE_TEST_BINARY` or `MILLRACE_BIN`, else the one beside this test's own
/// in the target folder.
///
/// # Errors
/// When there is none, with the command that builds it.
pub fn binary() -> anyhow::Result<PathBuf> {
    let named = std::env::var_os("MILLRACE_TEST_BINARY").or_else(|| std::env::var_os("MILLRACE_BIN"));
    let path = match named {
        Some(path) => PathBuf::from(path),
        None => {
            let own = std::env::current_exe()?;
            let release = own.ancestors().find(|dir| dir.ends_with("release")).context("not a release build")?;
            release.join("millrace")
        }
    };
    anyhow::ensure!(path.is_file(), "{} is not there: cargo build --release -p millrace-server", path.display());
    Ok(path)
}

impl Server {
    /// Starts a server and waits until it is ready.
    ///
    /// # Errors
    /// When it ends or stays silent instead; the end of its log is in the error.
    pub async fn start(mut options: ServerOptions) -> anyhow::Result<Self> {
        let started = wait::now_s();
        let mut command = options.command()?;
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(options.log_file()?);
        let mut child = command.spawn().context("the server does not start")?;
        let stdout = child.stdout.take().context("stdout")?;
        let ready = tokio::time::timeout(READY_TIMEOUT, ready_line(stdout)?).await;
        let Ok(Ok(base)) = ready else {
            drop(child.kill());
            let status = child.wait()?;
            anyhow::bail!("the server was not ready ({status}):\n{}", log_tail(&options));
        };
        let authority = base.split_once("://").map_or(base.as_str(), |(_, rest)| rest);
        authority.clone_into(&mut options.listen);
        Ok(Self { child, options, base, ready_s: wait::now_s() - started })
    }

    /// Address of its port, such as `http://127.0.0.1:4573`.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Seconds from the process's start to its ready line.
    #[must_use]
    pub fn ready_s(&self) -> f64 {
        self.ready_s
    }

    /// Process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its data directory.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.options.data_dir
    }

    /// How it was started.
    #[must_use]
    pub fn options(&self) -> &ServerOptions {
        &self.options
    }

    /// Folder that stands for bucket `name` when no store is set.
    #[must_use]
    pub fn bucket_dir(&self, name: &str) -> PathBuf {
        self.data_dir().join("objects").join(name)
    }

    /// Ends it at once, as a crash would.
    ///
    /// # Errors
    /// When it was gone already.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        anyhow::ensure!(self.child.try_wait()?.is_none(), "the server had ended by itself:\n{}", self.log_tail());
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Stops it cleanly; answers exit code and seconds.
    ///
    /// # Errors
    /// When it does not end in time.
    pub async fn stop(&mut self) -> anyhow::Result<(Option<i32>, f64)> {
        let start = wait::now_s();
        process::signal(&self.child, Signal::TERM)?;
        let code = process::wait_exit(&mut self.child, STOP_TIMEOUT).await?;
        Ok((code, wait::now_s() - start))
    }

    /// Freezes it (SIGSTOP) or lets it go on (SIGCONT).
    ///
    /// # Errors
    /// When it is gone.
    pub fn freeze(&self, frozen: bool) -> anyhow::Result<()> {
        process::signal(&self.child, if frozen { Signal::STOP } else { Signal::CONT })
    }

    /// Starts it again on the same data directory and port, after [`Server::kill`] or [`Server::stop`].
    ///
    /// # Errors
    /// As [`Server::start`].
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        let again = Self::start(self.options.clone()).await?;
        *self = again;
        Ok(())
    }

    /// Changes how the next [`Server::restart`] starts it.
    pub fn set_options(&mut self, change: impl FnOnce(&mut ServerOptions)) {
        change(&mut self.options);
    }

    /// Ready in the sense of its own health route.
    pub async fn is_ready(&self) -> bool {
        let client = crate::http::Client::new(&self.base);
        matches!(client.send("GET", "/health/ready", &[], "").await, Ok(answer) if answer.status == 200)
    }

    /// The end of what it wrote to stderr in all its lives.
    #[must_use]
    pub fn log_tail(&self) -> String {
        log_tail(&self.options)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Gone already is what is wanted.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Reads stdout on a thread of its own until the process ends; answers the address of the ready line.
fn ready_line(stdout: ChildStdout) -> anyhow::Result<oneshot::Receiver<String>> {
    let (tell, told) = oneshot::channel();
    millrace_tasks::thread("server-stdout", move || {
        let mut tell = Some(tell);
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if let Some(base) = line.strip_prefix(READY_PREFIX)
                && let Some(tell) = tell.take()
            {
                drop(tell.send(base.trim().to_owned()));
            }
        }
    })?;
    Ok(told)
}

fn log_tail(options: &ServerOptions) -> String {
    const LINES: usize = 25;
    let mut path = options.data_dir.clone().into_os_string();
    path.push(".log");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}
