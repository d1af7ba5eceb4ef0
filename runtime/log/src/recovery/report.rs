//! What a start tells of damage: which records cannot be read, which files are gone that held them, and
//! where nothing tells whose records lay there.

use std::collections::BTreeSet;

use millrace_types::{Seq, ShardId};

use super::{Start, files};
use crate::file::{Source, segment_number};
use crate::frame::{Kind, RECORDS_BYTES_MIN};
use crate::index::{self, Summary};
use crate::quarantine;
use crate::scan::{Damage, Scan};
use crate::snapshot;
use crate::status::{Hidden, Quarantined};
use crate::store::Shard;

const NO_FILE: &str = "no file holds these records";
const NO_FRAME: &str = "no whole frame holds these records";

/// Damage in a file, for the report.
pub(super) struct Damaged {
    pub(super) source: Source,
    pub(super) damage: Damage,
}

impl Start<'_> {
    /// Copies damaged bytes aside, and lists every record that should be there and is not.
    pub(super) fn report_damage(&mut self, damaged: Vec<Damaged>) {
        for Damaged { source, damage } in damaged {
            let records = damage.header.filter(|header| header.kind == Kind::Records);
            let watermark = |shard: ShardId| self.store.shards.get(&shard).map(|shard| shard.watermark.get());
            if records.is_some_and(|header| watermark(header.shard).is_none_or(|mark| header.end() <= mark)) {
                continue;
            }
            if let Err(error) = quarantine::copy(self.disk, self.dir, source, damage.offset, damage.bytes) {
                tracing::error!(file = source.name(), %error, "damaged bytes cannot be copied; the file is kept");
                self.store.keep(source);
            }
            let hides = |place: &Hidden| {
                place.file == source.name() && (damage.offset..damage.offset + damage.bytes).contains(&place.offset)
            };
            let why = match self.report.hidden.iter().any(hides) {
                true => format!("{} ({})", damage.why, Hidden::SLUG),
                false => damage.why.into(),
            };
            self.report.quarantined.push(Quarantined {
                shard: records.map(|header| header.shard),
                from: Seq::new(records.map_or(0, |header| header.first)),
                to: Seq::new(records.map_or(0, |header| header.end())),
                file: source.name(),
                offset: damage.offset,
                why,
            });
        }
        self.report_holes();
    }

    /// Places of a segment that the state is made of where a records frame may have lain whose header is
    /// destroyed. Its shard is known only when a later frame of this shard shows the gap.
    pub(super) fn report_hidden(&mut self, number: u64, scan: &Scan) {
        let begun = snapshot::copies_end(scan.frames.iter().map(|(_, header)| header));
        for damage in scan.damage.iter().filter(|damage| damage.header.is_none()) {
            let from = damage.offset.max(begun);
            let bytes = (damage.offset + damage.bytes).saturating_sub(from);
            if bytes < RECORDS_BYTES_MIN {
                continue;
            }
            let file = Source::Segment(number).name();
            tracing::error!(
                slug = Hidden::SLUG,
                file,
                offset = from,
                bytes,
                "records may have lain here of which nothing tells whose they were: what no later record or decision \
                 shows to be missing is in no count, and its numbers are given again"
            );
            self.report.hidden.push(Hidden { file, offset: from, bytes });
        }
    }

    fn report_holes(&mut self) {
        let gone = self.gone();
        let mut missing: Vec<(ShardId, Seq, Seq, Option<Source>)> = Vec::new();
        for (id, shard) in &self.store.shards {
            missing.extend(shard.holes().into_iter().map(|(from, to)| (*id, from, to, None)));
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
                let of = |(from, to)| (*id, Seq::new(from), Seq::new(to), Some(place.source));
                missing.extend(holes.into_iter().map(of));
            }
        }
        missing.sort_unstable_by_key(|(shard, from, ..)| (*shard, *from));
        let mut missing_files = BTreeSet::new();
        for (id, from, to, within) in missing {
            let told = |range: &Quarantined| range.shard == Some(id) && range.from <= from && range.to >= to;
            if self.report.quarantined.iter().any(told) {
                continue;
            }
            let (file, why) = match within {
                Some(source) => (source.name(), NO_FRAME),
                None => {
                    let (names, why) = self.holders(&gone, id, from, to);
                    let file = names.join(", ");
                    let hiding = self.hiding(id, from, to).filter(|_| names.is_empty());
                    missing_files.extend(names);
                    hiding.map_or((file, why), |place| (place, NO_FRAME))
                }
            };
            self.report.quarantined.push(Quarantined { shard: Some(id), from, to, file, offset: 0, why: why.into() });
        }
        self.report.missing = missing_files.into_iter().collect();
    }

    /// Files that something names and that are not there: segments by the newest snapshot and by the heads
    /// behind them, runs by their indexes. Most of them were removed because nobody needed them any more.
    fn gone(&self) -> Vec<Source> {
        let segments = self.valid.keys().filter(|number| **number > 0 && !self.store.segments.contains_key(number));
        let runs = files::runs_of_indexes(self.disk, self.dir);
        let is_gone = |source: &Source| !self.store.runs.contains_key(&source.number());
        segments.map(|number| Source::Segment(*number)).chain(runs.into_iter().filter(is_gone)).collect()
    }

    /// Which of the files that are gone held the records from `from` to `to`, and how sure that is: by the
    /// indexes that were left; where they do not tell of all, each segment that lies between those of the
    /// records before and behind.
    fn holders(&self, gone: &[Source], id: ShardId, from: Seq, to: Seq) -> (Vec<String>, &'static str) {
        let Some(shard) = self.store.shards.get(&id) else { return (Vec::new(), NO_FILE) };
        let held = |source: &Source| {
            let (_, known) = index::load(self.disk, &source.index_path(self.dir), source.number())?;
            Some(known.summaries.into_iter().find(|own| own.shard == id).map_or((0, 0), |own| (own.first, own.end)))
        };
        let told: Vec<(&Source, Option<(u64, u64)>)> = gone.iter().map(|source| (source, held(source))).collect();
        let mut ranges: Vec<(u64, u64)> = told.iter().filter_map(|(_, range)| *range).collect();
        ranges.sort_unstable();
        let reached = ranges.iter().fold(from.get(), |at, (first, end)| if *first <= at { at.max(*end) } else { at });
        let (above, below) = neighbours(shard, from, to);
        let is_between = |source: &Source| matches!(source, Source::Segment(nth) if above < *nth && *nth < below);
        let is_named = |source: &Source, range: Option<(u64, u64)>| match range {
            Some((first, end)) => first < to.get() && end > from.get(),
            None => reached < to.get() && is_between(source),
        };
        let names: Vec<String> =
            told.iter().filter(|(source, range)| is_named(source, *range)).map(|(source, _)| source.name()).collect();
        let why = match (names.len(), reached >= to.get()) {
            (0, _) => NO_FILE,
            (_, true) => "the file is gone",
            (_, false) => "no file holds these records; what is gone may have held them",
        };
        (names, why)
    }

    /// The file in which a destroyed header can hide the records from `from` to `to`.
    fn hiding(&self, id: ShardId, from: Seq, to: Seq) -> Option<String> {
        let (above, below) = neighbours(self.store.shards.get(&id)?, from, to);
        let within = |place: &&Hidden| segment_number(&place.file).is_some_and(|nth| (above..=below).contains(&nth));
        self.report.hidden.iter().find(within).map(|place| place.file.clone())
    }
}

/// The segments between which the records from `from` to `to` of `shard` were written.
fn neighbours(shard: &Shard, from: Seq, to: Seq) -> (u64, u64) {
    let segment = |source: &Source| match source {
        Source::Segment(number) => Some(*number),
        Source::Run { .. } => None,
    };
    let before = shard.places.range(..from.get()).rev().find_map(|(_, place)| segment(&place.source));
    let behind = shard.places.range(to.get()..).find_map(|(_, place)| segment(&place.source));
    (before.unwrap_or(0), behind.unwrap_or(u64::MAX))
}
