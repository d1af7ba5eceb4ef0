//! Looks at a stopped data directory without changing it: `millrace journal verify` and `dump`.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use millrace_types::{Seq, ShardId};

use crate::disk::{Disk, DiskFile, Lock, Unchanged};
use crate::file::{FileHead, LOCK, SETTLED, Source, run_of, segment_name, segment_number};
use crate::frame::{self, Header, Kind as FrameKind};
use crate::index;
use crate::mark::{self, Loss, Mark};
use crate::recovery;
use crate::scan::{Durable, Scan, Window, scan};
use crate::{Error, Hidden, JournalSettings, Quarantined};

pub use crate::frame::Kind;

/// What one file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileReport {
    /// Name below the journal's directory.
    pub file: String,
    /// Its length, bytes.
    pub bytes: u64,
    /// Where its valid part ends, bytes.
    pub valid_bytes: u64,
    /// Whole frames.
    pub frames: u64,
    /// Records in them.
    pub records: u64,
    /// Bytes of a tail that was never acknowledged.
    pub torn_bytes: u64,
    /// Damaged places: offset, bytes, what was found.
    pub damage: Vec<(u64, u64, &'static str)>,
    /// Whether its index fits; none where it needs none.
    pub index: Option<bool>,
}

/// What one shard has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShardReport {
    /// Records in whole frames; those in a segment and in a run count twice.
    pub records: u64,
    /// First sequence number seen.
    pub first: Seq,
    /// Behind the last.
    pub end: Seq,
}

/// What [`verify`] found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Every segment and run.
    pub files: Vec<FileReport>,
    /// Every shard with records.
    pub shards: BTreeMap<ShardId, ShardReport>,
    /// Files without a readable head, but for prepared ones.
    pub unreadable: Vec<String>,
    /// What the mark says.
    pub mark: MarkReport,
    /// Durable bytes that are gone from the journal's end: a start is refused.
    pub loss: Option<Loss>,
    /// Why a start is refused else.
    pub refused: Option<String>,
    /// What a start would report: undecided records that cannot be read, and places that hide some.
    pub quarantined: Vec<Quarantined>,
    /// What a start would report: files that are gone and held undecided records, or may have.
    pub missing: Vec<String>,
    /// What a start would report: places of which nothing tells whose records lay there.
    pub hidden: Vec<Hidden>,
}

/// What the mark says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum MarkReport {
    /// There is none: an earlier version wrote none, or it is gone.
    #[default]
    Absent,
    /// It cannot be believed, and why.
    Unusable(String),
    /// So much was durable.
    Whole {
        /// Name of the newest segment that was begun; none before the first.
        segment: Option<String>,
        /// Bytes of it that were durable.
        durable_bytes: u64,
    },
}

impl Report {
    /// True when nothing is damaged or missing. A torn tail is no damage.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.loss.is_none()
            && self.refused.is_none()
            && self.quarantined.is_empty()
            && self.unreadable.is_empty()
            && self.files.iter().all(|file| file.damage.is_empty())
    }

    /// Takes over what a start says of the directory: its rules, and no others.
    fn start(&mut self, disk: &dyn Disk, dir: &Path) -> Result<(), Error> {
        match recovery::recover(&Unchanged(disk), dir, &JournalSettings::default()) {
            Ok(recovered) => {
                let found = recovered.report;
                (self.quarantined, self.missing, self.hidden) = (found.quarantined, found.missing, found.hidden);
            }
            Err(Error::Lost { loss, .. }) => self.loss = Some(*loss),
            Err(error @ Error::Damaged { .. }) => self.refused = Some(error.to_string()),
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// One frame, as [`dump`] shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DumpedFrame {
    /// Name of its file below the journal's directory.
    pub file: String,
    /// Where it begins, bytes.
    pub offset: u64,
    /// Its length, bytes.
    pub bytes: u64,
    /// What it holds.
    pub kind: Kind,
    /// Its shard; none for snapshots.
    pub shard: Option<ShardId>,
    /// Records: first sequence number; intent: its id; commit: watermark; snapshot: number of the part.
    pub first: u64,
    /// Records, closed intents or parts of the snapshot.
    pub count: u32,
    /// Its content in words: an intent's members and body length, a commit's counts.
    pub detail: String,
}

/// What [`dump`] shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only frames of this shard.
    pub shard: Option<ShardId>,
    /// Only frames of this kind.
    pub kind: Option<Kind>,
}

