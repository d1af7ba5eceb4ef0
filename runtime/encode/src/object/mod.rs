//! One object, from packed records to finished bytes: format, compression, encryption, as a stream.

use std::fmt;

use millrace_types::{Columns, Entropy};

use crate::columnar::ParquetObject;
use crate::compress::Compressor;
use crate::seal::Seal;
use crate::{Compression, EncryptionKey, Error, Levels, ParquetSettings, Rejected, SchemaSource};

/// How records become an object's body.
#[derive(Debug, Clone)]
pub enum Format {
    /// The records one behind the other, as they came.
    JsonLines {
        /// What is appended to each record (`AppendDelimiterToRecord`).
        delimiter: Option<Vec<u8>>,
    },
    /// A Parquet file (`DataFormatConversionConfiguration`).
    Parquet(ParquetSettings),
}

impl Format {
    /// Version of the registered table that gives the columns; `None` where none does.
    #[must_use]
    pub fn table_version(&self) -> Option<u32> {
        match self {
            Self::Parquet(ParquetSettings { schema: SchemaSource::Table(table), .. }) => Some(table.version),
            _ => None,
        }
    }
}

/// What an object of a destination is made like.
#[derive(Debug, Clone)]
pub struct EncoderSettings {
    /// The body's format.
    pub format: Format,
    /// Compression of the body; [`Compression::Uncompressed`] with Parquet, which compresses inside.
    pub compression: Compression,
    /// How hard the compressors work.
    pub levels: Levels,
    /// Encrypts the body when given.
    pub encryption: Option<EncryptionKey>,
}

/// An object in the making.
pub struct ObjectEncoder {
    body: Body,
    compression: Compression,
    seal: Option<Seal>,
    /// Output bytes not taken that are encrypted already: those behind are plain.
    sealed_bytes: usize,
    source_bytes: u64,
    records: u64,
}

enum Body {
    Lines { compressor: Compressor, delimiter: Vec<u8>, scratch: Vec<u8> },
    Parquet(Box<ParquetObject>),
}

/// A finished object's last bytes and what the sink must know of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// The output that [`ObjectEncoder::take_output`] did not take.
    pub rest: Vec<u8>,
    /// Records in the object; with none the object holds nothing and need not be put.
    pub records: u64,
    /// User metadata: names without the `x-amz-meta-` before them, and values.
    pub metadata: Vec<(String, String)>,
    /// `Content-Encoding`.
    pub content_encoding: Option<&'static str>,
    /// What ends the key, with its dot, when the destination has no `FileExtension`.
    pub extension: &'static str,
}

impl fmt::Debug for ObjectEncoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectEncoder")
            .field("compression", &self.compression)
            .field("seal", &self.seal)
            .field("records", &self.records)
            .finish_non_exhaustive()
    }
}

impl ObjectEncoder {
    /// Begins an object. `entropy` gives its data key and names.
    ///
    /// # Errors
    /// [`Error::CompressedParquet`], [`Error::TimestampFormat`], [`Error::Parquet`].
    pub fn new(settings: &EncoderSettings, entropy: &dyn Entropy) -> Result<Self, Error> {
        let body = match &settings.format {
            Format::JsonLines { delimiter } => Body::Lines {
                compressor: Compressor::new(settings.compression, settings.levels, entropy),
                delimiter: delimiter.clone().unwrap_or_default(),
                scratch: Vec::new(),
            },
            Format::Parquet(_) if settings.compression != Compression::Uncompressed => {
                return Err(Error::CompressedParquet);
            }
            Format::Parquet(parquet) => Body::Parquet(Box::new(ParquetObject::new(parquet, settings.levels)?)),
        };
        let seal = settings.encryption.as_ref().map(|key| Seal::new(key, entropy));
        let compression = settings.compression;
        Ok(Self { body, compression, seal, sealed_bytes: 0, source_bytes: 0, records: 0 })
    }

