//! Fuzz targets of the journal: every decoder of what lies on its disk, from any bytes. Checksums keep
//! a fuzzer out, so each target also reads the same bytes with their checksums put right.

use std::path::Path;

use bytes::Bytes;
use millrace_types::mutate::Target;
use millrace_types::{BatchBuilder, Counts, Members, Seq, ShardId};

use crate::disk::{Disk, DiskFile};
use crate::file::{FRAMES_AT, FileHead, FileKind, run_of, segment_name, segment_number};
use crate::frame::{self, Body, HEADER_BYTES, Header, Kind, u32_at, u64_at};
use crate::recovery::recover;
use crate::scan::{Durable, Window, scan};
use crate::store::Store;
use crate::{Commit, FakeDisk, Intent, JournalSettings, index, inspect, snapshot};

/// Salt and number of every file here.
const SALT: u64 = 7;
const NUMBER: u64 = 4;
const DIR: &str = "journal";

/// Frames: a header that is read is written the same, a body that is read comes back.
pub fn frame(data: &[u8]) {
    if let Some(header) = Header::decode(data, SALT) {
        assert_eq!(header.encode(SALT), data[..HEADER_BYTES], "a header has one form");
    }
    let Some((head, body)) = data.split_at_checked(HEADER_BYTES) else { return };
    let kinds = [Kind::Records, Kind::Intent, Kind::Commit, Kind::Retire, Kind::Snapshot, Kind::Mark, Kind::Pad];
    let header = Header {
        kind: kinds[usize::from(head[5]) % kinds.len()],
        flags: u16::from_le_bytes([head[6], head[7]]),
        body_bytes: u32_at(head, 8),
        body_crc: u32_at(head, 12),
        shard: ShardId::from_u64(u64_at(head, 16)),
        first: u64_at(head, 24),
        count: u32_at(head, 32),
        synced: u64_at(head, 40),
    };
    let Some(read) = Header::decode(&header.encode(SALT), SALT) else { return };
    assert_eq!(read, header);
    assert!(header.frame_bytes() >= HEADER_BYTES as u64 && header.end() >= header.first);
    decode_body(&header, &Bytes::copy_from_slice(body));
}

fn decode_body(header: &Header, body: &Bytes) {
    match header.kind {
        Kind::Records => {
            let Ok(batch) = frame::decode_records(header, body) else { return };
            assert_eq!(batch.len(), header.count as usize);
            assert!(batch.payload().len() + batch.keys().len() <= body.len(), "no more than was there");
            assert_eq!(batch.columns().iter().map(<[u8]>::len).sum::<usize>(), batch.payload().len());
            let (again, bytes) = written(&frame::records(header.shard, &batch));
            assert_eq!(frame::decode_records(&again, &bytes), Ok(batch));
        }
        Kind::Intent => {
            let Ok(intent) = frame::decode_intent(header, body) else { return };
            let (again, bytes) = written(&frame::intent(&intent));
            assert_eq!(frame::decode_intent(&again, &bytes), Ok(intent));
        }
        Kind::Commit => {
            let Ok(commit) = frame::decode_commit(header, body) else { return };
            let (again, bytes) = written(&frame::commit(&commit));
            assert_eq!(frame::decode_commit(&again, &bytes), Ok(commit));
        }
        Kind::Snapshot => snapshot_parts(std::slice::from_ref(body)),
        Kind::Retire | Kind::Mark | Kind::Pad => {}
    }
}

/// The header and the body of a whole frame, read back from its bytes.
fn written(body: &Body) -> (Header, Bytes) {
    let mut bytes = Vec::new();
    body.write_to(&mut bytes, 0, SALT);
    let header = Header::decode(&bytes, SALT);
    let bytes = Bytes::from(bytes.split_off(HEADER_BYTES));
    let header = header.expect("a frame of ours is read");
    assert!(header.fits(&bytes));
    (header, bytes)
}

