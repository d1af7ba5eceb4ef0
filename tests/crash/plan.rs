//! What a run is made of: the command line, and the set of runs that stands for CI.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Parser, ValueEnum};
use serde::{Deserialize, Serialize};

/// Name of the file in a run's folder that holds its plan.
const FILE: &str = "plan.json";
/// Time that a run may take besides its cycles, seconds: starts, the drain, the judgement's beginning.
const RUN_SECONDS_MAX: u64 = 600;
/// Time that a cycle may take, its share of the judgement included, seconds.
const CYCLE_SECONDS_MAX: u64 = 10;
/// What goes wrong in the runs of the set against an S3 server.
const S3_FAULTS: [Fault; 5] =
    [Fault::Kill, Fault::S3Kill, Fault::S3Errors, Fault::CutAfterStore, Fault::CutBeforeStore];

/// Kills and disturbs a server under load, again and again, and judges what came out.
#[derive(Debug, Clone, Parser, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// Faults to live through.
    #[arg(long, default_value_t = 20)]
    pub(crate) cycles: u32,
    /// Where objects go. Without it: the whole set, against the local folder and each S3 server whose program
    /// is given.
    #[arg(long)]
    pub(crate) store: Option<StoreKind>,
    /// MinIO's program, which the oracle starts and kills.
    #[arg(long)]
    pub(crate) minio: Option<PathBuf>,
    /// SeaweedFS's program, which the oracle starts and kills.
    #[arg(long)]
    pub(crate) weed: Option<PathBuf>,
    /// Format of the objects.
    #[arg(long, default_value = "json", requires = "store")]
    pub(crate) format: Format,
    /// Guest example that the streams call, or `none`. With `partition`, its keys partition the objects.
    #[arg(long, default_value = "none", requires = "store")]
    pub(crate) function: String,
    /// Of all randomness. Without it: from the clock, and printed.
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// What goes wrong. Each cycle takes one fault of a process, and one of the store in turn, or none.
    #[arg(long, value_delimiter = ',', default_value = "kill", requires = "store")]
    pub(crate) faults: Vec<Fault>,
    /// Shortest time under load between two faults, milliseconds.
    #[arg(long, default_value_t = 300)]
    pub(crate) load_ms_min: u64,
    /// Longest time under load between two faults, milliseconds.
    #[arg(long, default_value_t = 1_500)]
    pub(crate) load_ms_max: u64,
    /// Records a second of all producers; 0 is full load.
    #[arg(long, default_value_t = 0)]
    pub(crate) rate: u64,
    /// Producers.
    #[arg(long, default_value_t = 4)]
    pub(crate) producers: u16,
    /// Further variables of the server, NAME=VALUE.
    #[arg(long = "server-env")]
    pub(crate) server_env: Vec<String>,
    /// The run must find the contract broken: for planted bugs.
    #[arg(long)]
    pub(crate) expect_violation: bool,
    /// Keep the run's folder; it is kept anyway when the run is not what was asked for.
    #[arg(long)]
    pub(crate) keep: bool,
    /// Time after which a run is given up, seconds [default: 600, and 10 for each cycle].
    #[arg(long)]
    pub(crate) seconds_max: Option<u64>,
    /// Write a Markdown table of the runs to this file.
    #[arg(long)]
    pub(crate) table: Option<PathBuf>,
    /// This process is the run whose plan lies in this folder.
    #[arg(long, hide = true)]
    pub(crate) inside: Option<PathBuf>,
}

/// Where objects go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub(crate) enum StoreKind {
    /// The server's own folder.
    Local,
    /// MinIO.
    Minio,
    /// SeaweedFS.
    Seaweedfs,
}

/// Format of the objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub(crate) enum Format {
    /// JSON lines, gzip.
    Json,
    /// Parquet, zstd.
    Parquet,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
