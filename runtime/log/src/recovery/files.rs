//! What lies in the journal's directory, before anything is believed of it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::TORN_HEAD_BYTES_MAX;
use crate::Error;
use crate::disk::{Disk, DiskFile};
use crate::file::{FileHead, FileKind, SETTLED, Source, run_of, segment_name, segment_number};
use crate::index::{self, FrameRef, Summary};
use crate::mark::Mark;
use crate::scan::Window;
use crate::store::{Phase, Store};

/// The segment files.
pub(super) struct Files {
    /// Those with a head, by number.
    pub(super) heads: BTreeMap<u64, FileHead>,
    /// Those without a head that are not empty: number, and the end of what is not zero.
    pub(super) headless: Vec<(u64, u64)>,
    /// One of zeros alone, prepared and never used.
    pub(super) spare: Option<(u64, Arc<dyn DiskFile>)>,
    /// Others of zeros alone, which cannot be used.
    useless: Vec<u64>,
    /// The highest number that any file has.
    pub(super) highest: u64,
}

impl Files {
    /// Reads heads; changes nothing.
    pub(super) fn list(disk: &dyn Disk, dir: &Path, segment_bytes: u64, mark: Option<Mark>) -> Result<Self, Error> {
        let names = disk.list(dir).map_err(Error::io("cannot list", dir))?;
        let mut files =
            Self { heads: BTreeMap::new(), headless: Vec::new(), spare: None, useless: Vec::new(), highest: 0 };
        let begun = mark.map_or(0, |mark| mark.segment);
        for number in names.iter().filter_map(|name| segment_number(name)) {
            files.highest = files.highest.max(number);
            let path = dir.join(segment_name(number));
            let failed = || Error::io("cannot read", path.clone());
            let file: Arc<dyn DiskFile> = disk.open(&path).map_err(failed())?.into();
            let read = FileHead::read(&*file).map_err(failed())?;
            let own = read.filter(|head| head.kind == FileKind::Segment && head.number == number);
            if let Some(head) = own.or_else(|| head_of_index(disk, dir, number)) {
                files.heads.insert(number, head);
                continue;
            }
            if let Some(foreign) = read {
                return Err(foreign_file(path, &foreign));
            }
            let bytes = file.len().map_err(failed())?;
            match (Window::new(&*file, bytes).data_end().map_err(failed())?, mark) {
                // It was begun, so these are no zeros of a prepared file.
                (0, _) if number <= begun => files.headless.push((number, 0)),
                // A power cut may leave it shorter than it was made.
                (0, _) if bytes < segment_bytes => files.useless.push(number),
                (0, _) => files.useless.extend(files.spare.replace((number, file)).map(|(older, _)| older)),
                (_, Some(mark)) if number <= begun => {
                    tracing::warn!(number, "a segment's head is destroyed; the mark knows enough to read it");
                    files.heads.insert(number, FileHead::of_segment(number, mark.salt));
                }
                (data_end, _) => files.headless.push((number, data_end)),
            }
        }
        // Numbers have to grow.
        files.useless.extend(files.spare.take_if(|(number, _)| *number < files.highest).map(|(number, _)| number));
        files.highest = files.highest.max(begun);
        Ok(files)
    }

    /// Removes prepared files that cannot be used.
    pub(super) fn remove_useless(&self, disk: &dyn Disk, dir: &Path) {
        self.useless.iter().for_each(|number| remove(disk, dir, &Source::Segment(*number)));
    }

    /// With no usable segment at all, a headless file with data is not taken for a torn first one.
    pub(super) fn refuse_if_headless(&self, dir: &Path) -> Result<(), Error> {
        match self.headless.iter().find(|(_, data_end)| *data_end > TORN_HEAD_BYTES_MAX) {
            None => Ok(()),
            Some((number, _)) => Err(Error::Damaged {
                path: dir.join(segment_name(*number)),
                why: "its head is destroyed and no other segment is there; move it away to start without it".into(),
            }),
        }
    }

    /// Removes indexes whose segment is gone.
    pub(super) fn remove_orphans(&self, disk: &dyn Disk, dir: &Path) {
        let names: BTreeSet<String> = disk.list(dir).unwrap_or_default().into_iter().collect();
        for name in names.iter().filter(|name| name.ends_with(".idx")) {
            let segment = Path::new(name).with_extension("seg");
            if !segment.to_str().is_some_and(|segment| names.contains(segment))
                && let Err(error) = disk.remove(&dir.join(name))
            {
                tracing::warn!(name, %error, "an index without its segment stays");
            }
        }
    }
}

/// A whole head that is another file's: all files of a journal share their salt, so its frames would pass for
/// those that lay here, and be believed.
fn foreign_file(path: PathBuf, head: &FileHead) -> Error {
    let is = match head.kind {
        FileKind::Segment => format!("the segment {}", segment_name(head.number)),
        FileKind::Run => "a run of settled records".to_owned(),
    };
    let why = format!("by its head it is {is}: put the right file back, or move this one away to see what is missing");
    Error::Damaged { path, why }
}

/// A head destroyed in both copies: the index knows number and salt.
fn head_of_index(disk: &dyn Disk, dir: &Path, number: u64) -> Option<FileHead> {
    let (salt, _) = index::load(disk, &Source::Segment(number).index_path(dir), number)?;
    Some(FileHead::of_segment(number, salt))
}

/// The runs; those that were never finished are removed.
pub(super) fn runs(disk: &dyn Disk, dir: &Path) -> Result<Vec<Source>, Error> {
    let folder = dir.join(SETTLED);
    let names = disk.list(&folder).map_err(Error::io("cannot list", &folder))?;
    for name in names.iter().filter(|name| name.ends_with(".tmp")) {
        if let Err(error) = disk.remove(&folder.join(name)) {
            tracing::warn!(name, %error, "an unfinished run stays");
        }
    }
    Ok(names.iter().filter_map(|name| run_of(name)).collect())
}

/// The runs whose index lies there, be the run itself there or not.
pub(super) fn runs_of_indexes(disk: &dyn Disk, dir: &Path) -> Vec<Source> {
    let names = disk.list(&dir.join(SETTLED)).unwrap_or_default();
    names.iter().filter_map(|name| run_of(&format!("{}.run", name.strip_suffix(".idx")?))).collect()
}

/// Removes a file and its index. What stays is removed by a later start.
pub(crate) fn remove(disk: &dyn Disk, dir: &Path, source: &Source) {
    // The index goes last: with it a segment that comes back is known for what it is.
    for path in [source.path(dir), source.index_path(dir)] {
        match disk.remove(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(path = %path.display(), %error, "a file stays that is not needed");
            }
            _ => {}
        }
    }
}

/// Records of `whole` that no frame of `source` holds.
pub(super) fn holes_within(
    store: &Store,
    disk: &dyn Disk,
    dir: &Path,
    source: Source,
    whole: &Summary,
) -> Vec<(u64, u64)> {
    let in_memory = match source {
        Source::Segment(number) => store.segments.get(&number).and_then(|segment| match &segment.phase {
            Phase::Sealed(refs) => refs.get(&whole.shard).map(|refs| refs.frames.clone()),
            _ => None,
        }),
        Source::Run { .. } => None,
    };
    let frames: Vec<FrameRef> = in_memory.unwrap_or_else(|| {
        index::load_shard(disk, &source.index_path(dir), source.number(), whole.shard).unwrap_or_default()
    });
    let mut holes = Vec::new();
    let mut at = whole.first;
    for frame in frames {
        if frame.first > at {
            holes.push((at, frame.first));
        }
        at = at.max(frame.end());
    }
    holes
}