/// Snapshots, in one part and in two.
pub fn snapshot(data: &[u8]) {
    let all = Bytes::copy_from_slice(data);
    let middle = data.len() / 2;
    snapshot_parts(&[all.slice(..middle), all.slice(middle..)]);
    snapshot_parts(&[all]);
}

fn snapshot_parts(parts: &[Bytes]) {
    let Ok(snapshot) = snapshot::decode(parts) else { return };
    let bytes: usize = parts.iter().map(Bytes::len).sum();
    assert!(snapshot.shards.len() + snapshot.segments.len() <= bytes, "an entry costs bytes");
    let mut store = Store::new(0);
    store.shards.extend(snapshot.shards);
    let again: Vec<Bytes> = snapshot::encode(&store).into_iter().map(|body| body.head.into()).collect();
    let back = snapshot::decode(&again).expect("a snapshot of ours is read");
    assert_eq!(back.shards.len(), store.shards.len());
    for (id, shard) in back.shards {
        let own = &store.shards[&id];
        assert_eq!((shard.next, shard.watermark, &shard.done), (own.next, own.watermark, &own.done));
        assert_eq!((&shard.decided, &shard.intents), (&own.decided, &own.intents));
    }
}

fn disk_with(name: &str, bytes: &[&[u8]]) -> FakeDisk {
    let disk = FakeDisk::new(0);
    let path = Path::new(DIR).join(name);
    let made = disk
        .create_dir_all(&Path::new(DIR).join(crate::file::SETTLED))
        .and_then(|()| disk.create(&path)?.write_all_at(bytes, 0));
    made.expect("the fake disk takes a file");
    disk
}

fn open(disk: &FakeDisk, name: &str) -> Box<dyn DiskFile> {
    disk.open(&Path::new(DIR).join(name)).expect("the fake disk has the file")
}

/// Indexes, as they come and with their checksums put right.
pub fn index(data: &[u8]) {
    index_file(data);
    let mut mended = data.to_vec();
    if mended.len() < 64 {
        return;
    }
    mended[..8].copy_from_slice(b"MRIX\x01\0\0\0");
    mended[8..16].copy_from_slice(&NUMBER.to_le_bytes());
    let shards = (u32_at(&mended, 32) as usize).min(mended.len() / 64 - 1);
    for row in (1..=shards).map(|nth| nth * 64) {
        let frames = (u32_at(&mended, row + 56) as usize).saturating_mul(24);
        let list =
            usize::try_from(u64_at(&mended, row + 48)).ok().and_then(|at| mended.get(at..at.checked_add(frames)?));
        if let Some(crc) = list.map(crc_fast::crc32_iscsi) {
            mended[row + 60..row + 64].copy_from_slice(&crc.to_le_bytes());
        }
    }
    let crc = crc_fast::crc32_iscsi(&mended[64..64 + shards * 64]);
    mended[36..40].copy_from_slice(&crc.to_le_bytes());
    let crc = crc_fast::crc32_iscsi(&mended[..60]);
    mended[60..64].copy_from_slice(&crc.to_le_bytes());
    index_file(&mended);
}

fn index_file(bytes: &[u8]) {
    let disk = disk_with("x.idx", &[bytes]);
    let path = Path::new(DIR).join("x.idx");
    let Some((_, known)) = index::load(&disk, &path, NUMBER) else { return };
    assert!(known.summaries.len() * 64 <= bytes.len(), "a shard costs bytes");
    for summary in &known.summaries {
        if let Some(frames) = index::load_shard(&disk, &path, NUMBER, summary.shard) {
            assert!(frames.len() * 24 <= bytes.len(), "a frame costs bytes");
        }
    }
}

