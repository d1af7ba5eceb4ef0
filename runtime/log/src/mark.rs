//! The mark: a small file beside the journal's folder that says how much of the journal was durable, so
//! that a start can tell durable bytes that are gone from a torn tail. All numbers are little-endian.
//!
//! Two slots of 64 bytes, at 0 and at 4096, are overwritten in turn; the whole one with the higher count
//! is the mark:
//!
//! | at | bytes | what |
//! |---|---|---|
//! | 0 | 4 | magic `MRMK` |
//! | 4 | 1 | version, 1 |
//! | 8 | 8 | count: one more with each write |
//! | 16 | 8 | salt of the journal: whose mark it is |
//! | 24 | 8 | newest segment begun; 0 for none |
//! | 32 | 8 | bytes of it that were durable |
//! | 60 | 4 | CRC32C of bytes 0 to 59 |
//!
//! It is written after the bytes that it speaks of are durable, so it never says too much, whenever the
//! power goes. It says too little by what came since the last write. It lies outside of the folder,
//! because then it also tells that the folder is gone.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::disk::{Disk, DiskFile};
use crate::file::{read_patiently, segment_name};
use crate::frame::{u32_at, u64_at};

const MAGIC: [u8; 4] = *b"MRMK";
const VERSION: u8 = 1;
const SLOT_BYTES: usize = 64;
const SLOTS_AT: [u64; 2] = [0, 4096];
/// Length of the file.
const FILE_BYTES: u64 = 8192;

/// What the mark says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) salt: u64,
    /// Newest segment begun; 0 for none.
    pub(crate) segment: u64,
    /// Bytes of it that were durable.
    pub(crate) durable_bytes: u64,
}

/// What lies in the mark's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    Absent,
    /// Nothing that can be believed, and why.
    Unusable(String),
    Whole {
        mark: Mark,
        count: u64,
    },
}

impl Found {
    pub(crate) fn mark(&self) -> Option<Mark> {
        match self {
            Self::Whole { mark, .. } => Some(*mark),
            _ => None,
        }
    }
}

/// Where the mark of the journal in `dir` lies.
pub(crate) fn path(dir: &Path) -> PathBuf {
    let mut name = dir.file_name().unwrap_or_default().to_owned();
    name.push(".mark");
    dir.with_file_name(name)
}

fn encode(mark: &Mark, count: u64) -> [u8; SLOT_BYTES] {
    let mut slot = [0; SLOT_BYTES];
    slot[..4].copy_from_slice(&MAGIC);
    slot[4] = VERSION;
    for (at, number) in [(8, count), (16, mark.salt), (24, mark.segment), (32, mark.durable_bytes)] {
        slot[at..at + 8].copy_from_slice(&number.to_le_bytes());
    }
    let crc = crc_fast::crc32_iscsi(&slot[..SLOT_BYTES - 4]);
    slot[SLOT_BYTES - 4..].copy_from_slice(&crc.to_le_bytes());
    slot
}

/// Count and mark of a whole slot; an error with the version when it is of another.
fn decode(slot: &[u8; SLOT_BYTES]) -> Option<Result<(u64, Mark), u8>> {
    if slot[..4] != MAGIC || u32_at(slot, SLOT_BYTES - 4) != crc_fast::crc32_iscsi(&slot[..SLOT_BYTES - 4]) {
        return None;
    }
    if slot[4] != VERSION {
        return Some(Err(slot[4]));
    }
    let mark = Mark { salt: u64_at(slot, 16), segment: u64_at(slot, 24), durable_bytes: u64_at(slot, 32) };
    Some(Ok((u64_at(slot, 8), mark)))
}

