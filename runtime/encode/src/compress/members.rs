//! gzip by libdeflate, which is twice as fast as any zlib at the same level but compresses whole
//! buffers: the stream is a row of members (RFC 1952 section 2.2), which every gzip reader joins.

use std::io;

use libdeflater::{CompressionLvl, Compressor};
use millrace_types::MIB;

/// Source bytes of a member. A member costs 20 bytes and a fresh dictionary: below 0.1 % here.
const MEMBER_BYTES: usize = MIB;

/// A gzip stream in the making.
pub(super) struct Members {
    compressor: Compressor,
    /// Source bytes of the member that is not full yet.
    pending: Vec<u8>,
    any: bool,
}

impl Members {
    pub(super) fn new(level: u32) -> io::Result<Self> {
        let level = CompressionLvl::new(i32::try_from(level).unwrap_or(i32::MAX).clamp(1, 9))
            .map_err(|_| io::Error::other("gzip levels are 1 to 9"))?;
        Ok(Self { compressor: Compressor::new(level), pending: Vec::new(), any: false })
    }

    pub(super) fn write(&mut self, mut bytes: &[u8], output: &mut Vec<u8>) -> io::Result<()> {
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
        self.pending.extend_from_slice(bytes);
        Ok(())
    }

    /// Takes the last `bytes`; a stream of nothing is one empty member.
    pub(super) fn finish(mut self, bytes: &[u8], output: &mut Vec<u8>) -> io::Result<()> {
        self.write(bytes, output)?;
        if !self.pending.is_empty() || !self.any { self.pend(output) } else { Ok(()) }
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.pending.capacity() + COMPRESSOR_BYTES
    }

    fn pend(&mut self, output: &mut Vec<u8>) -> io::Result<()> {
        let pending = std::mem::take(&mut self.pending);
        let done = self.member(&pending, output);
        self.pending = pending;
        self.pending.clear();
        done
    }

    fn member(&mut self, source: &[u8], output: &mut Vec<u8>) -> io::Result<()> {
        let at = output.len();
        output.resize(at + self.compressor.gzip_compress_bound(source.len()), 0);
        let written = self.compressor.gzip_compress(source, &mut output[at..]).map_err(io::Error::other)?;
        output.truncate(at + written);
        self.any = true;
        Ok(())
    }
}

/// What libdeflate holds at levels up to 9: hash tables, one block's symbols.
const COMPRESSOR_BYTES: usize = 768 * 1024;
