//! Facts about a running process from /proc, and signals to it.

use std::process::Child;
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};

/// Ticks a second of `/proc/PID/stat`: `USER_HZ`, 100 in every Linux ABI that we run on.
const TICKS_PER_S: f64 = 100.0;

/// User and system CPU time of process `pid` and its waited-for children, seconds.
///
/// # Errors
/// When the process is gone.
pub fn cpu_s(pid: u32) -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).context("process is gone")?;
    // The name may hold spaces and brackets: fields count from behind its last bracket.
    let (_, rest) = stat.rsplit_once(')').context("stat line")?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    // utime, stime, cutime, cstime are fields 14 to 17 of proc(5); `rest` begins with field 3.
    let ticks: u64 = fields.get(11..15).context("stat fields")?.iter().filter_map(|f| f.parse::<u64>().ok()).sum();
    Ok(ticks as f64 / TICKS_PER_S)
}

/// Resident memory now and at its peak, bytes.
///
/// # Errors
/// When the process is gone.
pub fn rss_bytes(pid: u32) -> anyhow::Result<(u64, u64)> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).context("process is gone")?;
    let kib = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().split(' ').next()?.parse::<u64>().ok()
    };
    Ok((kib("VmRSS:").context("VmRSS")? * 1024, kib("VmHWM:").context("VmHWM")? * 1024))
}

/// Sends a signal.
///
/// # Errors
/// When the process is gone.
pub fn signal(child: &Child, signal: Signal) -> anyhow::Result<()> {
    let pid = Pid::from_child(child);
    kill_process(pid, signal).with_context(|| format!("signal {signal:?}"))
}

/// Waits for the end of a process; answers its exit code (`None` when a signal ended it).
///
/// # Errors
/// When it runs longer than `within`.
pub async fn wait_exit(child: &mut Child, within: Duration) -> anyhow::Result<Option<i32>> {
    let start = crate::wait::now_s();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status.code());
        }
        anyhow::ensure!(crate::wait::now_s() - start < within.as_secs_f64(), "still running after {within:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Bytes of the files below `dir`; what vanishes meanwhile counts nothing.
#[must_use]
pub fn dir_bytes(dir: &std::path::Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(meta) if meta.is_dir() => dir_bytes(&entry.path()),
            Ok(meta) => meta.len(),
            Err(_) => 0,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_process_has_cpu_and_memory() {
        let pid = std::process::id();
        assert!(cpu_s(pid).unwrap() >= 0.0);
        let (now, peak) = rss_bytes(pid).unwrap();
        assert!(now > 0 && peak >= now / 2);
        assert!(cpu_s(u32::MAX).is_err());
    }
}
