//! The fake disk's state: inodes with their unsynced changes, names with their unsynced operations.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use millrace_types::{Entropy, SeededEntropy};

use super::Op;

/// What a power cut keeps or loses as a whole.
const SECTOR_BYTES: usize = 512;

/// The error numbers that tests inject (Linux).
pub(super) mod errno {
    pub(crate) const EIO: i32 = 5;
    pub(crate) const ENOSPC: i32 = 28;
}

#[derive(Clone)]
enum Change {
    Write { offset: usize, data: Vec<u8> },
    SetLen(usize),
}

#[derive(Clone, Default)]
struct Inode {
    live: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Clone)]
enum Naming {
    Link(PathBuf, u64),
    Rename(PathBuf, PathBuf),
    Unlink(PathBuf),
}

/// An error that is to come.
#[derive(Clone)]
pub(super) struct Fault {
    /// Of this operation alone; none: of any that changes.
    pub(super) op: Option<Op>,
    /// On files alone whose path contains this; none: on any.
    pub(super) within: Option<String>,
    /// Operations that fit until it comes, 1: the next.
    pub(super) left: u64,
    pub(super) code: i32,
}

impl Fault {
    fn fits(&self, op: Op, path: &Path) -> bool {
        self.op.map_or(op != Op::Read, |kind| kind == op)
            && self.within.as_ref().is_none_or(|part| path.to_string_lossy().contains(part.as_str()))
    }
}

pub(super) struct Image {
    inodes: HashMap<u64, Inode>,
    inode_next: u64,
    live: BTreeMap<PathBuf, u64>,
    durable: BTreeMap<PathBuf, u64>,
    naming: Vec<Naming>,
    dirs: BTreeSet<PathBuf>,
    pub(super) locks: BTreeSet<PathBuf>,
    pub(super) capacity_bytes: u64,
    pub(super) ops: u64,
    counts: HashMap<u8, u64>,
    /// Operations by kind and path, for tests that meet each one of a file.
    by_path: HashMap<(u8, PathBuf), u64>,
    pub(super) read_bytes: u64,
    pub(super) faults: Vec<Fault>,
    pub(super) crash_at: Option<(u64, u64)>,
    pub(super) crashed: Option<Box<Image>>,
    pub(super) halted: bool,
    entropy: SeededEntropy,
}

impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Image").field("ops", &self.ops).finish_non_exhaustive()
    }
}

fn missing() -> io::Error {
    io::ErrorKind::NotFound.into()
}

