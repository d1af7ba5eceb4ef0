//! A start: what lies in the directory becomes the state in memory. The newest segment with a whole
//! snapshot and those behind it are read frame by frame; of all others the index alone.
//!
//! Nothing is written to old segments. A start seals the last one where its valid part ends, and the
//! writer begins a new one that names this end. Before anything is changed the mark is asked: a start
//! that finds less than was durable ends there, unless this loss was accepted by name.

mod files;
mod replay;
mod report;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use millrace_types::{Entropy, Seq, SystemEntropy};

use crate::disk::{Disk, DiskFile};
use crate::file::{FileHead, FileKind, SETTLED, Source, segment_name};
use crate::frame::Kind;
use crate::index::{self, Known};
use crate::mark::{self, End, Mark};
use crate::quarantine;
use crate::scan::{Durable, Scan};
use crate::snapshot::Snapshot;
use crate::store::{Phase, Run, Segment, Store};
use crate::{Error, JournalSettings, Quarantined, Recovery};

use files::Files;
pub(crate) use files::remove;
use report::Damaged;

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
    /// The mark as it was found.
    pub(crate) mark: mark::Found,
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
    mark: Option<Mark>,
    /// Segments whose making was cut short: nothing in them was ever acknowledged. With the end of their data.
    unmade: Vec<(u64, u64)>,
    /// The state may not know of every shard.
    is_state_lost: bool,
}

/// Reads the directory; the caller holds its lock.
pub(crate) fn recover(disk: &dyn Disk, dir: &Path, settings: &JournalSettings) -> Result<Recovered, Error> {
    sync_names(disk, dir)?;
    let mark = mark::read(disk, dir);
    let mut start = Start::new(disk, dir, settings, mark.mark());
    let files = Files::list(disk, dir, settings.segment_bytes, mark.mark())?;
    start.report.segments = files.heads.len();
    start.report.mark = mark_note(&mark, &files);
    for head in files.heads.values() {
        start.valid.insert(head.previous, head.previous_valid_bytes);
    }
    let scanned = start.scan_back(&files)?;
    start.check_mark(&files, &scanned, &settings.accept_loss)?;
    if scanned.is_empty() {
        files.refuse_if_headless(dir)?;
    }
    for (number, data_end) in files.headless.iter().chain(&std::mem::take(&mut start.unmade)) {
        start.set_aside(*number, *data_end)?;
    }
    let last = scanned.last_key_value().map(|(number, scanned)| (*number, scanned.scan.valid_bytes));
    if let Some((number, scanned)) = scanned.last_key_value() {
        start.seal_last(*number, scanned)?;
    }
    if let Some((number, spare)) = &files.spare {
        // Its length counts as soon as it has a head.
        spare.sync_data().map_err(Error::io("cannot sync", dir.join(segment_name(*number))))?;
    }
    files.remove_useless(disk, dir);
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
    let salt = files.heads.values().next_back().map(|head| head.salt).or_else(|| Some(mark.mark()?.salt));
    let report = start.report;
    start.store.status.torn_bytes = report.torn_bytes;
    for range in &report.quarantined {
        start.store.quarantine(range.clone());
    }
    Ok(Recovered {
        store: start.store,
        salt: salt.unwrap_or_else(|| SystemEntropy.next_u64()),
        previous: last.unwrap_or((0, 0)),
        next_number: files.highest + 1,
        spare: files.spare,
        mark,
        report,
    })
}

/// A killed process may have left names and renames that are in the page cache alone. What is believed of
/// them from here on (a run takes the place of segments, a spare takes records) must outlive a power cut.
fn sync_names(disk: &dyn Disk, dir: &Path) -> Result<(), Error> {
    for folder in [dir.to_owned(), dir.join(SETTLED)] {
        disk.sync_dir(&folder).map_err(Error::io("cannot sync", folder))?;
    }
    Ok(())
}

/// What is to be told of the mark itself. A journal of an earlier version has none.
fn mark_note(mark: &mark::Found, files: &Files) -> Option<String> {
    match mark {
        mark::Found::Unusable(why) => Some(why.clone()),
        mark::Found::Absent if files.heads.values().any(|head| head.reserved_bytes > 0) => Some("it is gone".into()),
        mark::Found::Absent if !files.heads.is_empty() => Some("an earlier version wrote none".into()),
        _ => None,
    }
}