/// What is judged must not be removed meanwhile. A lock that cannot be taken because nothing can be written
/// there holds nobody up.
fn hold_still(disk: &dyn Disk, dir: &Path) -> Result<Option<Box<dyn Lock>>, Error> {
    let path = dir.join(LOCK);
    if disk.open(&path).is_err() {
        return Ok(None);
    }
    match disk.lock(&path) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(Error::Locked(dir.to_owned())),
        tried => Ok(tried.ok()),
    }
}

/// Reads every frame of every segment and run, and judges as a start does whether all is there.
///
/// # Errors
/// [`Error::Locked`] while a server has it open; [`Error::Io`] when a file cannot be read at all, or when
/// there is neither a folder nor a mark.
pub fn verify(disk: &dyn Disk, dir: &Path) -> Result<Report, Error> {
    let _still = hold_still(disk, dir)?;
    let found = mark::read(disk, dir);
    let mut report = Report { mark: MarkReport::of(&found), ..Report::default() };
    walk(disk, dir, found.mark(), &mut report.unreadable, &mut |source, file, head, scan| {
        let path = source.path(dir);
        let records = scan.frames.iter().filter(|(_, header)| header.kind == FrameKind::Records);
        for (_, header) in records.clone() {
            let shard = report
                .shards
                .entry(header.shard)
                .or_insert_with(|| ShardReport { first: Seq::new(header.first), ..ShardReport::default() });
            shard.records += u64::from(header.count);
            shard.first = shard.first.min(Seq::new(header.first));
            shard.end = shard.end.max(Seq::new(header.end()));
        }
        let index = disk.open(&source.index_path(dir)).is_ok().then(|| {
            index::load(disk, &source.index_path(dir), source.number())
                .is_some_and(|(salt, known)| salt == head.salt && known.valid_bytes == scan.valid_bytes)
        });
        report.files.push(FileReport {
            file: source.name(),
            bytes: file.len().map_err(Error::io("cannot read", path))?,
            valid_bytes: scan.valid_bytes,
            frames: scan.frames.len() as u64,
            records: records.map(|(_, header)| u64::from(header.count)).sum(),
            torn_bytes: scan.torn_bytes,
            damage: scan.damage.iter().map(|damage| (damage.offset, damage.bytes, damage.why)).collect(),
            index,
        });
        Ok(())
    })?;
    report.start(disk, dir)?;
    Ok(report)
}

impl MarkReport {
    fn of(found: &mark::Found) -> Self {
        match found {
            mark::Found::Absent => Self::Absent,
            mark::Found::Unusable(why) => Self::Unusable(why.clone()),
            mark::Found::Whole { mark, .. } => Self::Whole {
                segment: (mark.segment > 0).then(|| segment_name(mark.segment)),
                durable_bytes: mark.durable_bytes,
            },
        }
    }
}

/// Shows every whole frame that `filter` lets through, file by file.
///
/// # Errors
/// [`Error::Io`] when a file cannot be read at all.
pub fn dump(disk: &dyn Disk, dir: &Path, filter: Filter, show: &mut dyn FnMut(&DumpedFrame)) -> Result<(), Error> {
    walk(disk, dir, mark::read(disk, dir).mark(), &mut Vec::new(), &mut |source, file, _, scan| {
        let mut window = Window::new(file, scan.valid_bytes);
        for (offset, header) in &scan.frames {
            let shard = (header.kind != FrameKind::Snapshot).then_some(header.shard);
            let wanted = filter.kind.is_none_or(|kind| kind == header.kind)
                && filter.shard.is_none_or(|wanted| shard == Some(wanted));
            if wanted {
                let path = source.path(dir);
                let detail = detail(&mut window, *offset, header).map_err(Error::io("cannot read", path))?;
                show(&DumpedFrame {
                    file: source.name(),
                    offset: *offset,
                    bytes: header.frame_bytes(),
                    kind: header.kind,
                    shard,
                    first: header.first,
                    count: header.count,
                    detail,
                });
            }
        }
        Ok(())
    })
}

