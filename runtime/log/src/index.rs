//! The index beside a sealed segment or run: which records lie where, so that a start reads heads and
//! tables alone. It can always be made again from the file; it is believed only when number, salt and
//! every checksum fit. All numbers are little-endian.
//!
//! Head, 64 bytes: magic `MRIX`, version 1 (at 4), file number (8), salt (16), valid bytes of the file
//! (24), shards (32, u32), CRC32C of the table (36), CRC32C of bytes 0 to 59 (60). Table, 64 bytes a
//! shard: shard (0), first (8) and end (16) of its records, bytes of its frames (24), records (32),
//! arrival of the first in ms (40), offset of its frames' list (48), frames (56, u32), CRC32C of the
//! list (60). Lists, 24 bytes a frame: first (0), offset (8), bytes (16, u32), records (20, u32).

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use millrace_types::ShardId;

use crate::disk::{Disk, DiskFile};
use crate::file::{FileHead, Source};
use crate::frame::{HEADER_BYTES, Header, Kind, u32_at, u64_at};
use crate::scan::{Damage, Durable, Scan, Window, scan};

const MAGIC: [u8; 4] = *b"MRIX";
const VERSION: u8 = 1;
const HEAD_BYTES: usize = 64;
const ROW_BYTES: usize = 64;
const REF_BYTES: usize = 24;
/// Shards that one file may hold: a frame takes at least 48 bytes of at most 1 GiB.
const SHARDS_MAX: usize = 1 << 25;

/// Where one frame of records lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameRef {
    pub(crate) first: u64,
    pub(crate) offset: u64,
    pub(crate) bytes: u32,
    pub(crate) count: u32,
}

impl FrameRef {
    pub(crate) fn new(offset: u64, header: &Header) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "a frame is far below 4 GiB")]
        let bytes = header.frame_bytes() as u32;
        Self { first: header.first, offset, bytes, count: header.count }
    }

    pub(crate) fn end(&self) -> u64 {
        self.first + u64::from(self.count)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.first.to_le_bytes());
        out.extend_from_slice(&self.offset.to_le_bytes());
        out.extend_from_slice(&self.bytes.to_le_bytes());
        out.extend_from_slice(&self.count.to_le_bytes());
    }

    fn decode(bytes: &[u8]) -> Self {
        Self { first: u64_at(bytes, 0), offset: u64_at(bytes, 8), bytes: u32_at(bytes, 16), count: u32_at(bytes, 20) }
    }
}

/// The frames of one shard in one file, by sequence number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ShardRefs {
    pub(crate) oldest_ms: i64,
    pub(crate) frames: Vec<FrameRef>,
}

/// All record frames of one file.
pub(crate) type Refs = BTreeMap<ShardId, ShardRefs>;

/// What is kept in memory of a shard's frames in one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) shard: ShardId,
    pub(crate) first: u64,
    pub(crate) end: u64,
    pub(crate) bytes: u64,
    pub(crate) records: u64,
    pub(crate) oldest_ms: i64,
}

/// What is known of one file.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) valid_bytes: u64,
    pub(crate) index_bytes: u64,
    pub(crate) summaries: Vec<Summary>,
    /// Damaged places, when the file had to be scanned.
    pub(crate) damage: Vec<Damage>,
    /// The frames, when the file had to be scanned.
    pub(crate) refs: Option<Refs>,
}

/// Adds a frame of records to its shard.
pub(crate) fn add(refs: &mut Refs, shard: ShardId, frame: FrameRef, arrival_ms: i64) {
    let entry = refs.entry(shard).or_insert_with(|| ShardRefs { oldest_ms: arrival_ms, frames: Vec::new() });
    entry.frames.push(frame);
}

/// The summaries of `refs`.
pub(crate) fn summaries(refs: &Refs) -> Vec<Summary> {
    let of = |(shard, refs): (&ShardId, &ShardRefs)| {
        Some(Summary {
            shard: *shard,
            first: refs.frames.first()?.first,
            end: refs.frames.last()?.end(),
            bytes: refs.frames.iter().map(|frame| u64::from(frame.bytes)).sum(),
            records: refs.frames.iter().map(|frame| u64::from(frame.count)).sum(),
            oldest_ms: refs.oldest_ms,
        })
    };
    refs.iter().filter_map(of).collect()
}