impl<'a> Start<'a> {
    fn new(disk: &'a dyn Disk, dir: &'a Path, settings: &JournalSettings, mark: Option<Mark>) -> Self {
        Self {
            disk,
            dir,
            store: Store::new(settings.tail_bytes),
            report: Recovery::default(),
            valid: BTreeMap::new(),
            mark,
            unmade: Vec::new(),
            is_state_lost: false,
        }
    }

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
            let scan = crate::scan::scan(&*file, head.salt, self.durable(*number)).map_err(failed())?;
            self.report.scanned_bytes += scan.data_end;
            let snapshot = replay::read_snapshot(&*file, &scan).map_err(failed())?;
            if snapshot.is_none() && !is_used(&scan) && scanned.is_empty() {
                self.unmade.push((*number, scan.data_end));
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

    /// What is known of a segment's durable bytes.
    fn durable(&self, number: u64) -> Durable {
        durable(&self.valid, self.mark, number)
    }

    /// Ends the start when less is there than was durable, and this was not accepted.
    fn check_mark(&mut self, files: &Files, scanned: &BTreeMap<u64, Scanned>, accepted: &str) -> Result<(), Error> {
        let newest = scanned.last_key_value().and_then(|(number, scanned)| {
            let head = files.heads.get(number)?;
            Some(end_of(head, &scanned.scan))
        });
        let loss = mark::loss(self.mark, newest);
        self.is_state_lost = loss.is_some() || scanned.is_empty();
        match loss {
            None => {
                if !accepted.is_empty() {
                    tracing::warn!(accepted, "journal.accept_loss names a loss that is not there: take it out");
                }
                Ok(())
            }
            Some(loss) if loss.accept() == accepted => {
                self.report.quarantined.push(Quarantined {
                    shard: None,
                    from: Seq::ZERO,
                    to: Seq::ZERO,
                    file: loss.file.clone(),
                    offset: loss.from,
                    why: format!("{}, to {}; the loss was accepted", loss.why, loss.to),
                });
                Ok(())
            }
            Some(loss) => {
                let places = scanned.values().flat_map(|scanned| &scanned.scan.damage);
                let headers = places.filter(|place| place.offset >= loss.from).filter_map(|place| place.header);
                let known = headers.filter(|header| header.kind == Kind::Records);
                let records = known.map(|header| (header.shard, Seq::new(header.first), Seq::new(header.end())));
                Err(Error::Lost { dir: self.dir.to_owned(), records: records.collect(), loss: Box::new(loss) })
            }
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
        // Never longer than it is: a full disk has no room for that.
        let end = scanned.scan.end_to_keep();
        if end < scanned.scan.file_bytes
            && let Err(error) = scanned.file.set_len(end)
        {
            tracing::warn!(number, %error, "the rest of the last segment stays allocated");
        }
        Ok(())
    }

    fn take_scanned(&mut self, number: u64, scanned: Scanned, damaged: &mut Vec<Damaged>) -> Result<(), Error> {
        let path = self.dir.join(segment_name(number));
        let refs = index::refs_of(&*scanned.file, &scanned.scan).map_err(Error::io("cannot read", path))?;
        self.report_hidden(number, &scanned.scan);
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
        let (valid, durable) = (self.valid.get(&number).copied(), self.durable(number));
        let file = self.open(number)?;
        let loaded = index::load(self.disk, &source.index_path(self.dir), number)
            .filter(|(salt, known)| *salt == head.salt && valid.is_none_or(|valid| valid == known.valid_bytes))
            // A file that was cut short holds less than its index says.
            .filter(|(_, known)| file.len().is_ok_and(|bytes| bytes >= known.valid_bytes));
        let known = match loaded {
            Some((_, known)) => known,
            None => {
                let path = self.dir.join(segment_name(number));
                let known = index::rebuild(&*file, head.salt, durable).map_err(Error::io("cannot read", path))?;
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
                // Retired, unless the state that would know is gone.
                if self.is_state_lost {
                    self.report.set_aside.push(quarantine::set_aside(self.disk, self.dir, &source.name(), None)?);
                } else {
                    remove(self.disk, self.dir, &source);
                }
                continue;
            }
            self.report.runs += 1;
            let file = self.disk.open(&path).map_err(failed())?;
            let head = FileHead::read(&*file).map_err(failed())?;
            let own = head.filter(|head| head.kind == FileKind::Run && head.number == id).map(|head| head.salt);
            let loaded = index::load(self.disk, &source.index_path(self.dir), id);
            // As with segments the index knows the salt, too.
            let Some(salt) = own.or_else(|| loaded.as_ref().map(|(salt, _)| *salt)) else {
                self.report.set_aside.push(quarantine::set_aside(self.disk, self.dir, &source.name(), None)?);
                continue;
            };
            let bytes = file.len().map_err(failed())?;
            let known = match loaded.filter(|(of, known)| *of == salt && known.valid_bytes <= bytes) {
                Some((_, known)) => known,
                None => {
                    self.report.indexes_rebuilt += 1;
                    self.report.scanned_bytes += bytes;
                    index::rebuild(&*file, salt, Durable::Exactly(bytes)).map_err(failed())?
                }
            };
            let Known { valid_bytes, index_bytes, summaries, damage, .. } = known;
            damaged.extend(damage.into_iter().map(|damage| Damaged { source, damage }));
            match summaries.into_iter().find(|summary| summary.shard == shard) {
                Some(summary) => {
                    self.store.settle(Run { source, valid_bytes, index_bytes, keep: false }, &summary);
                }
                None => {
                    self.report.set_aside.push(quarantine::set_aside(self.disk, self.dir, &source.name(), None)?);
                }
            }
        }
        Ok(())
    }

    fn set_aside(&mut self, number: u64, data_end: u64) -> Result<(), Error> {
        let name = quarantine::set_aside(self.disk, self.dir, &segment_name(number), Some(data_end))?;
        self.report.set_aside.push(name);
        Ok(())
    }
}

/// What is known of a segment's durable bytes: exactly what a later one says, at least what the mark says.
pub(crate) fn durable(valid: &BTreeMap<u64, u64>, mark: Option<Mark>, number: u64) -> Durable {
    let marked = mark.filter(|mark| mark.segment == number).map_or(0, |mark| mark.durable_bytes);
    valid.get(&number).map_or(Durable::AtLeast(marked), |bytes| Durable::Exactly(*bytes))
}

/// True when something was written behind the snapshot.
fn is_used(scan: &Scan) -> bool {
    let other = |kind: Kind| kind != Kind::Snapshot;
    scan.frames.iter().any(|(_, header)| other(header.kind))
        || scan.damage.iter().any(|damage| damage.header.is_some_and(|header| other(header.kind)))
}

/// The end of the newest segment, for the mark.
fn end_of(head: &FileHead, scan: &Scan) -> End {
    End {
        number: head.number,
        salt: head.salt,
        readable_bytes: scan.readable_end,
        is_cut: scan.is_cut(head.reserved_bytes),
        reserved_bytes: head.reserved_bytes,
    }
}
