//! `millrace serve`: settings, then the server until it is told to stop.

use std::io::IsTerminal;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use tracing_subscriber::EnvFilter;

use super::key_values;
use crate::assemble::{Server, assemble};
use crate::settings::{self, Settings};
use crate::signal::Stops;

/// Time that work on threads that may block gets behind the stop.
const BLOCKING_GRACE: Duration = Duration::from_millis(500);

/// Flags of `millrace serve`. Every setting can be given with `--set`, too.
#[derive(Debug, Args)]
pub(super) struct Serve {
    /// Folder of all data (default ./millrace-data).
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Address and port to listen on; port 0 takes a free one (default 127.0.0.1:4573).
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// Accept any credentials; on a loopback address only.
    #[arg(long)]
    dev: bool,
    /// S3-compatible store that buckets are in; without it they are folders.
    #[arg(long, value_name = "URL")]
    s3_endpoint: Option<String>,
    /// Settings file (default ./millrace.toml when it exists).
    #[arg(long, value_name = "FILE", env = "MILLRACE_CONFIG")]
    config: Option<PathBuf>,
    /// PEM file of the certificate and its chain.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// PEM file of the certificate's private key.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Make a local certificate authority, serve TLS with it, print the line for each client.
    #[arg(long, conflicts_with = "tls_cert")]
    tls_dev: bool,
    /// Any setting, as KEY=VALUE with the dotted key of --dump-config.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Print the effective settings and end.
    #[arg(long)]
    dump_config: bool,
}

impl Serve {
    pub(super) fn run(self) -> Result<()> {
        let settings = settings::load(self.config.as_deref(), std::env::vars(), &self.flags()?)?;
        if self.dump_config {
            print!("{}", settings::dump(&settings)?);
            return Ok(());
        }
        check(&settings)?;
        log(&settings);
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("millrace-io").build();
        let runtime = runtime.context("starting the async runtime")?;
        let ended = runtime.block_on(serve(settings));
        // What still blocks is a compilation: its child ends with this process, and the next start builds again.
        runtime.shutdown_timeout(BLOCKING_GRACE);
        ended
    }

    fn flags(&self) -> Result<Vec<(String, String)>> {
        let mut flags = key_values("--set", &self.set)?;
        let path = |path: &PathBuf| path.to_string_lossy().into_owned();
        let named = [
            ("data_dir", self.data_dir.as_ref().map(path)),
            ("listen", self.listen.clone()),
            ("s3_endpoint", self.s3_endpoint.clone()),
            ("tls_cert", self.tls_cert.as_ref().map(path)),
            ("tls_key", self.tls_key.as_ref().map(path)),
            ("dev", self.dev.then(|| "true".to_owned())),
            ("tls_dev", self.tls_dev.then(|| "true".to_owned())),
        ];
        for (key, value) in named.into_iter().filter_map(|(key, value)| Some((key, value?))) {
            let before = flags.insert(key.to_owned(), value);
            ensure!(before.is_none(), "{key} is given by its flag and by --set: give it once");
        }
        Ok(flags.into_iter().collect())
    }
}

/// Refuses to start where anybody could come in.
fn check(settings: &Settings) -> Result<()> {
    let host = settings.listen.rsplit_once(':').map_or(settings.listen.as_str(), |(host, _)| host);
    let host = host.trim_matches(['[', ']']);
    let loopback = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    let pair = (settings.access_key_id.is_some(), settings.secret_access_key.is_some());
    if pair.0 != pair.1 {
        bail!("MILLRACE_ACCESS_KEY_ID and MILLRACE_SECRET_ACCESS_KEY go together: set both or none");
    }
    let keys = pair.0 || !settings.access_keys.is_empty();
    if settings.dev && !loopback {
        bail!("--dev accepts any credentials, so it listens on a loopback address only, not on {}", settings.listen);
    }
    if !settings.dev && !keys {
        bail!(
            "no access keys: set MILLRACE_ACCESS_KEY_ID and MILLRACE_SECRET_ACCESS_KEY (or [[access_keys]] in \
             millrace.toml), or use --dev to accept any credentials on loopback"
        );
    }
    Ok(())
}

fn log(settings: &Settings) {
    // The protocol library warns of each stream that a client resets: that is the client's business.
    let filter = EnvFilter::try_new(format!("h2=error,{}", settings.log)).unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    if settings.log_json { lines.json().init() } else { lines.init() }
}

async fn serve(settings: Settings) -> Result<()> {
    let mut stops = Stops::listen()?;
    if settings.dev && (settings.access_key_id.is_some() || !settings.access_keys.is_empty()) {
        tracing::warn!("--dev accepts any credentials: the access keys that are set are not looked at");
    }
    let server: Server = assemble(settings).await?;
    println!("millrace: listening on {}", server.url);
    for line in &server.notes {
        println!("{line}");
    }
    stops.next().await;
    tracing::info!("stopping; a second signal ends at once");
    tokio::select! {
        () = server.stop() => {}
        () = stops.next() => tracing::warn!("ended at once; the next start recovers"),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::AccessKey;

    fn settings(listen: &str, dev: bool, keys: bool) -> Settings {
        let key =
            keys.then(|| AccessKey { id: "a".into(), secret: toml::Value::from("b").try_into().expect("secret") });
        Settings { listen: listen.into(), dev, access_keys: key.into_iter().collect(), ..Settings::default() }
    }

    #[test]
    fn nobody_comes_in_without_keys() {
        for (listen, dev, keys, starts) in [
            ("127.0.0.1:0", true, false, true),
            ("localhost:1", true, false, true),
            ("[::1]:1", true, false, true),
            ("127.0.0.1:0", true, true, true),
            ("127.0.0.1:0", false, false, false),
            ("0.0.0.0:1", true, false, false),
            ("0.0.0.0:1", true, true, false),
            ("[::]:1", false, true, true),
            ("0.0.0.0:1", false, true, true),
            ("example.org:1", true, false, false),
        ] {
            assert_eq!(check(&settings(listen, dev, keys)).is_ok(), starts, "{listen} dev={dev} keys={keys}");
        }
    }
}