/// Heads of files, and their names.
pub fn file_head(data: &[u8]) {
    let read = |bytes: &[u8]| FileHead::read(&*open(&disk_with("x.seg", &[bytes]), "x.seg")).ok().flatten();
    if let Some(head) = read(data) {
        assert_eq!(read(&head.encode()), Some(head));
    }
    if let Some(head) = data.get(..64) {
        let mut mended = head.to_vec();
        mended[..5].copy_from_slice(b"MRSG\x01");
        let crc = crc_fast::crc32_iscsi(&mended[..60]);
        mended[60..].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(read(&mended).is_some(), matches!(mended[5], 1 | 2), "a kind, and the checksum, make a head");
    }
    if let Ok(name) = std::str::from_utf8(data) {
        if let Some(number) = segment_number(name) {
            assert_eq!(segment_name(number), name);
        }
        if let Some(run) = run_of(name) {
            assert_eq!(run.name(), format!("{}/{name}", crate::file::SETTLED));
        }
    }
}

/// A segment with any frames: what is read lies in order, has a body, and is found again.
pub fn segment(data: &[u8]) {
    let name = segment_name(NUMBER);
    let disk = disk_with(&name, &[&segment_head().encode(), data]);
    let file = open(&disk, &name);
    let found = scan(&*file, SALT, Durable::AtLeast(0)).expect("the fake disk reads");
    let limit = FRAMES_AT + data.len() as u64;
    assert!(found.valid_bytes + found.torn_bytes <= limit && found.data_end <= limit);
    let mut window = Window::new(&*file, found.valid_bytes);
    let mut behind = FRAMES_AT;
    for (at, header) in &found.frames {
        assert!(*at >= behind, "frames do not overlap");
        behind = at + header.frame_bytes();
        let body = window.body(*at, header).expect("the fake disk reads");
        decode_body(header, &body.expect("a whole frame has its body"));
    }
    assert!(behind <= found.valid_bytes);
    let again = scan(&*file, SALT, Durable::Exactly(found.valid_bytes)).expect("reads twice");
    assert_eq!(again.frames, found.frames, "what is valid stays valid");
    assert_eq!(again.damage, found.damage, "what is damaged stays damaged");
    let dir = Path::new(DIR);
    let report = inspect::verify(&disk, dir).expect("verify reads any segment");
    assert_eq!(report.files.len() + report.unreadable.len(), 1);
    let mut frames = 0;
    let dumped = inspect::dump(&disk, dir, inspect::Filter::default(), &mut |_| frames += 1);
    assert!(dumped.is_ok() && frames == found.frames.len());
}

/// A start over two segments of any bytes: it refuses, or the next start finds the same.
pub fn recovery(data: &[u8]) {
    let disk = disk_with(&segment_name(NUMBER), &[&segment_head().encode(), data]);
    let settings = JournalSettings::default();
    let Ok(first) = recover(&disk, Path::new(DIR), &settings) else { return };
    let second = recover(&disk, Path::new(DIR), &settings).map_err(drop).expect("a second start, too");
    assert_eq!(first.previous, second.previous);
    assert_eq!(first.store.shards.len(), second.store.shards.len());
    for (id, shard) in &first.store.shards {
        let again = &second.store.shards[id];
        assert_eq!((shard.next, shard.watermark, &shard.decided), (again.next, again.watermark, &again.decided));
        assert_eq!(shard.intents, again.intents);
    }
}

fn segment_head() -> FileHead {
    FileHead {
        kind: FileKind::Segment,
        number: NUMBER,
        salt: SALT,
        previous: 0,
        previous_valid_bytes: 0,
        reserved_bytes: 0,
    }
}