impl Image {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            inodes: HashMap::new(),
            inode_next: 1,
            live: BTreeMap::new(),
            durable: BTreeMap::new(),
            naming: Vec::new(),
            dirs: BTreeSet::new(),
            locks: BTreeSet::new(),
            capacity_bytes: u64::MAX,
            ops: 0,
            counts: HashMap::new(),
            by_path: HashMap::new(),
            read_bytes: 0,
            faults: Vec::new(),
            crash_at: None,
            crashed: None,
            halted: false,
            entropy: SeededEntropy::new(seed),
        }
    }

    pub(super) fn done(&self, op: Op) -> u64 {
        self.counts.get(&(op as u8)).copied().unwrap_or(0)
    }

    /// Operations of one kind so far on files whose path contains `part`.
    pub(super) fn done_within(&self, op: Op, part: &str) -> u64 {
        let of =
            self.by_path.iter().filter(|((kind, path), _)| *kind == op as u8 && path.to_string_lossy().contains(part));
        of.map(|(_, count)| count).sum()
    }

    fn step_inode(&mut self, op: Op, inode: u64) -> io::Result<()> {
        let path = self.live.iter().find(|(_, id)| **id == inode).map(|(path, _)| path.clone()).unwrap_or_default();
        self.step(op, &path)
    }

    /// Counts the operation; fails it when a fault or the power cut is due.
    fn step(&mut self, op: Op, path: &Path) -> io::Result<()> {
        *self.counts.entry(op as u8).or_default() += 1;
        *self.by_path.entry((op as u8, path.to_owned())).or_default() += 1;
        if op != Op::Read {
            self.ops += 1;
            if let Some((_, seed)) = self.crash_at.filter(|(at, _)| *at == self.ops) {
                self.crashed = Some(Box::new(self.crash(seed)));
                self.halted = true;
            }
        }
        if self.halted {
            return Err(io::Error::from_raw_os_error(errno::EIO));
        }
        let mut due = None;
        self.faults.retain_mut(|fault| {
            if !fault.fits(op, path) {
                return true;
            }
            fault.left = fault.left.saturating_sub(1);
            if fault.left == 0 {
                due.get_or_insert(fault.code);
            }
            fault.left > 0
        });
        due.map_or(Ok(()), |code| Err(io::Error::from_raw_os_error(code)))
    }

    pub(super) fn crash(&self, seed: u64) -> Self {
        let mut left = Self::new(seed);
        left.inode_next = self.inode_next;
        left.dirs = self.dirs.clone();
        left.capacity_bytes = self.capacity_bytes;
        // A journaling file system keeps a prefix of the operations on names.
        let kept = below(&left.entropy, self.naming.len() + 1);
        left.durable = self.durable.clone();
        for naming in &self.naming[..kept] {
            apply_naming(&mut left.durable, naming);
        }
        left.live = left.durable.clone();
        for (id, inode) in &self.inodes {
            let mut durable = inode.durable.clone();
            lose_some(&mut durable, &inode.pending, &left.entropy);
            left.inodes.insert(*id, Inode { live: durable.clone(), durable, pending: Vec::new() });
        }
        left
    }

    pub(super) fn find(&self, path: &Path) -> io::Result<u64> {
        self.live.get(path).copied().ok_or_else(missing)
    }

    pub(super) fn create(&mut self, path: &Path) -> io::Result<u64> {
        self.step(Op::Create, path)?;
        if self.live.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        if !path.parent().is_some_and(|parent| self.dirs.contains(parent)) {
            return Err(missing());
        }
        let id = self.inode_next;
        self.inode_next += 1;
        self.inodes.insert(id, Inode::default());
        self.name(Naming::Link(path.to_owned(), id));
        Ok(id)
    }

    fn name(&mut self, naming: Naming) {
        apply_naming(&mut self.live, &naming);
        self.naming.push(naming);
    }

    pub(super) fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        if !self.dirs.contains(dir) {
            return Err(missing());
        }
        let inside = self.live.keys().filter(|path| path.parent() == Some(dir));
        Ok(inside.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect())
    }

    pub(super) fn create_dir_all(&mut self, dir: &Path) {
        self.dirs.extend(dir.ancestors().map(Path::to_owned));
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.step(Op::Rename, to)?;
        self.find(from)?;
        self.name(Naming::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    pub(super) fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.step(Op::Remove, path)?;
        self.find(path)?;
        self.name(Naming::Unlink(path.to_owned()));
        Ok(())
    }

    pub(super) fn sync_dir(&mut self, dir: &Path) -> io::Result<()> {
        self.step(Op::SyncDir, dir)?;
        let (inside, outside) = std::mem::take(&mut self.naming).into_iter().partition(|naming| {
            let (Naming::Link(path, _) | Naming::Rename(path, _) | Naming::Unlink(path)) = naming;
            path.parent() == Some(dir)
        });
        self.naming = outside;
        let inside: Vec<Naming> = inside;
        for naming in &inside {
            apply_naming(&mut self.durable, naming);
        }
        Ok(())
    }

    fn used_bytes(&self) -> u64 {
        let linked: BTreeSet<u64> = self.live.values().copied().collect();
        linked.iter().map(|id| self.len(*id)).sum()
    }

    pub(super) fn free_bytes(&self) -> u64 {
        self.capacity_bytes.saturating_sub(self.used_bytes())
    }

    fn room(&self, inode: u64, end: usize) -> io::Result<()> {
        let more = (end as u64).saturating_sub(self.len(inode));
        if more > 0 && more > self.free_bytes() {
            return Err(io::Error::from_raw_os_error(errno::ENOSPC));
        }
        Ok(())
    }

    pub(super) fn len(&self, inode: u64) -> u64 {
        self.inodes.get(&inode).map_or(0, |inode| inode.live.len() as u64)
    }

    pub(super) fn write(&mut self, id: u64, data: &[u8], offset: u64) -> io::Result<()> {
        let offset = usize::try_from(offset).map_err(|_| missing())?;
        let failed = self.step_inode(Op::Write, id).and_then(|()| self.room(id, offset + data.len())).err();
        // A failed write leaves any prefix.
        let part = if failed.is_none() { data.len() } else { below(&self.entropy, data.len() + 1) };
        if (failed.is_none() || !self.halted) && self.room(id, offset + part).is_ok() {
            let inode = self.inodes.get_mut(&id).ok_or_else(missing)?;
            let change = Change::Write { offset, data: data[..part].to_vec() };
            apply(&mut inode.live, &change, |_| true);
            inode.pending.push(change);
        }
        failed.map_or(Ok(()), Err)
    }

    pub(super) fn read(&mut self, id: u64, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.step_inode(Op::Read, id)?;
        self.read_bytes += buf.len() as u64;
        let inode = self.inodes.get(&id).ok_or_else(missing)?;
        let start = usize::try_from(offset).map_err(|_| missing())?;
        let bytes = start.checked_add(buf.len()).and_then(|end| inode.live.get(start..end));
        buf.copy_from_slice(bytes.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?);
        Ok(())
    }

    pub(super) fn set_len(&mut self, id: u64, len: u64, op: Op) -> io::Result<()> {
        self.step_inode(op, id)?;
        let len = usize::try_from(len).map_err(|_| missing())?;
        self.room(id, len)?;
        let inode = self.inodes.get_mut(&id).ok_or_else(missing)?;
        let change = Change::SetLen(len);
        apply(&mut inode.live, &change, |_| true);
        inode.pending.push(change);
        Ok(())
    }

    pub(super) fn sync_data(&mut self, id: u64) -> io::Result<()> {
        let failed = self.step_inode(Op::SyncData, id).err();
        if self.halted {
            return failed.map_or(Ok(()), Err);
        }
        let inode = self.inodes.get_mut(&id).ok_or_else(missing)?;
        let pending = std::mem::take(&mut inode.pending);
        match failed {
            None => pending.iter().for_each(|change| apply(&mut inode.durable, change, |_| true)),
            // As ext4 does: the pages are clean now, whether they reached the disk or not.
            Some(_) => lose_some(&mut inode.durable, &pending, &self.entropy),
        }
        failed.map_or(Ok(()), Err)
    }

    pub(super) fn corrupt(&mut self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) -> bool {
        let Some(inode) = self.live.get(path).and_then(|id| self.inodes.get_mut(id)) else { return false };
        change(&mut inode.live);
        inode.durable = inode.live.clone();
        inode.pending.clear();
        true
    }
}

