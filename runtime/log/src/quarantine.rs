//! What cannot be read is never deleted: damaged bytes are copied to `quarantine/`, files that cannot
//! be used are moved there.

use std::io;
use std::path::Path;

use crate::Error;
use crate::disk::Disk;
use crate::file::{QUARANTINE, Source, is_damage, read_patiently};

/// Bytes copied at a time.
const PART_BYTES: usize = 1 << 20;

/// Copies `bytes` bytes at `offset` of `source`, once. Pages that cannot be read become zeros.
pub(crate) fn copy(disk: &dyn Disk, dir: &Path, source: Source, offset: u64, bytes: u64) -> io::Result<()> {
    let folder = dir.join(QUARANTINE);
    let target = folder.join(format!("{}-{offset}.bad", source.name().replace('/', "-")));
    if disk.open(&target).is_ok() {
        return Ok(());
    }
    // Beside its place until it is whole: a copy that broke off must not pass for one.
    let beside = target.with_extension("part");
    match disk.remove(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let copy = disk.create(&beside)?;
    let from = disk.open(&source.path(dir))?;
    let mut at = 0;
    let mut unreadable = None;
    while at < bytes {
        let part = usize::try_from(bytes - at).map_or(PART_BYTES, |left| left.min(PART_BYTES));
        let mut buf = vec![0; part];
        match read_patiently(&*from, &mut buf, offset + at) {
            Err(error) if !is_damage(&error) => return Err(error),
            // What the disk does not give now it may give later: the file must stay.
            Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => unreadable = Some(error),
            _ => {}
        }
        copy.write_all_at(&[&buf], at)?;
        at += part as u64;
    }
    copy.sync_data()?;
    disk.rename(&beside, &target)?;
    disk.sync_dir(&folder)?;
    unreadable.map_or(Ok(()), Err)
}

/// Moves a file of the journal to `quarantine/`; answers its name there. `data_end`: behind it are
/// zeros alone, which are cut.
pub(crate) fn set_aside(disk: &dyn Disk, dir: &Path, name: &str, data_end: Option<u64>) -> Result<String, Error> {
    let folder = dir.join(QUARANTINE);
    let taken = disk.list(&folder).map_err(Error::io("cannot list", &folder))?;
    let plain = name.replace('/', "-");
    let target = (0..=taken.len())
        .map(|nth| if nth == 0 { plain.clone() } else { format!("{plain}.{nth}") })
        .find(|target| !taken.contains(target))
        .unwrap_or(plain);
    let path = dir.join(name);
    if let Some(data_end) = data_end {
        let file = disk.open(&path).map_err(Error::io("cannot open", &path))?;
        file.set_len(data_end).map_err(Error::io("cannot cut", &path))?;
    }
    disk.rename(&path, &folder.join(&target)).map_err(Error::io("cannot move", &path))?;
    for dir in [path.parent().unwrap_or(dir), &folder] {
        disk.sync_dir(dir).map_err(Error::io("cannot sync", dir))?;
    }
    tracing::warn!(name, "a file that cannot be used was moved to quarantine");
    Ok(format!("{QUARANTINE}/{target}"))
}
