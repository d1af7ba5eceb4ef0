//! One streaming compressor per object: bytes in as they come, finished bytes out at any time.
//!
//! A compressor's working memory is taken only when an object has grown past [`staged_bytes_max`] (gzip:
//! for each member): a thousand quiet streams hold their few records, not a thousand contexts, and a small
//! object is compressed in one call that knows its length.

mod members;
mod pool;
mod snappy;
mod stream;

use std::io;

use millrace_types::{Entropy, KIB, MIB};

use crate::{Compression, Levels};
use stream::Stream;

/// Source bytes that are kept as they are before the compressor starts.
const fn staged_bytes_max(compression: Compression) -> usize {
    match compression {
        // Keeps what does not fill a member itself.
        Compression::Uncompressed | Compression::Gzip => 0,
        Compression::Zip | Compression::Snappy | Compression::HadoopSnappy => 128 * KIB,
        Compression::Zstd => MIB,
    }
}

#[derive(Debug)]
enum State {
    /// No compression: bytes go straight to the output.
    Plain,
    /// Not started; holds what came so far.
    Staged(Vec<u8>),
    /// Running.
    Running(Stream),
}

/// A compressor with its finished output.
#[derive(Debug)]
pub(crate) struct Compressor {
    compression: Compression,
    levels: Levels,
    entry_name: String,
    state: State,
    output: Vec<u8>,
}

impl Compressor {
    /// `entropy` names the entry of a ZIP archive.
    pub(crate) fn new(compression: Compression, levels: Levels, entropy: &dyn Entropy) -> Self {
        let entry_name = if compression == Compression::Zip { entropy.uuid() } else { String::new() };
        let state = match compression {
            Compression::Uncompressed => State::Plain,
            _ => State::Staged(Vec::new()),
        };
        Self { compression, levels, entry_name, state, output: Vec::new() }
    }

    /// Takes `bytes`.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.state {
            State::Plain => {
                self.output.extend_from_slice(bytes);
                Ok(())
            }
            State::Staged(staged) if staged.len() + bytes.len() <= staged_bytes_max(self.compression) => {
                staged.extend_from_slice(bytes);
                Ok(())
            }
            State::Staged(_) => {
                self.start()?;
                self.write(bytes)
            }
            State::Running(stream) => stream.write(bytes, &mut self.output),
        }
    }

    fn start(&mut self) -> io::Result<()> {
        if let State::Staged(staged) = &mut self.state {
            let staged = std::mem::take(staged);
            let mut stream = Stream::new(self.compression, self.levels, &self.entry_name)?;
            stream.write(&staged, &mut self.output)?;
            self.state = State::Running(stream);
        }
        Ok(())
    }

    /// Finished bytes, to be taken or changed in place; what is taken must be taken from the front.
    pub(crate) fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    /// Ends the stream and answers the finished bytes that were not taken.
    pub(crate) fn finish(mut self) -> io::Result<Vec<u8>> {
        match self.state {
            State::Plain => {}
            State::Staged(staged) => {
                let stream = Stream::new(self.compression, self.levels, &self.entry_name)?;
                stream.finish(&staged, &mut self.output)?;
            }
            State::Running(stream) => stream.finish(&[], &mut self.output)?,
        }
        Ok(self.output)
    }

    /// Bytes held: staged input, working memory, output.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.output.capacity()
            + match &self.state {
                State::Plain => 0,
                State::Staged(staged) => staged.capacity(),
                State::Running(stream) => stream.memory_bytes(),
            }
    }
}

#[cfg(test)]
mod tests;
