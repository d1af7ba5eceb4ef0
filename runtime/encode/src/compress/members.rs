//! gzip by libdeflate, which is twice as fast as any zlib at the same level but compresses whole
//! buffers: the stream is a row of members (RFC 1952 section 2.2), which every gzip reader joins.

use std::io;

use libdeflater::{CompressionLvl, Compressor};
use millrace_types::MIB;

use super::pool::Pool;

/// Source bytes of a member. A member costs 20 bytes and a fresh dictionary: below 0.1 % here.
const MEMBER_BYTES: usize = MIB;

/// A compressor and room for one member.
struct Work {
    level: CompressionLvl,
    compressor: Compressor,
    output: Vec<u8>,
}

/// In use only within a call: a thousand open objects do not hold a thousand.
static WORK: Pool<Work> = Pool::new(|work| COMPRESSOR_BYTES + work.output.capacity());
/// What libdeflate holds at levels up to 9: hash tables, one block's symbols.
const COMPRESSOR_BYTES: usize = 768 * 1024;

/// A gzip stream in the making.
pub(super) struct Members {
    level: CompressionLvl,
    /// Source bytes of the member that is not full yet.
    pending: Vec<u8>,
    any: bool,
}

impl Members {
    pub(super) fn new(level: u32) -> io::Result<Self> {
        let level = CompressionLvl::new(i32::try_from(level).unwrap_or(i32::MAX).clamp(1, 9))
            .map_err(|_| io::Error::other("gzip levels are 1 to 9"))?;
        Ok(Self { level, pending: Vec::new(), any: false })
    }

    pub(super) fn write(&mut self, bytes: &[u8], output: &mut Vec<u8>) -> io::Result<()> {
        let rest = self.full_members(bytes, output)?;
        self.pending.extend_from_slice(rest);
        Ok(())
    }

    /// Takes the last `bytes`; a stream of nothing is one empty member.
    pub(super) fn finish(mut self, bytes: &[u8], output: &mut Vec<u8>) -> io::Result<()> {
        let rest = self.full_members(bytes, output)?;
        if !self.pending.is_empty() {
            self.pending.extend_from_slice(rest);
            self.pend(output)
        } else if !rest.is_empty() || !self.any {
            self.member(rest, output)
        } else {
            Ok(())
        }
    }

    /// Writes the members that `bytes` fills; answers what is left of them.
    fn full_members<'b>(&mut self, mut bytes: &'b [u8], output: &mut Vec<u8>) -> io::Result<&'b [u8]> {
        while self.pending.len() + bytes.len() >= MEMBER_BYTES {
            let (head, rest) = bytes.split_at(MEMBER_BYTES - self.pending.len());
            bytes = rest;
            if self.pending.is_empty() {
                self.member(head, output)?;
            } else {
                self.pending.extend_from_slice(head);
                self.pend(output)?;
            }
        }
        Ok(bytes)
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.pending.capacity()
    }

    fn pend(&mut self, output: &mut Vec<u8>) -> io::Result<()> {
        let pending = std::mem::take(&mut self.pending);
        let done = self.member(&pending, output);
        self.pending = pending;
        self.pending.clear();
        done
    }

    fn member(&mut self, source: &[u8], output: &mut Vec<u8>) -> io::Result<()> {
        let level = self.level;
        let mut work = WORK.take(
            |work| work.level == level,
            || Work { level, compressor: Compressor::new(level), output: Vec::new() },
        );
        let Work { compressor, output: member, .. } = &mut *work;
        let bound = compressor.gzip_compress_bound(source.len());
        if member.len() < bound {
            member.resize(bound, 0);
        }
        let written = compressor.gzip_compress(source, member).map_err(io::Error::other)?;
        output.extend_from_slice(&member[..written]);
        self.any = true;
        Ok(())
    }
}
