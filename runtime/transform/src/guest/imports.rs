//! The interfaces that every function may import: log, settings, clock, random, invocation. None of
//! them waits for anything.

use wasmtime::component::{Linker, WasmStr};
use wasmtime::{StoreContextMut, bail};

use super::{Guest, LAST_ERROR_BYTES_MAX, LogLevel, outbound, state};
use crate::{abi, error::cut};

/// Random bytes that one call of `random.bytes` gives.
const RANDOM_BYTES_MAX: u32 = 65_536;

/// Gives `linker` the interfaces that a function may import.
pub(crate) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    linker.instance(abi::LOG)?.func_wrap(
        "log",
        |mut store: StoreContextMut<'_, Guest>, (level, message): (LogLevel, WasmStr)| {
            store.data_mut().count()?;
            // The line is copied once, and only as much of it as may be kept.
            let keep = store.data().log_left_bytes.max(LAST_ERROR_BYTES_MAX).saturating_add(1);
            let text = message.to_str(&store)?;
            let text = cut_over(&text, keep).to_owned();
            store.data_mut().log(level, &text);
            Ok(())
        },
    )?;
    linker.instance(abi::SETTINGS)?.func_wrap(
        "get",
        |mut store: StoreContextMut<'_, Guest>, (name,): (WasmStr,)| {
            store.data_mut().count()?;
            let name = name.to_str(&store)?;
            Ok((store.data().shared.settings.get(&*name).cloned(),))
        },
    )?;
    linker.instance(abi::CLOCK)?.func_wrap("now-ms", |mut store: StoreContextMut<'_, Guest>, (): ()| {
        store.data_mut().count()?;
        let now_ms = store.data().shared.clock.now_ms();
        Ok((u64::try_from(now_ms).unwrap_or(0),))
    })?;
    linker.instance(abi::RANDOM)?.func_wrap("bytes", |mut store: StoreContextMut<'_, Guest>, (len,): (u32,)| {
        store.data_mut().count()?;
        if len > RANDOM_BYTES_MAX {
            bail!("random.bytes gives at most {RANDOM_BYTES_MAX} bytes, {len} were asked for");
        }
        let mut bytes = vec![0; len as usize];
        store.data().shared.entropy.fill(&mut bytes);
        Ok((bytes,))
    })?;
    linker.instance(abi::INVOCATION)?.func_wrap("current", |mut store: StoreContextMut<'_, Guest>, (): ()| {
        store.data_mut().count()?;
        Ok((store.data_mut().context(),))
    })?;
    state::link(linker)?;
    outbound::link(linker)?;
    crate::wasi::link(linker)
}

/// As [`cut`], but the first character that does not fit stays, so that a cut is seen as one.
pub(super) fn cut_over(text: &str, bytes_max: usize) -> &str {
    if text.len() <= bytes_max { text } else { cut(text, bytes_max.saturating_add(3)) }
}
