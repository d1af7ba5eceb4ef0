//! Journal files: their names and their heads. A segment and a run begin alike; all numbers are
//! little-endian.
//!
//! | at | bytes | what |
//! |---|---|---|
//! | 0 | 4 | magic `MRSG` |
//! | 4 | 1 | version, 2; version 1 ends at 40 |
//! | 5 | 1 | kind: 1 segment, 2 run |
//! | 8 | 8 | segment: its number; run: a random id |
//! | 16 | 8 | salt of the frames' checksums |
//! | 24 | 8 | segment: the previous segment's number, 0 for none; run: its shard |
//! | 32 | 8 | segment: valid bytes of the previous one, what lies behind was refused; run: 0 |
//! | 40 | 8 | segment: bytes that it was reserved with, durably, before this head was written; 0 when not known |
//! | 60 | 4 | CRC32C of bytes 0 to 59 |
//!
//! The head lies at 0 and again at 4096, so that no single damaged page hides the salt; frames begin
//! at 8192. A file of zeros alone is a segment prepared ahead.
//!
//! The newest segment is never shorter than it was reserved with, unless a start cut it; a start leaves a
//! word of zeros behind the last frame. So a shorter file without this word has lost its end.

use std::io;
use std::path::{Path, PathBuf};

use millrace_types::{Seq, ShardId};

use crate::disk::DiskFile;
use crate::frame::{u32_at, u64_at};

/// Where frames begin.
pub(crate) const FRAMES_AT: u64 = 8192;
const COPY_AT: usize = 4096;
const HEAD_BYTES: usize = 64;
const MAGIC: [u8; 4] = *b"MRSG";
const VERSION: u8 = 2;

/// Attempts at reading a place before its bytes count as gone, in segments and runs alike.
const READ_ATTEMPTS: u32 = 3;

/// Folder of the runs, below the journal's.
pub(crate) const SETTLED: &str = "settled";
/// Folder of what could not be read, below the journal's.
pub(crate) const QUARANTINE: &str = "quarantine";
/// Name of the lock file.
pub(crate) const LOCK: &str = "lock";

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileKind {
    Segment = 1,
    Run = 2,
}

/// The head of a segment or run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileHead {
    pub(crate) kind: FileKind,
    pub(crate) number: u64,
    pub(crate) salt: u64,
    pub(crate) previous: u64,
    pub(crate) previous_valid_bytes: u64,
    pub(crate) reserved_bytes: u64,
}

impl FileHead {
    /// The first [`FRAMES_AT`] bytes of the file.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut head = [0; HEAD_BYTES];
        head[..4].copy_from_slice(&MAGIC);
        head[4] = VERSION;
        head[5] = self.kind as u8;
        let numbers = [
            (8, self.number),
            (16, self.salt),
            (24, self.previous),
            (32, self.previous_valid_bytes),
            (40, self.reserved_bytes),
        ];
        for (at, number) in numbers {
            head[at..at + 8].copy_from_slice(&number.to_le_bytes());
        }
        let crc = crc_fast::crc32_iscsi(&head[..HEAD_BYTES - 4]);
        head[HEAD_BYTES - 4..].copy_from_slice(&crc.to_le_bytes());
        #[expect(clippy::cast_possible_truncation, reason = "a small constant")]
        let mut out = vec![0; FRAMES_AT as usize];
        out[..HEAD_BYTES].copy_from_slice(&head);
        out[COPY_AT..COPY_AT + HEAD_BYTES].copy_from_slice(&head);
        out
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let crc = crc_fast::crc32_iscsi(&bytes[..HEAD_BYTES - 4]);
        if bytes[..4] != MAGIC || !(1..=VERSION).contains(&bytes[4]) || u32_at(bytes, HEAD_BYTES - 4) != crc {
            return None;
        }
        let kind = match bytes[5] {
            1 => FileKind::Segment,
            2 => FileKind::Run,
            _ => return None,
        };
        Some(Self {
            kind,
            number: u64_at(bytes, 8),
            salt: u64_at(bytes, 16),
            previous: u64_at(bytes, 24),
            previous_valid_bytes: u64_at(bytes, 32),
            reserved_bytes: if bytes[4] == 1 { 0 } else { u64_at(bytes, 40) },
        })
    }

    /// The head of a segment whose own cannot be read: what is known of it from elsewhere.
    pub(crate) fn of_segment(number: u64, salt: u64) -> Self {
        Self { kind: FileKind::Segment, number, salt, previous: 0, previous_valid_bytes: 0, reserved_bytes: 0 }
    }

    /// The head of `file`, from either copy; none when both are damaged or absent.
    pub(crate) fn read(file: &dyn DiskFile) -> io::Result<Option<Self>> {
        for at in [0, COPY_AT] {
            let mut bytes = [0; HEAD_BYTES];
            match read_patiently(file, &mut bytes, at as u64) {
                Ok(()) => {
                    if let Some(head) = Self::decode(&bytes) {
                        return Ok(Some(head));
                    }
                }
                Err(error) if is_damage(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }
}

/// True for errors that say "these bytes are gone", not "ask again".
pub(crate) fn is_damage(error: &io::Error) -> bool {
    const EIO: i32 = 5;
    error.kind() == io::ErrorKind::UnexpectedEof || error.raw_os_error() == Some(EIO)
}

/// Fills `buf` from `offset`. An IO error may pass: only one that stays is told.
pub(crate) fn read_patiently(file: &dyn DiskFile, buf: &mut [u8], offset: u64) -> io::Result<()> {
    let mut read = file.read_exact_at(buf, offset);
    for _ in 1..READ_ATTEMPTS {
        match &read {
            Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => read = file.read_exact_at(buf, offset),
            _ => break,
        }
    }
    read
}

/// Where a frame lies: a segment, or a run by its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Source {
    Segment(u64),
    Run { shard: ShardId, first: Seq, id: u64 },
}

impl Source {
    /// File name below the journal's folder.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Segment(number) => segment_name(*number),
            Self::Run { shard, first, id } => format!("{SETTLED}/{}", run_name(*shard, *first, *id)),
        }
    }

    pub(crate) fn path(&self, dir: &Path) -> PathBuf {
        dir.join(self.name())
    }

    /// Where its index lies.
    pub(crate) fn index_path(&self, dir: &Path) -> PathBuf {
        self.path(dir).with_extension("idx")
    }

    pub(crate) fn is_run(&self) -> bool {
        matches!(self, Self::Run { .. })
    }

    /// The number in its head.
    pub(crate) fn number(&self) -> u64 {
        match self {
            Self::Segment(number) | Self::Run { id: number, .. } => *number,
        }
    }
}

