//! The compressors behind one face: gzip, ZIP, the two Snappy framings, zstd.

use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;

use parking_lot::Mutex;
use zip::write::{SimpleFileOptions, StreamWriter, ZipWriter};
use zstd::zstd_safe::zstd_sys::ZSTD_EndDirective;
use zstd::zstd_safe::{CCtx, CParameter, InBuffer, OutBuffer, ResetDirective, get_error_name};

use super::members::Members;
use super::pool::{Pool, Taken};
use super::snappy::{Blocks, Framing};
use crate::{Compression, Levels};

/// Working memory of a deflate stream (window, hash chains, pending output) and its 32 KiB buffer.
const DEFLATE_MEMORY_BYTES: usize = 320 * 1024;

/// Contexts that no object uses: 3.6 MB each at level 3.
static ZSTD: Pool<CCtx<'static>> = Pool::new(|context| context.sizeof());

/// What a compressor is running.
pub(super) enum Stream {
    Gzip(Box<Members>),
    Zip(Box<ZipWriter<StreamWriter<Shared>>>, Shared),
    Snappy(Box<Blocks>),
    Zstd(Taken<CCtx<'static>>),
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gzip(_) => "Gzip",
            Self::Zip(..) => "Zip",
            Self::Snappy(_) => "Snappy",
            Self::Zstd(_) => "Zstd",
        })
    }
}

/// Where a [`ZipWriter`] writes: it gives its writer back only at the end, and we drain before.
#[derive(Clone, Default)]
pub(super) struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream {
    pub(super) fn new(compression: Compression, levels: Levels, entry_name: &str) -> io::Result<Self> {
        match compression {
            Compression::Uncompressed => Err(io::Error::other("no stream for uncompressed output")),
            Compression::Gzip => Ok(Self::Gzip(Box::new(Members::new(levels.gzip)?))),
            Compression::Zip => {
                let shared = Shared::default();
                let mut zip = ZipWriter::new_stream(shared.clone());
                let options = SimpleFileOptions::default()
                    .compression_method(zip::CompressionMethod::Deflated)
                    .compression_level(Some(i64::from(levels.gzip.clamp(1, 9))));
                zip.start_file(entry_name, options).map_err(io::Error::other)?;
                Ok(Self::Zip(Box::new(zip), shared))
            }
            Compression::Snappy => Ok(Self::Snappy(Box::new(Blocks::new(Framing::Xerial)))),
            Compression::HadoopSnappy => Ok(Self::Snappy(Box::new(Blocks::new(Framing::Hadoop)))),
            Compression::Zstd => {
                let mut context = ZSTD.take(|_| true, CCtx::create);
                // Whoever had it may have ended in the middle of an object.
                context.reset(ResetDirective::SessionAndParameters).map_err(zstd_error)?;
                for parameter in [CParameter::CompressionLevel(levels.zstd), CParameter::ChecksumFlag(true)] {
                    context.set_parameter(parameter).map_err(zstd_error)?;
                }
                Ok(Self::Zstd(context))
            }
        }
    }

    pub(super) fn write(&mut self, bytes: &[u8], output: &mut Vec<u8>) -> io::Result<()> {
        match self {
            Self::Gzip(members) => members.write(bytes, output)?,
            Self::Zip(zip, shared) => {
                zip.write_all(bytes)?;
                drain(&mut shared.0.lock(), output);
            }
            Self::Snappy(blocks) => blocks.write(bytes, output)?,
            Self::Zstd(context) => zstd(context, bytes, output, ZSTD_EndDirective::ZSTD_e_continue)?,
        }
        Ok(())
    }

    /// Takes the last `bytes` and ends the stream.
    pub(super) fn finish(self, bytes: &[u8], output: &mut Vec<u8>) -> io::Result<()> {
        match self {
            Self::Gzip(members) => members.finish(bytes, output)?,
            Self::Zip(mut zip, shared) => {
                zip.write_all(bytes)?;
                zip.finish().map_err(io::Error::other)?;
                drain(&mut shared.0.lock(), output);
            }
            Self::Snappy(mut blocks) => {
                blocks.write(bytes, output)?;
                blocks.finish(output)?;
            }
            // The first call being the last, zstd knows the length and takes no more memory than it needs.
            Self::Zstd(mut context) => zstd(&mut context, bytes, output, ZSTD_EndDirective::ZSTD_e_end)?,
        }
        Ok(())
    }

    pub(super) fn memory_bytes(&self) -> usize {
        match self {
            Self::Gzip(members) => members.memory_bytes(),
            Self::Zip(_, shared) => DEFLATE_MEMORY_BYTES + shared.0.lock().capacity(),
            Self::Snappy(blocks) => blocks.memory_bytes(),
            Self::Zstd(context) => context.sizeof(),
        }
    }
}

fn drain(from: &mut Vec<u8>, to: &mut Vec<u8>) {
    if to.is_empty() {
        std::mem::swap(from, to);
    } else {
        to.append(from);
    }
}

fn zstd(context: &mut CCtx<'_>, bytes: &[u8], output: &mut Vec<u8>, end: ZSTD_EndDirective) -> io::Result<()> {
    let mut input = InBuffer::around(bytes);
    loop {
        let step_bytes = (bytes.len() - input.pos()).clamp(64, CCtx::out_size());
        if output.capacity() - output.len() < step_bytes {
            output.reserve(step_bytes);
        }
        let filled = output.len();
        let mut out = OutBuffer::around_pos(output, filled);
        let left = context.compress_stream2(&mut out, &mut input, end).map_err(zstd_error)?;
        let done = match end {
            ZSTD_EndDirective::ZSTD_e_continue => input.pos() == bytes.len(),
            _ => left == 0,
        };
        if done {
            return Ok(());
        }
    }
}

fn zstd_error(code: usize) -> io::Error {
    io::Error::other(get_error_name(code))
}