fn some_bodies() -> Vec<Body> {
    let shard = ShardId::from_u64(3 << 16);
    let mut batches = Vec::new();
    for keyed in [false, true] {
        let mut builder = BatchBuilder::default();
        for (nth, record) in [&b"one"[..], b"", b"{\"three\":3}"].into_iter().enumerate() {
            let put = |payload: &mut Vec<u8>| {
                payload.extend_from_slice(record);
                Ok::<(), millrace_types::BatchFull>(())
            };
            let arrival_ms = if keyed { 5 + nth as i64 } else { 5 };
            let pushed =
                if keyed { builder.push_keyed(arrival_ms, b"k", put) } else { builder.push_with(arrival_ms, put) };
            assert!(pushed.is_ok());
        }
        let mut batch = builder.finish();
        batch.set_first(Seq::new(if keyed { 3 } else { 0 }));
        batches.push(batch);
    }
    let mut members = Members::new();
    members.insert(0, Seq::new(0), Seq::new(2));
    members.insert(1, Seq::new(1), Seq::new(2));
    let counts = Counts { delivered: 2, dropped: 1, ..Counts::default() };
    let intent = Intent { shard, id: 9, members: members.clone(), body: Bytes::from_static(b"{\"key\":\"a\"}") };
    let mut store = Store::new(0);
    store.intent(intent.clone());
    store.shards.entry(shard).or_default().done = members;
    let mut bodies = snapshot::encode(&store);
    bodies.extend(batches.iter().map(|batch| frame::records(shard, batch)));
    bodies.push(frame::intent(&intent));
    bodies.push(frame::commit(&Commit { shard, intents: vec![9], watermark: Seq::new(3), counts }));
    bodies.push(frame::plain(Kind::Mark, Vec::new()));
    bodies.push(frame::retire(shard));
    bodies
}

fn frames_of<'a>(bodies: impl IntoIterator<Item = &'a Body>) -> Vec<u8> {
    let mut out = Vec::new();
    for body in bodies {
        body.write_to(&mut out, FRAMES_AT, SALT);
    }
    out
}

fn some_frames() -> Vec<Vec<u8>> {
    some_bodies().iter().map(|body| frames_of([body])).collect()
}

/// Whole segments: frames as they come, twice, and in other orders (a disk that misplaced a write).
fn some_segments() -> Vec<Vec<u8>> {
    let bodies = some_bodies();
    let end = bodies.len() - 1;
    vec![
        frames_of(&bodies),
        frames_of(&bodies[..end]),
        frames_of(bodies[..end].iter().chain(&bodies[..end])),
        frames_of(bodies.iter().rev()),
        [frames_of(&bodies[..3]), vec![0; 5_000], frames_of(&bodies[2..])].concat(),
    ]
}

fn some_snapshots() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = some_bodies().into_iter().take(1).map(|body| body.head).collect();
    let mut segment = vec![3];
    segment.extend([4u64, 9_000].iter().flat_map(|number| number.to_le_bytes()));
    seeds.push(segment);
    seeds
}

fn some_indexes() -> Vec<Vec<u8>> {
    let mut refs = index::Refs::new();
    for shard in [3, 9] {
        for nth in 0..4u32 {
            let frame = index::FrameRef { first: u64::from(nth) * 10, offset: FRAMES_AT, bytes: 100, count: 10 };
            index::add(&mut refs, ShardId::from_u64(shard), frame, i64::from(nth) - 5);
        }
    }
    vec![index::encode(&segment_head(), 9_000, &refs), index::encode(&segment_head(), 9_000, &index::Refs::new())]
}

fn some_heads() -> Vec<Vec<u8>> {
    let names = ["0000000000000004.seg", "0000000000030000-00000000000000000099-00000000000000ff.run"];
    let mut seeds: Vec<Vec<u8>> = names.iter().map(|name| name.as_bytes().to_vec()).collect();
    seeds.push(segment_head().encode());
    seeds
}

/// All targets of this crate.
#[must_use]
pub fn targets() -> Vec<Target> {
    let words =
        &["MRF1\u{1}", "MRSG\u{1}\u{2}", "MRIX\u{1}", "\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}", ".seg", ".run"];
    let target = |name, run, seeds, rounds| Target { name, run, seeds, words, rounds };
    vec![
        target("frame", frame, some_frames, 10_000),
        target("snapshot", snapshot, some_snapshots, 10_000),
        target("index", index, some_indexes, 5_000),
        target("file_head", file_head, some_heads, 2_000),
        target("segment", segment, some_segments, 2_000),
        target("recovery", recovery, some_segments, 2_000),
    ]
}

#[test]
fn targets_hold() {
    millrace_types::mutate::drive(&targets());
}