/// The stored form of an index.
pub(crate) fn encode(head: &FileHead, valid_bytes: u64, refs: &Refs) -> Vec<u8> {
    let summaries = summaries(refs);
    let lists_at = HEAD_BYTES + summaries.len() * ROW_BYTES;
    let (mut table, mut lists) = (Vec::new(), Vec::new());
    for summary in &summaries {
        let frames = &refs[&summary.shard].frames;
        let at = lists.len();
        frames.iter().for_each(|frame| frame.encode(&mut lists));
        #[expect(clippy::cast_sign_loss, reason = "read back the same way")]
        let oldest = summary.oldest_ms as u64;
        let numbers = [
            summary.shard.as_u64(),
            summary.first,
            summary.end,
            summary.bytes,
            summary.records,
            oldest,
            (lists_at + at) as u64,
        ];
        table.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        #[expect(clippy::cast_possible_truncation, reason = "a file is at most 1 GiB")]
        table.extend_from_slice(&(frames.len() as u32).to_le_bytes());
        table.extend_from_slice(&crc_fast::crc32_iscsi(&lists[at..]).to_le_bytes());
    }
    let mut out = Vec::with_capacity(lists_at + lists.len());
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&[VERSION, 0, 0, 0]);
    for number in [head.number, head.salt, valid_bytes] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    #[expect(clippy::cast_possible_truncation, reason = "below SHARDS_MAX")]
    out.extend_from_slice(&(summaries.len() as u32).to_le_bytes());
    out.extend_from_slice(&crc_fast::crc32_iscsi(&table).to_le_bytes());
    out.resize(HEAD_BYTES - 4, 0);
    let crc = crc_fast::crc32_iscsi(&out);
    out.extend_from_slice(&crc.to_le_bytes());
    out.extend_from_slice(&table);
    out.extend_from_slice(&lists);
    out
}