fn apply_naming(names: &mut BTreeMap<PathBuf, u64>, naming: &Naming) {
    match naming {
        Naming::Link(path, id) => {
            names.insert(path.clone(), *id);
        }
        Naming::Rename(from, to) => {
            if let Some(id) = names.remove(from) {
                names.insert(to.clone(), id);
            }
        }
        Naming::Unlink(path) => {
            names.remove(path);
        }
    }
}

/// Applies `change`, of a write only the sectors that `kept` keeps.
fn apply(bytes: &mut Vec<u8>, change: &Change, mut kept: impl FnMut(usize) -> bool) {
    match change {
        Change::SetLen(len) => bytes.resize(*len, 0),
        Change::Write { offset, data } => {
            let mut at = 0;
            while at < data.len() {
                let sector = (offset + at) / SECTOR_BYTES;
                let end = ((sector + 1) * SECTOR_BYTES - offset).min(data.len());
                if kept(sector) {
                    if bytes.len() < offset + end {
                        bytes.resize(offset + end, 0);
                    }
                    bytes[offset + at..offset + end].copy_from_slice(&data[at..end]);
                }
                at = end;
            }
        }
    }
}

/// Of each change nothing, all, or some of its sectors.
fn lose_some(bytes: &mut Vec<u8>, changes: &[Change], entropy: &SeededEntropy) {
    for change in changes {
        match below(entropy, 3) {
            0 => {}
            1 => apply(bytes, change, |_| true),
            _ => apply(bytes, change, |_| below(entropy, 2) == 0),
        }
    }
}

fn below(entropy: &SeededEntropy, limit: usize) -> usize {
    usize::try_from(entropy.next_u64() % limit as u64).unwrap_or(0)
}