pub(crate) enum Fault {
    /// `kill -9` of the server.
    Kill,
    /// A clean stop of the server.
    Term,
    /// The server is frozen for a while (SIGSTOP).
    Freeze,
    /// `kill -9` of the S3 server, which starts again.
    S3Kill,
    /// The store answers 500 and 503.
    S3Errors,
    /// The connection is cut once the store has stored.
    CutAfterStore,
    /// The connection is cut before the store sees the object.
    CutBeforeStore,
    /// The store is slow.
    S3Slow,
    /// The store answers 404 to everything: streams park.
    S3Gone,
}

impl Fault {
    /// Whether it strikes the store, or the way to it; the others strike the server.
    pub(crate) fn is_of_store(self) -> bool {
        !matches!(self, Self::Kill | Self::Term | Self::Freeze)
    }

    /// As it is written on the command line.
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

impl Plan {
    /// Leaves it in a run's folder.
    pub(crate) fn leave(&self, dir: &Path) -> anyhow::Result<()> {
        std::fs::write(dir.join(FILE), serde_json::to_vec(self)?).context("plan")
    }

    /// The plan that was left in a run's folder.
    pub(crate) fn left_in(dir: &Path) -> anyhow::Result<Self> {
        serde_json::from_slice(&std::fs::read(dir.join(FILE))?).context("plan")
    }

    /// Time after which the run is given up, seconds.
    pub(crate) fn seconds_max(&self) -> u64 {
        self.seconds_max.unwrap_or_else(|| RUN_SECONDS_MAX + CYCLE_SECONDS_MAX * u64::from(self.cycles))
    }

    /// The program of an S3 server, where it was given.
    pub(crate) fn program(&self, store: StoreKind) -> Option<&Path> {
        match store {
            StoreKind::Local => None,
            StoreKind::Minio => self.minio.as_deref(),
            StoreKind::Seaweedfs => self.weed.as_deref(),
        }
    }

    /// The faults that strike the store.
    pub(crate) fn store_faults(&self) -> Vec<Fault> {
        self.faults.iter().copied().filter(|fault| fault.is_of_store()).collect()
    }

    /// The faults that strike the server.
    pub(crate) fn server_faults(&self) -> Vec<Fault> {
        self.faults.iter().copied().filter(|fault| !fault.is_of_store()).collect()
    }

    /// Whether the streams have dynamic partitioning.
    pub(crate) fn is_partitioned(&self) -> bool {
        self.function == "partition"
    }

    /// In a few words, for folders and reports.
    pub(crate) fn name(&self) -> String {
        let store = self.store.map_or("all", |store| match store {
            StoreKind::Local => "local",
            StoreKind::Minio => "minio",
            StoreKind::Seaweedfs => "seaweedfs",
        });
        let format = if self.format == Format::Json { "json" } else { "parquet" };
        format!("{store}-{format}-{}", self.function)
    }

    /// The single runs that this plan stands for, and the names of those that cannot be here.
    pub(crate) fn runs(&self) -> anyhow::Result<(Vec<Self>, Vec<String>)> {
        let all = if self.store.is_some() { vec![self.clone()] } else { self.set() };
        let can = |run: &Self| run.store.is_none_or(|store| store == StoreKind::Local || run.program(store).is_some());
        let (runs, left_out): (Vec<Self>, Vec<Self>) = all.into_iter().partition(can);
        if self.store.is_some() {
            anyhow::ensure!(left_out.is_empty(), "{} needs --minio or --weed PROGRAM", self.name());
        }
        for run in &runs {
            run.check()?;
        }
        Ok((runs, left_out.iter().map(Self::name).collect()))
    }

    /// Refuses what makes no sense, or would show nothing.
    fn check(&self) -> anyhow::Result<()> {
        let is_random_parquet = self.function == "random" && self.format == Format::Parquet;
        anyhow::ensure!(!is_random_parquet, "the function `random` makes no JSON: it needs --format json");
        let of_store = self.store_faults().len();
        anyhow::ensure!(
            self.store != Some(StoreKind::Local) || of_store == 0,
            "the local folder has no faults of an S3 server"
        );
        anyhow::ensure!(
            self.cycles as usize >= of_store,
            "{of_store} faults of the store need as many --cycles, or one would never strike"
        );
        Ok(())
    }

