//! The two block framings around raw Snappy that Firehose writes: xerial's (snappy-java) and Hadoop's.

use std::io;

use snap::raw::{Encoder, max_compress_len};

/// How blocks are framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// A header, then per block the compressed length (u32, big-endian) and the block.
    Xerial,
    /// Per block the raw length, the compressed length (u32, big-endian) and the block.
    Hadoop,
}

/// Magic of `SnappyOutputStream`, then version 1 and oldest compatible version 1, big-endian.
const XERIAL_HEADER: [u8; 16] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1];
/// Raw bytes of one block: the default of snappy-java.
const XERIAL_BLOCK_BYTES: usize = 32 * 1024;
/// Raw bytes of one block. Hadoop's codec has buffers of 256 KiB and keeps room for a block that
/// grows (`size / 6 + 32`): a longer block that does not compress cannot be read by it.
const HADOOP_BLOCK_BYTES: usize = 256 * 1024 - (256 * 1024 / 6 + 32);

/// A framed Snappy stream.
#[derive(Debug)]
pub(super) struct Blocks {
    framing: Framing,
    encoder: Encoder,
    /// Raw bytes that do not fill a block yet.
    partial: Vec<u8>,
    started: bool,
}

impl Blocks {
    pub(super) fn new(framing: Framing) -> Self {
        Self { framing, encoder: Encoder::new(), partial: Vec::new(), started: false }
    }

    fn block_bytes(&self) -> usize {
        match self.framing {
            Framing::Xerial => XERIAL_BLOCK_BYTES,
            Framing::Hadoop => HADOOP_BLOCK_BYTES,
        }
    }

    pub(super) fn write(&mut self, mut bytes: &[u8], output: &mut Vec<u8>) -> io::Result<()> {
        self.start(output);
        let block_bytes = self.block_bytes();
        if !self.partial.is_empty() {
            let (head, rest) = bytes.split_at(bytes.len().min(block_bytes - self.partial.len()));
            self.partial.extend_from_slice(head);
            bytes = rest;
            if self.partial.len() < block_bytes {
                return Ok(());
            }
            let block = std::mem::take(&mut self.partial);
            self.block(&block, output)?;
            self.partial = block;
            self.partial.clear();
        }
        let blocks = bytes.chunks_exact(block_bytes);
        let rest = blocks.remainder();
        for block in blocks {
            self.block(block, output)?;
        }
        self.partial.extend_from_slice(rest);
        Ok(())
    }

    fn start(&mut self, output: &mut Vec<u8>) {
        if !self.started && self.framing == Framing::Xerial {
            output.extend_from_slice(&XERIAL_HEADER);
        }
        self.started = true;
    }

    fn block(&mut self, raw: &[u8], output: &mut Vec<u8>) -> io::Result<()> {
        if self.framing == Framing::Hadoop {
            output.extend_from_slice(&length(raw.len())?);
        }
        let length_at = output.len();
        let at = length_at + 4;
        output.resize(at + max_compress_len(raw.len()), 0);
        let compressed = self.encoder.compress(raw, &mut output[at..]).map_err(io::Error::other)?;
        output.truncate(at + compressed);
        output[length_at..at].copy_from_slice(&length(compressed)?);
        Ok(())
    }

    pub(super) fn finish(mut self, output: &mut Vec<u8>) -> io::Result<()> {
        self.start(output);
        if self.partial.is_empty() {
            return Ok(());
        }
        let block = std::mem::take(&mut self.partial);
        self.block(&block, output)
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.partial.capacity() + size_of::<Self>()
    }
}

fn length(bytes: usize) -> io::Result<[u8; 4]> {
    u32::try_from(bytes).map(u32::to_be_bytes).map_err(io::Error::other)
}