/// Reads the mark of the journal in `dir`. No error: a mark that cannot be read must not stop a start.
pub(crate) fn read(disk: &dyn Disk, dir: &Path) -> Found {
    let file = match disk.open(&path(dir)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Found::Absent,
        Err(error) => return Found::Unusable(format!("it cannot be opened: {error}")),
    };
    let mut newest: Option<(u64, Mark)> = None;
    let mut why = "neither of its two slots is whole".to_owned();
    for at in SLOTS_AT {
        let mut slot = [0; SLOT_BYTES];
        match read_patiently(&*file, &mut slot, at) {
            Ok(()) => match decode(&slot) {
                Some(Ok(found)) if newest.is_none_or(|(count, _)| found.0 > count) => newest = Some(found),
                Some(Err(version)) => why = format!("it is of version {version}"),
                _ => {}
            },
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
            Err(error) => why = format!("it cannot be read: {error}"),
        }
    }
    newest.map_or(Found::Unusable(why), |(count, mark)| Found::Whole { mark, count })
}

/// The open file and what it says: the one who writes it.
#[derive(Debug)]
pub(crate) struct Writer {
    file: Option<Box<dyn DiskFile>>,
    count: u64,
}

impl Writer {
    /// Goes on where `found` ends.
    pub(crate) fn open(disk: &dyn Disk, dir: &Path, found: &Found) -> Self {
        let Found::Whole { count, .. } = found else { return Self { file: None, count: 0 } };
        let file = disk.open(&path(dir)).ok().filter(|file| file.len().is_ok_and(|bytes| bytes == FILE_BYTES));
        Self { file, count: *count }
    }

    /// True when there is a whole file to overwrite.
    pub(crate) fn is_open(&self) -> bool {
        self.file.is_some()
    }

    /// Says `mark`, durably on return. After an error the file is given up: the next write makes it anew
    /// beside its place, so a whole mark is there at any time.
    pub(crate) fn write(&mut self, disk: &dyn Disk, dir: &Path, mark: &Mark) -> io::Result<()> {
        let count = self.count + 1;
        let slot = encode(mark, count);
        let file = match self.file.take() {
            Some(file) => {
                file.write_all_at(&[&slot], SLOTS_AT[usize::from(count % 2 == 1)])?;
                file.sync_data()?;
                file
            }
            None => anew(disk, &path(dir), &slot)?,
        };
        (self.file, self.count) = (Some(file), count);
        Ok(())
    }
}

fn anew(disk: &dyn Disk, path: &Path, slot: &[u8]) -> io::Result<Box<dyn DiskFile>> {
    let beside = path.with_extension("mark-new");
    match disk.remove(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = disk.create(&beside)?;
    file.allocate(FILE_BYTES)?;
    for at in SLOTS_AT {
        file.write_all_at(&[slot], at)?;
    }
    file.sync_data()?;
    disk.rename(&beside, path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    disk.sync_dir(folder.unwrap_or_else(|| Path::new(".")))?;
    Ok(file)
}

/// The end of the newest segment that can be used, as a start finds it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct End {
    pub(crate) number: u64,
    pub(crate) salt: u64,
    /// Behind the last frame whose header is whole.
    pub(crate) readable_bytes: u64,
    /// True when the file is shorter than it was made and nothing shows that it ended there.
    pub(crate) is_cut: bool,
    /// Bytes that it was made with.
    pub(crate) reserved_bytes: u64,
}

/// Durable bytes that are not there any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// The segment that they were in, a file name below the journal's folder.
    pub file: String,
    /// First byte that is gone or cannot be read.
    pub from: u64,
    /// Behind the last that was durable; of a file that was cut behind the mark: behind the last that may
    /// have been.
    pub to: u64,
    /// What was found.
    pub why: &'static str,
    number: u64,
}

impl Loss {
    /// What the setting `accept_loss` has to be, to start without these bytes: this loss and no other.
    #[must_use]
    pub fn accept(&self) -> String {
        format!("{}:{}-{}", self.number, self.from, self.to)
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} from {} to {}: {}", self.file, self.from, self.to, self.why)
    }
}