    /// The runs that stand for the whole: each store with both formats, with a function and with
    /// partitions; a function that answers differently on every call; each S3 server with all of its faults.
    fn set(&self) -> Vec<Self> {
        let run = |store, format, function: &str| Self {
            store: Some(store),
            format,
            function: function.to_owned(),
            faults: if store == StoreKind::Local { vec![Fault::Kill] } else { S3_FAULTS.to_vec() },
            ..self.clone()
        };
        vec![
            run(StoreKind::Local, Format::Json, "none"),
            run(StoreKind::Local, Format::Json, "random"),
            run(StoreKind::Local, Format::Parquet, "partition"),
            run(StoreKind::Minio, Format::Json, "random"),
            run(StoreKind::Minio, Format::Parquet, "partition"),
            run(StoreKind::Seaweedfs, Format::Json, "partition"),
            run(StoreKind::Seaweedfs, Format::Parquet, "identity"),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(args: &[&str]) -> Plan {
        Plan::parse_from([&["oracle"], args].concat())
    }

    #[test]
    fn a_named_store_is_one_run() {
        let one = plan(&["--store", "local", "--faults", "kill,term", "--format", "parquet"]);
        let (runs, left_out) = one.runs().unwrap();
        assert_eq!((runs.len(), left_out.len(), one.name().as_str()), (1, 0, "local-parquet-none"));
        assert_eq!((runs[0].server_faults().len(), runs[0].store_faults().len()), (2, 0));
        for senseless in [
            &["--store", "local", "--faults", "s3-kill"][..],
            &["--store", "local", "--function", "random", "--format", "parquet"],
            &["--store", "minio"],
            &["--store", "minio", "--minio", "m", "--cycles", "1", "--faults", "s3-kill,s3-errors"],
        ] {
            assert!(plan(senseless).runs().is_err(), "{senseless:?}");
        }
        assert!(Plan::try_parse_from(["oracle", "--faults", "term"]).is_err(), "the set has its own");
    }

    #[test]
    fn the_set_covers_stores_formats_partitions_functions_and_faults() {
        let (runs, left_out) = plan(&["--minio", "m", "--weed", "w"]).runs().unwrap();
        assert_eq!((runs.len(), left_out.len()), (7, 0));
        let has = |what: &dyn Fn(&Plan) -> bool| runs.iter().any(what);
        for store in [StoreKind::Local, StoreKind::Minio, StoreKind::Seaweedfs] {
            for format in [Format::Json, Format::Parquet] {
                assert!(has(&|run| run.store == Some(store) && run.format == format), "{store:?} {format:?}");
            }
            assert!(has(&|run| run.store == Some(store) && run.is_partitioned()), "{store:?}");
            let remote = store != StoreKind::Local;
            let of_store = [Fault::S3Kill, Fault::S3Errors, Fault::CutAfterStore];
            for fault in of_store.into_iter().filter(|_| remote) {
                assert!(has(&|run| run.store == Some(store) && run.faults.contains(&fault)), "{store:?} {fault:?}");
            }
        }
        assert!(has(&|run| run.store == Some(StoreKind::Minio) && run.function == "random"));
        assert!(runs.iter().all(|run| run.faults.contains(&Fault::Kill)));
        assert_eq!(plan(&[]).runs().unwrap().1.len(), 4, "what cannot be is named");
        let dir = tempfile::tempdir().unwrap();
        runs[3].leave(dir.path()).unwrap();
        assert_eq!(format!("{:?}", Plan::left_in(dir.path()).unwrap()), format!("{:?}", runs[3]));
    }
}