pub(crate) fn segment_name(number: u64) -> String {
    format!("{number:016}.seg")
}

fn run_name(shard: ShardId, first: Seq, id: u64) -> String {
    format!("{:016x}-{:020}-{id:016x}.run", shard.as_u64(), first.get())
}

/// The number in a segment's name.
pub(crate) fn segment_number(name: &str) -> Option<u64> {
    let number = name.strip_suffix(".seg")?.parse().ok()?;
    (segment_name(number) == name).then_some(number)
}

/// The run that a file name says.
pub(crate) fn run_of(name: &str) -> Option<Source> {
    let (shard, rest) = name.strip_suffix(".run")?.split_once('-')?;
    let (first, id) = rest.split_once('-')?;
    let shard = ShardId::from_u64(u64::from_str_radix(shard, 16).ok()?);
    let (first, id) = (Seq::new(first.parse().ok()?), u64::from_str_radix(id, 16).ok()?);
    (run_name(shard, first, id) == name).then_some(Source::Run { shard, first, id })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::Disk;
    use crate::fake::FakeDisk;

    #[test]
    fn heads_survive_one_damaged_page_and_names_come_back() {
        let head = FileHead {
            kind: FileKind::Segment,
            number: 7,
            salt: 8,
            previous: 6,
            previous_valid_bytes: 12_345,
            reserved_bytes: 99,
        };
        let disk = FakeDisk::new(0);
        disk.create_dir_all(Path::new("d")).unwrap();
        let path = Path::new("d").join(segment_name(7));
        let file = disk.create(&path).unwrap();
        assert_eq!(FileHead::read(&*file).unwrap(), None, "empty");
        file.write_all_at(&[&head.encode()], 0).unwrap();
        assert_eq!(FileHead::read(&*file).unwrap(), Some(head));
        disk.corrupt(&path, |bytes| bytes[..4096].fill(0));
        assert_eq!(FileHead::read(&*file).unwrap(), Some(head));
        disk.corrupt(&path, |bytes| bytes[4096 + 20] ^= 1);
        assert_eq!(FileHead::read(&*file).unwrap(), None);
        assert_eq!(segment_number(&segment_name(7)), Some(7));
        assert_eq!(segment_number("7.seg"), None);
        let run = Source::Run { shard: ShardId::from_u64(0xab_cdef), first: Seq::new(99), id: u64::MAX };
        assert_eq!(run_of(run.name().strip_prefix("settled/").unwrap()), Some(run));
        assert_eq!(run_of("1-2-3.run"), None);
    }
}