    /// Appends the records of `columns` that `select` names (indices, ascending), or all of them.
    /// Answers those that cannot be converted, in order: they are not in the object.
    ///
    /// # Errors
    /// [`Error::Compress`], [`Error::Parquet`], [`Error::Columns`], [`Error::SealTooLong`]: the object is lost then.
    pub fn push(&mut self, columns: Columns<'_>, select: Option<&[u32]>) -> Result<Vec<Rejected>, Error> {
        let (taken, rejected) = match &mut self.body {
            Body::Lines { compressor, delimiter, scratch } => {
                let taken = push_lines(compressor, delimiter, scratch, columns, select).map_err(Error::Compress)?;
                (taken, Vec::new())
            }
            Body::Parquet(parquet) => parquet.push(columns, select)?,
        };
        self.source_bytes += taken.bytes;
        self.records += taken.records;
        self.seal_output()?;
        Ok(rejected)
    }

    fn seal_output(&mut self) -> Result<(), Error> {
        if let Some(seal) = &mut self.seal {
            let output = self.body.output();
            seal.seal(&mut output[self.sealed_bytes..])?;
            self.sealed_bytes = output.len();
        }
        Ok(())
    }

    /// Bytes of the records taken, before compression and without delimiters: what `SizeInMBs` counts.
    #[must_use]
    pub fn source_bytes(&self) -> u64 {
        self.source_bytes
    }

    /// Records in the object.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Bytes of memory held: output that was not taken, row groups, samples, compressors.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        match &self.body {
            Body::Lines { compressor, scratch, .. } => compressor.memory_bytes() + scratch.capacity(),
            Body::Parquet(parquet) => parquet.memory_bytes(),
        }
    }

    /// Ends the row group of Parquet that is being written: its bytes are output then, and a small row
    /// group is what that costs. Nothing to other formats, nor while the columns are still to be found.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn end_row_group(&mut self) -> Result<(), Error> {
        if let Body::Parquet(parquet) = &mut self.body {
            parquet.end_row_group()?;
        }
        self.seal_output()
    }

    /// Takes the output that is finished so far, compressed and encrypted; the object goes on behind it.
    #[must_use]
    pub fn take_output(&mut self) -> Vec<u8> {
        self.sealed_bytes = 0;
        std::mem::take(self.body.output())
    }

    /// Ends the object.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn finish(self) -> Result<Finished, Error> {
        let (mut rest, extension) = match self.body {
            Body::Lines { compressor, .. } => {
                (compressor.finish().map_err(Error::Compress)?, self.compression.extension())
            }
            Body::Parquet(parquet) => (parquet.finish()?, ".parquet"),
        };
        let metadata = match self.seal {
            None => Vec::new(),
            Some(mut seal) => {
                seal.seal(&mut rest[self.sealed_bytes..])?;
                seal.finish(&mut rest)
            }
        };
        let content_encoding = self.compression.content_encoding();
        Ok(Finished { rest, records: self.records, metadata, content_encoding, extension })
    }
}

impl Body {
    fn output(&mut self) -> &mut Vec<u8> {
        match self {
            Self::Lines { compressor, .. } => compressor.output(),
            Self::Parquet(parquet) => parquet.output(),
        }
    }
}

/// What a push took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) records: u64,
    pub(crate) bytes: u64,
}

/// The payload as it lies goes to the compressor in one call; only a delimiter or a choice of records
/// has them put together first.
fn push_lines(
    compressor: &mut Compressor,
    delimiter: &[u8],
    scratch: &mut Vec<u8>,
    columns: Columns<'_>,
    select: Option<&[u32]>,
) -> std::io::Result<Taken> {
    let records = select.map_or(columns.len(), <[u32]>::len);
    if select.is_none() && delimiter.is_empty() {
        let bytes = columns.ends.last().map_or(0, |end| *end as usize);
        compressor.write(&columns.payload[..bytes])?;
        return Ok(Taken { records: records as u64, bytes: bytes as u64 });
    }
    scratch.clear();
    let mut append = |record: &[u8]| {
        scratch.extend_from_slice(record);
        scratch.extend_from_slice(delimiter);
    };
    match select {
        None => columns.iter().for_each(&mut append),
        Some(select) => select.iter().for_each(|index| append(columns.record(*index as usize))),
    }
    compressor.write(scratch)?;
    Ok(Taken { records: records as u64, bytes: (scratch.len() - records * delimiter.len()) as u64 })
}

#[cfg(test)]
mod tests;
