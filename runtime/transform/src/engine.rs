//! The engine's configuration: one for compiling and for running, so that artifacts fit.

use std::sync::Arc;

use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Strategy, WasmBacktraceDetails,
};

use crate::cache::CompileCache;
use crate::{Error, HostSettings};

/// Native stack that a guest may use, bytes; a worker thread has 2 MiB, so host calls keep 1.5.
const STACK_BYTES: usize = 512 * 1024;
/// Core instances, tables: a component made by componentize-py has about 40 of each.
pub(crate) const CORE_INSTANCES_PER_COMPONENT: u32 = 50;
pub(crate) const TABLES_PER_COMPONENT: u32 = 50;
/// Linear memories: the guest's own, and two for what a language runtime is composed with: QuickJS comes with
/// two stubs, whose memories have no page.
pub(crate) const MEMORIES_PER_COMPONENT: u32 = 3;
/// Entries of one table: Python's runtime has about 50,000 functions.
pub(crate) const TABLE_ELEMENTS: usize = 60_000;
/// Largest linear memory a slot can give, bytes; a function's own limit lies below.
const MEMORY_BYTES_MAX: usize = 1 << 30;
/// Records of one component and its core modules inside the runtime, bytes. The default of 1 MiB
/// is what Python needs; it is allocated as needed, not reserved.
const INSTANCE_BYTES: usize = 1 << 20;

/// Idle slots that keep their pages resident: with the default of 2 MiB each, 16 MiB in all.
const WARM_SLOTS_MAX: u32 = 8;

/// What decides how code is compiled. Two engines with this configuration share artifacts.
fn config() -> Config {
    let mut config = Config::new();
    config
        // Winch had escapes (RUSTSEC-2026-0095); Cranelift only.
        .strategy(Strategy::Cranelift)
        .epoch_interruption(true)
        .max_wasm_stack(STACK_BYTES)
        // Traces name source lines where the module carries DWARF.
        .wasm_backtrace_details(WasmBacktraceDetails::Enable)
        // No guest needs it, and its bounds checks are slower and younger.
        .wasm_memory64(false);
    config
}

/// An engine that only compiles: it reserves no pool, so it lives under an address-space limit.
pub(crate) fn compiling() -> Result<Engine, Error> {
    made(config(), None)
}

/// [`compiling`], with what was compiled before and what is to be kept of it.
pub(crate) fn caching(cache: &Arc<CompileCache>) -> Result<Engine, Error> {
    made(config(), Some(cache))
}

fn made(mut config: Config, cache: Option<&Arc<CompileCache>>) -> Result<Engine, Error> {
    let cached = cache.map(|cache| config.enable_incremental_compilation(Arc::clone(cache) as _).map(|_| ()));
    let cached = cached.unwrap_or(Ok(()));
    cached.and_then(|()| Engine::new(&config)).map_err(|error| Error::Engine(format!("{error:#}")))
}

/// An engine that runs guests from a pool of its own.
pub(crate) fn running(settings: &HostSettings) -> Result<Engine, Error> {
    let slots = settings.calls_max.max(1).saturating_add(settings.warm_max);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(slots)
        .total_core_instances(slots.saturating_mul(CORE_INSTANCES_PER_COMPONENT))
        .total_memories(slots.saturating_mul(MEMORIES_PER_COMPONENT))
        // One component may use 50, most use 1 to 3: room for the greedy one and 4 for each other.
        .total_tables(slots.saturating_mul(4).saturating_add(TABLES_PER_COMPONENT))
        // Guests run on the caller's stack; the pool of async stacks stays at its least.
        .total_stacks(1)
        .max_core_instances_per_component(CORE_INSTANCES_PER_COMPONENT)
        .max_tables_per_component(TABLES_PER_COMPONENT)
        .max_tables_per_module(TABLES_PER_COMPONENT)
        .max_memories_per_component(MEMORIES_PER_COMPONENT)
        .max_memories_per_module(MEMORIES_PER_COMPONENT)
        .max_component_instance_size(INSTANCE_BYTES)
        .max_core_instance_size(INSTANCE_BYTES)
        .table_elements(TABLE_ELEMENTS)
        .max_memory_size(MEMORY_BYTES_MAX)
        .linear_memory_keep_resident(settings.keep_resident_bytes)
        // Tables are small: 64 KiB cleared by hand is cheaper than a system call.
        .table_keep_resident(64 * 1024)
        // Slots that keep the pages of a function which is not running now. Beyond these the slots of
        // other functions are taken over: memory follows what runs, not what ever ran.
        .max_unused_warm_slots(WARM_SLOTS_MAX)
        // Reset only pages that were written (Linux 6.7); falls back where the kernel has it not.
        .pagemap_scan(Enabled::Auto);
    let mut config = config();
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    if settings.deterministic {
        config.cranelift_nan_canonicalization(true).relaxed_simd_deterministic(true).consume_fuel(true);
    }
    made(config, settings.compile_cache.as_ref())
}