fn detail(window: &mut Window<'_>, offset: u64, header: &Header) -> io::Result<String> {
    if !matches!(header.kind, FrameKind::Intent | FrameKind::Commit) {
        return Ok(String::new());
    }
    let Some(body) = window.body(offset, header)? else { return Ok("unreadable".into()) };
    let told = if header.kind == FrameKind::Intent {
        frame::decode_intent(header, &body).map(|intent| {
            let (members, bytes) = (intent.members.count(), intent.body.len());
            let span = intent.members.span().map(|(from, to)| format!(" from {from} to {to}")).unwrap_or_default();
            format!("{members} members{span}, {bytes} bytes of body")
        })
    } else {
        frame::decode_commit(header, &body).map(|commit| {
            let counts = commit.counts;
            format!(
                "{} delivered, {} dropped, {} failed, {} quarantined, closes {:?}",
                counts.delivered, counts.dropped, counts.failed, counts.quarantined, commit.intents
            )
        })
    };
    Ok(told.unwrap_or_else(str::to_owned))
}

type Visit<'a> = dyn FnMut(Source, &dyn DiskFile, &FileHead, &Scan) -> Result<(), Error> + 'a;

/// Visits segments by number, then runs.
fn walk(
    disk: &dyn Disk,
    dir: &Path,
    mark: Option<Mark>,
    unreadable: &mut Vec<String>,
    visit: &mut Visit<'_>,
) -> Result<(), Error> {
    let heads = heads(disk, dir, mark, unreadable)?;
    let valid: BTreeMap<u64, u64> = heads
        .iter()
        .filter(|(source, _)| !source.is_run())
        .map(|(_, head)| (head.previous, head.previous_valid_bytes))
        .collect();
    for (source, head) in &heads {
        let path = source.path(dir);
        let failed = || Error::io("cannot read", path.clone());
        let file = disk.open(&path).map_err(failed())?;
        let durable = match source {
            Source::Segment(number) => recovery::durable(&valid, mark, *number),
            Source::Run { .. } => Durable::Exactly(file.len().map_err(failed())?),
        };
        let scan = scan(&*file, head.salt, durable).map_err(failed())?;
        visit(*source, &*file, head, &scan)?;
    }
    Ok(())
}

fn heads(
    disk: &dyn Disk,
    dir: &Path,
    mark: Option<Mark>,
    unreadable: &mut Vec<String>,
) -> Result<Vec<(Source, FileHead)>, Error> {
    // A folder that is gone holds nothing, which is told when the mark knows better.
    let list = |folder: &Path| match disk.list(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && mark.is_some() => Ok(Vec::new()),
        listed => listed.map_err(Error::io("cannot list", folder)),
    };
    let mut sources: BTreeSet<Source> =
        list(dir)?.iter().filter_map(|name| segment_number(name)).map(Source::Segment).collect();
    sources.extend(list(&dir.join(SETTLED))?.iter().filter_map(|name| run_of(name)));
    let begun = mark.map_or(0, |mark| mark.segment);
    let mut heads = Vec::new();
    for source in sources {
        let path = source.path(dir);
        let failed = || Error::io("cannot read", path.clone());
        let file = disk.open(&path).map_err(failed())?;
        if let Some(head) = FileHead::read(&*file).map_err(failed())? {
            heads.push((source, head));
            continue;
        }
        let bytes = file.len().map_err(failed())?;
        let is_empty = Window::new(&*file, bytes).data_end().map_err(failed())? == 0;
        match (source, mark) {
            (Source::Segment(number), Some(mark)) if number <= begun && !is_empty => {
                unreadable.push(format!("the head of {}", source.name()));
                heads.push((source, FileHead::of_segment(number, mark.salt)));
            }
            (Source::Segment(number), _) if number > begun && is_empty => {}
            _ => unreadable.push(source.name()),
        }
    }
    Ok(heads)
}
