//! Under which conditions a figure was measured: what must stand above every table.

use std::path::Path;
use std::process::Command;

use crate::{guests, wait};

/// Cores, processor, memory, kernel, file system of `dir`, date and commit, as one line of text.
#[must_use]
pub fn line(dir: &Path) -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let cpuinfo = read("/proc/cpuinfo");
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let memory = read("/proc/meminfo");
    let memory_kib: u64 = memory.split_whitespace().nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
    let kernel = read("/proc/sys/kernel/osrelease");
    let mounts = read("/proc/mounts");
    let unknown = || "not known".to_owned();
    format!(
        "{cores} cores ({}), {:.0} GB of memory, Linux {}, {} below the temporary folder, {} UTC, commit {}",
        model.map_or("not known", |(_, name)| name.trim()),
        memory_kib as f64 * 1024.0 / 1e9,
        kernel.trim(),
        file_system(&mounts, dir).unwrap_or_else(unknown),
        date().unwrap_or_else(unknown),
        commit().unwrap_or_else(unknown)
    )
}

/// The type of the file system that holds `dir`: of the longest mount point above it.
fn file_system(mounts: &str, dir: &Path) -> Option<String> {
    let dir = dir.canonicalize().ok()?;
    let mut fields = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let mut best: Option<(usize, &str)> = None;
    for mount in &mut fields {
        let (Some(point), Some(kind)) = (mount.get(1), mount.get(2)) else { continue };
        // A later mount on the same point hides the earlier one.
        if dir.starts_with(point) && best.is_none_or(|(length, _)| point.len() >= length) {
            best = Some((point.len(), kind));
        }
    }
    best.map(|(_, kind)| kind.to_owned())
}

fn date() -> Option<String> {
    said(Command::new("date").args(["-u", "-d", &format!("@{}", wait::wall_ms() / 1_000), "+%F %H:%M"]))
}

/// The commit of the tree, marked where files differ from it.
fn commit() -> Option<String> {
    let git = |args: &[&str]| said(Command::new("git").arg("-C").arg(guests::tree()).args(args));
    let commit = git(&["rev-parse", "--short=12", "HEAD"])?;
    let changed = git(&["status", "--porcelain", "--untracked-files=no"])?;
    Some(if changed.is_empty() { commit } else { format!("{commit} with changes") })
}

fn said(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_mount_names_the_file_system() {
        let mounts = "dev / ext4 rw 0 0\nproc /proc proc rw 0 0\nx /dev tmpfs rw 0 0\ny /dev devtmpfs rw 0 0\n";
        assert_eq!(file_system(mounts, Path::new("/proc/self")).unwrap(), "proc");
        assert_eq!(file_system(mounts, Path::new("/dev")).unwrap(), "devtmpfs");
        assert_eq!(file_system(mounts, Path::new("/")).unwrap(), "ext4");
        assert!(line(Path::new("/")).contains("cores"));
    }
}
