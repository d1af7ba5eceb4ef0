//! The part of WASI 0.2 that language runtimes need to start: an empty environment, streams that
//! swallow, clocks, randomness. No file can be opened, no socket exists, and a sleep ends at the
//! batch's deadline.

use std::sync::Arc;
use std::time::Duration;

use millrace_types::Clock;
use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use wasmtime::{Result, bail};
use wasmtime_wasi::cli::{WasiCli, WasiCliView};
use wasmtime_wasi::clocks::{HostMonotonicClock, HostWallClock, WasiClocks, WasiClocksView};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemView};
use wasmtime_wasi::p2::DynPollable;
use wasmtime_wasi::p2::bindings::sync::io::{poll, streams};
use wasmtime_wasi::p2::bindings::{self, cli, clocks, filesystem, io::poll as async_poll, random};
use wasmtime_wasi::random::WasiRandom;
use wasmtime_wasi::runtime::in_tokio;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::guest::Guest;

/// Random bytes that one WASI call gives.
const RANDOM_BYTES_MAX: u64 = 65_536;
/// Streams, pollables and errors that one instance may hold at a time.
const RESOURCES_MAX: usize = 1_000;
/// What a sleep past the deadline ends with; told apart by [`slept_too_long`].
const SLEPT: &str = "the function waited past its deadline";

/// WASI's state for one instance; made when the first WASI function is called.
pub(crate) struct Wasi {
    ctx: WasiCtx,
    table: ResourceTable,
}

struct Time(Arc<dyn Clock>);

impl HostWallClock for Time {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn now(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.now_ms()).unwrap_or(0))
    }
}

impl HostMonotonicClock for Time {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        u64::try_from(self.0.monotonic().as_nanos()).unwrap_or(u64::MAX)
    }
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.count_wasi();
        let clock = &self.shared.clock;
        let wasi = self.wasi.get_or_insert_with(|| {
            let mut table = ResourceTable::new();
            table.set_max_capacity(RESOURCES_MAX);
            let ctx = WasiCtx::builder()
                .wall_clock(Time(Arc::clone(clock)))
                .monotonic_clock(Time(Arc::clone(clock)))
                .max_random_size(RANDOM_BYTES_MAX)
                .allow_tcp(false)
                .allow_udp(false)
                .build();
            Box::new(Wasi { ctx, table })
        });
        WasiCtxView { ctx: &mut wasi.ctx, table: &mut wasi.table }
    }
}

/// Gives `linker` what a runtime may import. Of the file system only the functions that the
/// preview 1 adapter refers to: there is no directory from which a file could be opened.
pub(crate) fn link(linker: &mut Linker<Guest>) -> Result<()> {
    let l = linker;
    cli::environment::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    cli::exit::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    cli::stdin::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    cli::stdout::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    cli::stderr::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    cli::terminal_input::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    cli::terminal_output::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    cli::terminal_stdin::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    cli::terminal_stdout::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    cli::terminal_stderr::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    clocks::wall_clock::add_to_linker::<Guest, WasiClocks>(l, Guest::clocks)?;
    clocks::monotonic_clock::add_to_linker::<Guest, WasiClocks>(l, Guest::clocks)?;
    random::random::add_to_linker::<Guest, WasiRandom>(l, |guest| guest.ctx().ctx.random())?;
    random::insecure::add_to_linker::<Guest, WasiRandom>(l, |guest| guest.ctx().ctx.random())?;
    random::insecure_seed::add_to_linker::<Guest, WasiRandom>(l, |guest| guest.ctx().ctx.random())?;
    filesystem::preopens::add_to_linker::<Guest, WasiFilesystem>(l, Guest::filesystem)?;
    bindings::sync::filesystem::types::add_to_linker::<Guest, WasiFilesystem>(l, Guest::filesystem)?;
    bindings::io::error::add_to_linker::<Guest, Table>(l, |guest| guest.ctx().table)?;
    streams::add_to_linker::<Guest, Table>(l, |guest| guest.ctx().table)?;
    poll::add_to_linker::<Guest, Polls>(l, |guest| {
        let left = guest.left();
        BoundedPoll { table: guest.ctx().table, left }
    })
}

struct Table;

impl HasData for Table {
    type Data<'a> = &'a mut ResourceTable;
}

struct Polls;

impl HasData for Polls {
    type Data<'a> = BoundedPoll<'a>;
}

/// `wasi:io/poll` that waits no longer than the batch may: the epoch does not interrupt the host.
struct BoundedPoll<'a> {
    table: &'a mut ResourceTable,
    left: Duration,
}

impl poll::Host for BoundedPoll<'_> {
    fn poll(&mut self, pollables: Vec<Resource<DynPollable>>) -> Result<Vec<u32>> {
        let Self { table, left } = self;
        bounded(*left, async_poll::Host::poll(*table, pollables))
    }
}

impl poll::HostPollable for BoundedPoll<'_> {
    fn ready(&mut self, pollable: Resource<DynPollable>) -> Result<bool> {
        poll::HostPollable::ready(self.table, pollable)
    }

    fn block(&mut self, pollable: Resource<DynPollable>) -> Result<()> {
        let Self { table, left } = self;
        bounded(*left, async_poll::HostPollable::block(*table, pollable))
    }

    fn drop(&mut self, pollable: Resource<DynPollable>) -> Result<()> {
        poll::HostPollable::drop(self.table, pollable)
    }
}

fn bounded<T>(left: Duration, wait: impl Future<Output = Result<T>>) -> Result<T> {
    match in_tokio(async { tokio::time::timeout(left, wait).await }) {
        Ok(result) => result,
        Err(_) => bail!("{SLEPT}"),
    }
}

/// True when `error` says that a sleep was ended at the deadline.
pub(crate) fn slept_too_long(error: &wasmtime::Error) -> bool {
    error.chain().any(|cause| cause.to_string() == SLEPT)
}
