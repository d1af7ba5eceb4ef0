//! A start: what lies in the directory becomes the state in memory. The newest segment with a whole
//! snapshot and those behind it are read frame by frame; of all others the index alone.
//!
//! Nothing is written to old segments. A start seals the last one where its valid part ends, and the
//! writer begins a new one that names this end.

mod files;
mod replay;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use millrace_types::{Entropy, Seq, ShardId, SystemEntropy};

use crate::disk::{Disk, DiskFile};
use crate::file::{FileHead, FileKind, Source, segment_name};
use crate::frame::Kind;
use crate::index::{self, Known, Summary};
use crate::quarantine;
use crate::scan::{Damage, Scan};
use crate::snapshot::Snapshot;
use crate::store::{Phase, Run, Segment, Store};
use crate::{Error, JournalSettings, Quarantined, Recovery};

use files::Files;
pub(crate) use files::remove;

/// Nonzero bytes behind which a headless file is surely no torn first segment.
const TORN_HEAD_BYTES_MAX: u64 = 64 * 1024;

/// What a start found.
pub(crate) struct Recovered {
    pub(crate) store: Store,
    pub(crate) salt: u64,
    /// The last segment with frames and its valid bytes; zeros in a new directory.
    pub(crate) previous: (u64, u64),
    /// Number of the next segment to be made.
    pub(crate) next_number: u64,
    /// A segment that was prepared ahead and never used.
    pub(crate) spare: Option<(u64, Arc<dyn DiskFile>)>,
    pub(crate) report: Recovery,
}

/// A segment that was read frame by frame.
struct Scanned {
    file: Arc<dyn DiskFile>,
    scan: Scan,
}

struct Start<'a> {
    disk: &'a dyn Disk,
    dir: &'a Path,
    store: Store,
    report: Recovery,
    /// Valid bytes by segment, as a successor or a snapshot says.
    valid: BTreeMap<u64, u64>,
}

/// Reads the directory; the caller holds its lock.
pub(crate) fn recover(disk: &dyn Disk, dir: &Path, settings: &JournalSettings) -> Result<Recovered, Error> {
    let store = Store::new(settings.tail_bytes);
    let mut start = Start { disk, dir, store, report: Recovery::default(), valid: BTreeMap::new() };
    let files = Files::list(disk, dir, settings.segment_bytes)?;
    start.report.segments = files.heads.len();
    for head in files.heads.values() {
        start.valid.insert(head.previous, head.previous_valid_bytes);
    }
    let scanned = start.scan_back(&files)?;
    if scanned.is_empty() {
        files.refuse_if_headless(dir)?;
    }
    for (number, data_end) in &files.headless {
        start.set_aside(*number, *data_end)?;
    }
    let last = scanned.last_key_value().map(|(number, scanned)| (*number, scanned.scan.valid_bytes));
    if let Some((number, scanned)) = scanned.last_key_value() {
        start.seal_last(*number, scanned)?;
    }
    let first = scanned.first_key_value().map(|(number, _)| *number);
    let mut damaged = Vec::new();
    for (number, scanned) in scanned {
        start.take_scanned(number, scanned, &mut damaged)?;
    }
    for (number, head) in files.heads.range(..first.unwrap_or(0)) {
        start.take_indexed(*number, head, &mut damaged)?;
    }
    start.take_runs(&mut damaged)?;
    start.report_damage(damaged);
    files.remove_orphans(disk, dir);
    let salt = files.heads.values().next_back().map_or_else(|| SystemEntropy.next_u64(), |head| head.salt);
    let report = start.report;
    start.store.status.torn_bytes = report.torn_bytes;
    for range in &report.quarantined {
        start.store.quarantine(range.clone());
    }
    Ok(Recovered {
        store: start.store,
        salt,
        previous: last.unwrap_or((0, 0)),
        next_number: files.highest + 1,
        spare: files.spare,
        report,
    })
}

/// Damage in a file, for the report.
struct Damaged {
    source: Source,
    damage: Damage,
}

