//! A bug on purpose (feature `planted`, `MILLRACE_PLANT=ack-before-fsync`): a group is acknowledged
//! while it is still in memory, and written when the next one comes. The crash oracle must see it.

use std::io;

use super::group::Group;
use super::segment::Active;

#[derive(Default)]
pub(super) struct Held {
    group: Option<(u64, u64, Vec<u8>)>,
}

impl Held {
    /// True when the group is held back and taken for durable.
    pub(super) fn hold(&mut self, active: &Active, group: &Group) -> io::Result<bool> {
        if std::env::var("MILLRACE_PLANT").as_deref() != Ok("ack-before-fsync") {
            return Ok(false);
        }
        self.write(active);
        self.group = Some((active.number, active.end, group.buffers().concat()));
        Ok(true)
    }

    /// Writes what is held.
    pub(super) fn write(&mut self, active: &Active) {
        if let Some((number, offset, bytes)) = self.group.take()
            && number == active.number
        {
            let written = active.file.write_all_at(&[&bytes], offset).and_then(|()| active.file.sync_data());
            if let Err(error) = written {
                tracing::error!(%error, "the planted bug met an error");
            }
        }
    }
}