/// Writes the index of `source`, durable on return.
pub(crate) fn store(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    match disk.remove(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = disk.create(path)?;
    file.write_all_at(&[bytes], 0)?;
    file.sync_data()?;
    path.parent().map_or(Ok(()), |folder| disk.sync_dir(folder))
}

struct Row {
    summary: Summary,
    list_at: u64,
    frames: usize,
    crc: u32,
}

/// Salt and valid bytes of the file, and its table; none when anything does not fit.
fn rows(file: &dyn DiskFile, number: u64) -> Option<(u64, u64, Vec<Row>)> {
    let mut head = [0; HEAD_BYTES];
    file.read_exact_at(&mut head, 0).ok()?;
    let shards = u32_at(&head, 32) as usize;
    let whole = head[..4] == MAGIC
        && head[4] == VERSION
        && u32_at(&head, HEAD_BYTES - 4) == crc_fast::crc32_iscsi(&head[..HEAD_BYTES - 4])
        && u64_at(&head, 8) == number
        && shards <= SHARDS_MAX;
    if !whole || file.len().ok()? < (HEAD_BYTES + shards * ROW_BYTES) as u64 {
        return None;
    }
    let mut table = vec![0; shards * ROW_BYTES];
    file.read_exact_at(&mut table, HEAD_BYTES as u64).ok()?;
    if crc_fast::crc32_iscsi(&table) != u32_at(&head, 36) {
        return None;
    }
    let row = |bytes: &[u8]| Row {
        summary: Summary {
            shard: ShardId::from_u64(u64_at(bytes, 0)),
            first: u64_at(bytes, 8),
            end: u64_at(bytes, 16),
            bytes: u64_at(bytes, 24),
            records: u64_at(bytes, 32),
            oldest_ms: u64_at(bytes, 40).cast_signed(),
        },
        list_at: u64_at(bytes, 48),
        frames: u32_at(bytes, 56) as usize,
        crc: u32_at(bytes, 60),
    };
    Some((u64_at(&head, 16), u64_at(&head, 24), table.chunks_exact(ROW_BYTES).map(row).collect()))
}

/// Salt and table of the index at `path`; none when it is absent, damaged or another file's.
pub(crate) fn load(disk: &dyn Disk, path: &Path, number: u64) -> Option<(u64, Known)> {
    let file = disk.open(path).ok()?;
    let index_bytes = file.len().ok()?;
    let (salt, valid_bytes, rows) = rows(&*file, number)?;
    let summaries = rows.into_iter().map(|row| row.summary).collect();
    Some((salt, Known { valid_bytes, index_bytes, summaries, damage: Vec::new(), refs: None }))
}

/// The frames of one shard from the index at `path`.
pub(crate) fn load_shard(disk: &dyn Disk, path: &Path, number: u64, shard: ShardId) -> Option<Vec<FrameRef>> {
    let file = disk.open(path).ok()?;
    let (_, _, rows) = rows(&*file, number)?;
    let Some(row) = rows.into_iter().find(|row| row.summary.shard == shard) else { return Some(Vec::new()) };
    let bytes = row.frames.checked_mul(REF_BYTES)?;
    if row.list_at.checked_add(bytes as u64)? > file.len().ok()? {
        return None;
    }
    let mut list = vec![0; bytes];
    file.read_exact_at(&mut list, row.list_at).ok()?;
    let fits = crc_fast::crc32_iscsi(&list) == row.crc;
    fits.then(|| list.chunks_exact(REF_BYTES).map(FrameRef::decode).collect())
}

/// The record frames that `scan` found.
pub(crate) fn refs_of(file: &dyn DiskFile, scan: &Scan) -> io::Result<Refs> {
    let mut refs = Refs::new();
    let mut window = Window::new(file, scan.valid_bytes);
    for (offset, header) in &scan.frames {
        match header.kind {
            Kind::Records => {
                let arrival = if refs.contains_key(&header.shard) || header.body_bytes < 8 {
                    None
                } else {
                    window.get(offset + HEADER_BYTES as u64, 8)?.map(|bytes| u64_at(bytes, 0).cast_signed())
                };
                add(&mut refs, header.shard, FrameRef::new(*offset, header), arrival.unwrap_or(0));
            }
            Kind::Retire => {
                refs.remove(&header.shard);
            }
            _ => {}
        }
    }
    Ok(refs)
}

/// What is in `source`, by reading all of it.
pub(crate) fn rebuild(file: &dyn DiskFile, salt: u64, durable: Durable) -> io::Result<Known> {
    let scan = scan(file, salt, durable)?;
    let refs = refs_of(file, &scan)?;
    Ok(Known {
        valid_bytes: scan.valid_bytes,
        index_bytes: 0,
        summaries: summaries(&refs),
        damage: scan.damage,
        refs: Some(refs),
    })
}

/// The frames of `shard` in `source`: from its index, or from the file itself where that is damaged.
pub(crate) fn shard_frames(
    disk: &dyn Disk,
    dir: &Path,
    source: Source,
    file: &dyn DiskFile,
    shard: ShardId,
    valid_bytes: u64,
) -> io::Result<Vec<FrameRef>> {
    if let Some(frames) = load_shard(disk, &source.index_path(dir), source.number(), shard) {
        return Ok(frames);
    }
    let Some(head) = FileHead::read(file)? else { return Ok(Vec::new()) };
    let mut known = rebuild(file, head.salt, Durable::Exactly(valid_bytes))?;
    Ok(known.refs.as_mut().and_then(|refs| refs.remove(&shard)).map(|refs| refs.frames).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::FakeDisk;

    #[test]
    fn an_index_comes_back_and_no_flipped_bit_passes() {
        let mut refs = Refs::new();
        for shard in [3, 9] {
            for nth in 0..4u32 {
                let frame = FrameRef { first: u64::from(nth) * 10, offset: 8192, bytes: 100, count: 10 };
                add(&mut refs, ShardId::from_u64(shard), frame, i64::from(nth) - 5);
            }
        }
        let head = FileHead::of_segment(4, 5);
        let bytes = encode(&head, 9000, &refs);
        let disk = FakeDisk::new(0);
        let path = Path::new("d/x.idx");
        disk.create_dir_all(Path::new("d")).unwrap();
        store(&disk, path, &bytes).unwrap();
        let (salt, known) = load(&disk, path, 4).unwrap();
        assert_eq!((salt, known.valid_bytes, known.summaries), (5, 9000, summaries(&refs)));
        let shard = ShardId::from_u64(9);
        assert_eq!(load_shard(&disk, path, 4, shard).unwrap(), refs[&shard].frames);
        assert!(load(&disk, path, 5).is_none(), "another segment's");
        for place in 0..bytes.len() {
            disk.corrupt(path, |bytes| bytes[place] ^= 4);
            let seen = load(&disk, path, 4).is_none()
                || [3, 9].iter().any(|shard| load_shard(&disk, path, 4, ShardId::from_u64(*shard)).is_none());
            assert!(seen, "flip at {place}");
            disk.corrupt(path, |bytes| bytes[place] ^= 4);
        }
        for cut in 0..bytes.len() {
            disk.corrupt(path, |bytes| bytes.truncate(bytes.len() - 1));
            assert!(load_shard(&disk, path, 4, shard).is_none(), "cut by {}", cut + 1);
        }
    }
}