impl Start<'_> {
    fn open(&self, number: u64) -> Result<Arc<dyn DiskFile>, Error> {
        let path = self.dir.join(segment_name(number));
        Ok(self.disk.open(&path).map_err(Error::io("cannot open", path))?.into())
    }

    /// Scans from the newest segment back to one with a whole snapshot, and replays from there.
    fn scan_back(&mut self, files: &Files) -> Result<BTreeMap<u64, Scanned>, Error> {
        let mut scanned = BTreeMap::new();
        for (number, head) in files.heads.iter().rev() {
            let file = self.open(*number)?;
            let path = self.dir.join(segment_name(*number));
            let failed = || Error::io("cannot read", path.clone());
            let scan = crate::scan::scan(&*file, head.salt, self.valid.get(number).copied()).map_err(failed())?;
            self.report.scanned_bytes += scan.data_end;
            let snapshot = replay::read_snapshot(&*file, &scan).map_err(failed())?;
            let other = |kind: Kind| kind != Kind::Snapshot;
            let used = scan.frames.iter().any(|(_, header)| other(header.kind))
                || scan.damage.iter().any(|damage| damage.header.is_some_and(|header| other(header.kind)));
            if snapshot.is_none() && !used && scanned.is_empty() {
                // Its making was cut short: nothing in it was ever acknowledged.
                self.set_aside(*number, scan.data_end)?;
                continue;
            }
            scanned.insert(*number, Scanned { file, scan });
            if let Some(snapshot) = snapshot {
                self.replay(snapshot, &scanned)?;
                return Ok(scanned);
            }
        }
        match scanned.keys().next() {
            None => Ok(scanned),
            Some(number) => Err(Error::Damaged {
                path: self.dir.join(segment_name(*number)),
                why: "no segment has a whole snapshot of the state".into(),
            }),
        }
    }

    fn replay(&mut self, snapshot: Snapshot, scanned: &BTreeMap<u64, Scanned>) -> Result<(), Error> {
        for (number, valid) in snapshot.segments {
            self.valid.entry(number).or_insert(valid);
        }
        self.store.shards.extend(snapshot.shards);
        for (number, scanned) in scanned {
            replay::replay(&mut self.store, &*scanned.file, &scanned.scan)
                .map_err(Error::io("cannot read", self.dir.join(segment_name(*number))))?;
        }
        Ok(())
    }

    /// What a killed process wrote and never synced may be only in the page cache: it counts from now
    /// on, so it has to be durable.
    fn seal_last(&mut self, number: u64, scanned: &Scanned) -> Result<(), Error> {
        let path = self.dir.join(segment_name(number));
        self.report.torn_bytes = scanned.scan.torn_bytes;
        scanned.file.sync_data().map_err(Error::io("cannot sync", path))?;
        let end = scanned.scan.data_end.max(scanned.scan.valid_bytes);
        if let Err(error) = scanned.file.set_len(end) {
            tracing::warn!(number, %error, "the rest of the last segment stays allocated");
        }
        Ok(())
    }

    fn take_scanned(&mut self, number: u64, scanned: Scanned, damaged: &mut Vec<Damaged>) -> Result<(), Error> {
        let path = self.dir.join(segment_name(number));
        let refs = index::refs_of(&*scanned.file, &scanned.scan).map_err(Error::io("cannot read", path))?;
        let known = Known {
            valid_bytes: scanned.scan.valid_bytes,
            index_bytes: 0,
            summaries: index::summaries(&refs),
            damage: scanned.scan.damage,
            refs: Some(refs),
        };
        self.take_segment(number, known, scanned.file, damaged);
        Ok(())
    }

    fn take_indexed(&mut self, number: u64, head: &FileHead, damaged: &mut Vec<Damaged>) -> Result<(), Error> {
        let source = Source::Segment(number);
        let valid = self.valid.get(&number).copied();
        let file = self.open(number)?;
        let loaded = index::load(self.disk, &source.index_path(self.dir), number)
            .filter(|(salt, known)| *salt == head.salt && valid.is_none_or(|valid| valid == known.valid_bytes))
            // A file that was cut short holds less than its index says.
            .filter(|(_, known)| file.len().is_ok_and(|bytes| bytes >= known.valid_bytes));
        let known = match loaded {
            Some((_, known)) => known,
            None => {
                let path = self.dir.join(segment_name(number));
                let known = index::rebuild(&*file, head.salt, valid).map_err(Error::io("cannot read", path))?;
                self.report.indexes_rebuilt += 1;
                self.report.scanned_bytes += known.valid_bytes;
                known
            }
        };
        self.take_segment(number, known, file, damaged);
        Ok(())
    }

    fn take_segment(&mut self, number: u64, known: Known, file: Arc<dyn DiskFile>, damaged: &mut Vec<Damaged>) {
        let source = Source::Segment(number);
        let file_bytes = file.len().unwrap_or(known.valid_bytes);
        let unindexed = known.refs.is_some();
        self.store.segments.insert(
            number,
            Segment {
                valid_bytes: known.valid_bytes,
                file_bytes,
                index_bytes: known.index_bytes,
                pins: 0,
                phase: known.refs.map_or(Phase::Indexed, |refs| Phase::Sealed(Arc::new(refs))),
                keep: false,
                file: unindexed.then_some(file),
            },
        );
        for summary in &known.summaries {
            self.store.place(source, summary);
        }
        damaged.extend(known.damage.into_iter().map(|damage| Damaged { source, damage }));
    }

    fn take_runs(&mut self, damaged: &mut Vec<Damaged>) -> Result<(), Error> {
        for source in files::runs(self.disk, self.dir)? {
            let Source::Run { shard, id, .. } = source else { continue };
            let path = source.path(self.dir);
            let failed = || Error::io("cannot read", path.clone());
            if !self.store.shards.contains_key(&shard) {
                remove(self.disk, self.dir, &source);
                continue;
            }
            self.report.runs += 1;
            let file = self.disk.open(&path).map_err(failed())?;
            let head = FileHead::read(&*file).map_err(failed())?;
            let Some(head) = head.filter(|head| head.kind == FileKind::Run && head.number == id) else {
                self.report.set_aside.push(quarantine::set_aside(self.disk, self.dir, &source.name(), None)?);
                continue;
            };
            let bytes = file.len().map_err(failed())?;
            let loaded = index::load(self.disk, &source.index_path(self.dir), id);
            let known = match loaded.filter(|(salt, known)| *salt == head.salt && known.valid_bytes <= bytes) {
                Some((_, known)) => known,
                None => {
                    self.report.indexes_rebuilt += 1;
                    self.report.scanned_bytes += bytes;
                    index::rebuild(&*file, head.salt, Some(bytes)).map_err(failed())?
                }
            };
            let Known { valid_bytes, index_bytes, summaries, damage, .. } = known;
            damaged.extend(damage.into_iter().map(|damage| Damaged { source, damage }));
            match summaries.into_iter().find(|summary| summary.shard == shard) {
                Some(summary) => {
                    self.store.settle(Run { source, valid_bytes, index_bytes }, &summary);
                }
                None => {
                    self.report.set_aside.push(quarantine::set_aside(self.disk, self.dir, &source.name(), None)?);
                }
            }
        }
        Ok(())
    }

    /// Copies damaged bytes aside, and lists every record that should be there and is not.
    fn report_damage(&mut self, damaged: Vec<Damaged>) {
        for Damaged { source, damage } in damaged {
            let records = damage.header.filter(|header| header.kind == Kind::Records);
            let watermark = |shard: ShardId| self.store.shards.get(&shard).map(|shard| shard.watermark.get());
            if records.is_some_and(|header| watermark(header.shard).is_none_or(|mark| header.end() <= mark)) {
                continue;
            }
            if let Err(error) = quarantine::copy(self.disk, self.dir, source, damage.offset, damage.bytes) {
                tracing::error!(file = source.name(), %error, "damaged bytes cannot be copied; the file is kept");
                if let Source::Segment(number) = source
                    && let Some(segment) = self.store.segments.get_mut(&number)
                {
                    segment.keep = true;
                }
            }
            self.report.quarantined.push(Quarantined {
                shard: records.map(|header| header.shard),
                from: Seq::new(records.map_or(0, |header| header.first)),
                to: Seq::new(records.map_or(0, |header| header.end())),
                file: source.name(),
                offset: damage.offset,
                why: damage.why.into(),
            });
        }
        self.report_holes();
    }

    fn report_holes(&mut self) {
        let mut missing: Vec<(ShardId, Seq, Seq, String)> = Vec::new();
        for (id, shard) in &self.store.shards {
            missing.extend(shard.holes().into_iter().map(|(from, to)| (*id, from, to, String::new())));
            for (first, place) in shard.places.iter().filter(|(first, place)| place.records < place.end - **first) {
                let whole = Summary {
                    shard: *id,
                    first: (*first).max(shard.watermark.get()),
                    end: place.end,
                    bytes: 0,
                    records: 0,
                    oldest_ms: 0,
                };
                let holes = files::holes_within(&self.store, self.disk, self.dir, place.source, &whole);
                let name = place.source.name();
                missing.extend(holes.into_iter().map(|(from, to)| (*id, Seq::new(from), Seq::new(to), name.clone())));
            }
        }
        missing.sort_unstable_by_key(|(shard, from, ..)| (*shard, *from));
        for (shard, from, to, file) in missing {
            let told = self
                .report
                .quarantined
                .iter()
                .any(|range| range.shard == Some(shard) && range.from <= from && range.to >= to);
            if !told {
                let why = "no whole frame holds these records".into();
                self.report.quarantined.push(Quarantined { shard: Some(shard), from, to, file, offset: 0, why });
            }
        }
    }

    fn set_aside(&mut self, number: u64, data_end: u64) -> Result<(), Error> {
        let name = quarantine::set_aside(self.disk, self.dir, &segment_name(number), Some(data_end))?;
        self.report.set_aside.push(name);
        Ok(())
    }
}
