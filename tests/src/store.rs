//! Real S3 servers as processes that a test may kill: MinIO and SeaweedFS.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;

use crate::{Keys, S3, ports, wait};

const START_TIMEOUT: Duration = Duration::from_secs(120);
/// Pause between two looks at a server that starts.
const READY_POLL: Duration = Duration::from_millis(20);
/// Lines of a server's log that an error shows.
const LOG_LINES: usize = 25;
/// Parts of `weed server`, each with a port for HTTP and one for gRPC.
const WEED_ROLES: [&str; 4] = ["s3", "master", "volume", "filer"];

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `minio`.
    Minio,
    /// `weed`.
    SeaweedFs,
}

/// A running S3 server; killed when dropped.
#[derive(Debug)]
pub struct Store {
    child: Child,
    kind: Kind,
    program: PathBuf,
    folder: PathBuf,
    ports: Vec<u16>,
    keys: Keys,
}

impl Store {
    /// Starts `program` with its data in `folder`.
    ///
    /// # Errors
    /// When it does not answer in time.
    pub async fn start(kind: Kind, program: &Path, folder: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder.join("data"))?;
        let keys = Keys::new("millrace", "millrace-tests-secret");
        let ports = ports::free(2 * WEED_ROLES.len())?;
        let child = launch(kind, program, folder, &ports, &keys)?;
        let mut store = Self { child, kind, program: program.to_owned(), folder: folder.to_owned(), ports, keys };
        store.wait_ready().await?;
        Ok(store)
    }

    /// Its S3 address.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports[0])
    }

    /// Its access key.
    #[must_use]
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// A client of it.
    #[must_use]
    pub fn client(&self) -> S3 {
        S3::new(&self.endpoint(), &self.keys)
    }

    /// Ends it at once.
    ///
    /// # Errors
    /// When it was gone already.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        let ended = self.child.try_wait()?;
        anyhow::ensure!(ended.is_none(), "the S3 server had ended by itself ({ended:?}):\n{}", self.log_tail());
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Starts it again on its data and ports, after [`Store::kill`].
    ///
    /// # Errors
    /// As [`Store::start`].
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        self.child = launch(self.kind, &self.program, &self.folder, &self.ports, &self.keys)?;
        self.wait_ready().await
    }

    async fn wait_ready(&mut self) -> anyhow::Result<()> {
        let client = self.client();
        let from = wait::now_s();
        while !client.answers().await {
            let (ended, waited_s) = (self.child.try_wait()?, wait::now_s() - from);
            anyhow::ensure!(
                ended.is_none() && waited_s < START_TIMEOUT.as_secs_f64(),
                "the S3 server was not ready after {waited_s:.1} s (ended: {ended:?}):\n{}",
                self.log_tail()
            );
            tokio::time::sleep(READY_POLL).await;
        }
        Ok(())
    }

    fn log_tail(&self) -> String {
        let text = std::fs::read(self.folder.join("server.log")).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // Gone already is what is wanted.
        drop(self.child.kill());
        drop(self.child.wait());
        if self.kind == Kind::SeaweedFs {
            // It has no option for these, which it leaves behind.
            for (role, pair) in WEED_ROLES.iter().zip(self.ports.chunks(2)) {
                drop(std::fs::remove_file(format!("/tmp/seaweedfs-{role}-grpc-{}.sock", pair[1])));
            }
        }
    }
}

fn launch(kind: Kind, program: &Path, folder: &Path, ports: &[u16], keys: &Keys) -> anyhow::Result<Child> {
    let log = File::options().create(true).append(true).open(folder.join("server.log"))?;
    let data = folder.join("data");
    let mut command = Command::new(program);
    match kind {
        Kind::Minio => {
            command.arg("server").arg(&data).arg("--quiet");
            command.args(["--address", &format!("127.0.0.1:{}", ports[0])]);
            command.args(["--console-address", &format!("127.0.0.1:{}", ports[1])]);
            command.env("MINIO_ROOT_USER", &keys.id).env("MINIO_ROOT_PASSWORD", &keys.secret);
            command.env("MINIO_UPDATE", "off").env("MINIO_BROWSER", "off");
        }
        Kind::SeaweedFs => {
            let identities = folder.join("identities.json");
            let identity = serde_json::json!({ "identities": [{
                "name": keys.id,
                "credentials": [{ "accessKey": keys.id, "secretKey": keys.secret }],
                "actions": ["Admin"],
            }]});
            std::fs::write(&identities, identity.to_string())?;
            command.args(["-logtostderr=true", "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3"]);
            command.arg(format!("-dir={}", data.display())).arg(format!("-s3.config={}", identities.display()));
            command.args(["-volume.max=64", "-master.volumeSizeLimitMB=512", "-master.telemetry=false"]);
            // A lone master waits this long before it leads again: by default ten seconds for each restart.
            command.args(["-master.electionTimeout=1s", "-s3.port.iceberg=0", "-s3.port.lance=0"]);
            command.args(["-filer.localSocket=filer.sock", "-s3.localSocket=s3.sock"]);
            for (role, pair) in WEED_ROLES.iter().zip(ports.chunks(2)) {
                command.args([format!("-{role}.port={}", pair[0]), format!("-{role}.port.grpc={}", pair[1])]);
            }
        }
    }
    command.env("HOME", folder).current_dir(folder).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    command.spawn().with_context(|| format!("{} does not start", program.display()))
}