/// Compares the mark with what is there.
pub(crate) fn loss(mark: Option<Mark>, newest: Option<End>) -> Option<Loss> {
    let loss = |number, from, to, why| Some(Loss { file: segment_name(number), from, to, why, number });
    if let Some(mark) = mark.filter(|mark| mark.segment > 0) {
        let gone = |why| loss(mark.segment, 0, mark.durable_bytes, why);
        match newest {
            None => return gone("the journal has no segment that can be used"),
            Some(end) if end.salt != mark.salt => return gone("the segments are those of another journal"),
            Some(end) if end.number < mark.segment => {
                return gone("the newest segment is gone, or nothing in it can be read");
            }
            Some(end) if end.number == mark.segment && end.readable_bytes < mark.durable_bytes => {
                return loss(end.number, end.readable_bytes, mark.durable_bytes, "the end of what was durable is gone");
            }
            Some(_) => {}
        }
    }
    let end = newest.filter(|end| end.is_cut)?;
    loss(end.number, end.readable_bytes, end.reserved_bytes, "the file was cut short")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::{EIO, FakeDisk, Op};

    fn dir() -> PathBuf {
        PathBuf::from("d/journal")
    }

    fn mark(nth: u64) -> Mark {
        Mark { salt: 7, segment: nth, durable_bytes: nth * 1000 }
    }

    #[test]
    fn a_torn_or_failed_write_leaves_this_mark_or_the_one_before() {
        for seed in 0..300 {
            let disk = FakeDisk::new(seed);
            disk.create_dir_all(&dir()).unwrap();
            let mut writer = Writer::open(&disk, &dir(), &Found::Absent);
            disk.crash_at(1 + seed / 10, seed);
            let mut said = 0;
            while writer.write(&disk, &dir(), &mark(said + 1)).is_ok() {
                said += 1;
            }
            let left = disk.crashed().unwrap();
            match read(&left, &dir()) {
                Found::Absent => assert_eq!(said, 0),
                Found::Whole { mark: found, .. } => {
                    assert!(found == mark(said) || found == mark(said + 1), "seed {seed}: {found:?} after {said}");
                }
                other => panic!("seed {seed}: {other:?}"),
            }
        }
        for op in [Op::Write, Op::SyncData] {
            let disk = FakeDisk::new(3);
            disk.create_dir_all(&dir()).unwrap();
            let mut writer = Writer::open(&disk, &dir(), &Found::Absent);
            writer.write(&disk, &dir(), &mark(1)).unwrap();
            disk.fail_at(op, 1, EIO);
            assert!(writer.write(&disk, &dir(), &mark(2)).is_err());
            writer.write(&disk, &dir(), &mark(3)).unwrap();
            for seed in 0..20 {
                assert_eq!(read(&disk.crash(seed), &dir()).mark(), Some(mark(3)));
            }
        }
    }

    #[test]
    fn one_damaged_slot_is_made_up_for_and_two_are_told() {
        let disk = FakeDisk::new(1);
        disk.create_dir_all(&dir()).unwrap();
        let mut writer = Writer::open(&disk, &dir(), &read(&disk, &dir()));
        writer.write(&disk, &dir(), &mark(1)).unwrap();
        let mut writer = Writer::open(&disk, &dir(), &read(&disk, &dir()));
        assert!(writer.is_open());
        writer.write(&disk, &dir(), &mark(2)).unwrap();
        writer.write(&disk, &dir(), &mark(3)).unwrap();
        assert_eq!(read(&disk, &dir()), Found::Whole { mark: mark(3), count: 3 });
        disk.corrupt(&path(&dir()), |bytes| bytes[4096 + 20] ^= 1);
        assert_eq!(read(&disk, &dir()).mark(), Some(mark(2)), "the one before lies in the other slot");
        disk.corrupt(&path(&dir()), |bytes| bytes.truncate(10));
        assert!(matches!(read(&disk, &dir()), Found::Unusable(_)));
        let mut other = encode(&mark(9), 9);
        other[4] = 2;
        let crc = crc_fast::crc32_iscsi(&other[..60]);
        other[60..].copy_from_slice(&crc.to_le_bytes());
        disk.corrupt(&path(&dir()), |bytes| *bytes = other.to_vec());
        assert_eq!(read(&disk, &dir()), Found::Unusable("it is of version 2".into()));
    }
}
