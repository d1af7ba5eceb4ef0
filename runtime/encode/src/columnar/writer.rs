//! The Parquet file in the making: sample, rows, row groups, and what of the file is finished.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use millrace_types::Columns;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, GzipLevel, ZstdLevel};
use parquet::file::properties::{WriterProperties, WriterVersion};

use super::infer::Sample;
use super::row::Rows;
use super::rules::{Misfit, Rules};
use super::{
    BLOCK_BYTES_DEFAULT, PAGE_BYTES_DEFAULT, PAGE_ROWS_DEFAULT, ParquetCompression, ParquetSettings, Rejected,
    SchemaSource,
};
use crate::object::Taken;
use crate::{Error, Levels};

/// Rows of a page where its bytes alone decide: more than a row group can have.
const PAGE_ROWS_UNLIMITED: usize = 1 << 31;

/// Dictionary bytes of a column chunk behind which it goes on without one: the writer's own default.
const DICTIONARY_BYTES: usize = 1 << 20;
/// The same where zstd or gzip packs the pages. They find repetitions by themselves: on access logs a
/// dictionary of 1 MiB makes files 20 % larger and takes a quarter more time than one of 128 KiB.
const DICTIONARY_BYTES_ENTROPY_CODED: usize = 128 * 1024;

/// A Parquet object.
pub(crate) struct ParquetObject {
    rules: Rules,
    properties: WriterProperties,
    state: State,
}

enum State {
    /// The schema is still to be found. The second part is the output: always empty.
    Sampling(Sample, Vec<u8>),
    Writing(Box<Writing>),
}

struct Writing {
    schema: SchemaRef,
    rows: Rows,
    writer: ArrowWriter<Vec<u8>>,
}

impl ParquetObject {
    pub(crate) fn new(settings: &ParquetSettings, levels: Levels) -> Result<Self, Error> {
        let rules = Rules::new(&settings.deserializer, &settings.schema)?;
        let properties = properties(settings, levels)?;
        let state = match &settings.schema {
            SchemaSource::Infer(_) => State::Sampling(Sample::default(), Vec::new()),
            SchemaSource::Table(table) => {
                State::Writing(Box::new(Writing::new(table.schema(), &rules, properties.clone())?))
            }
        };
        Ok(Self { rules, properties, state })
    }

    /// Takes records, all or those of `select`; answers what was taken and what was refused.
    pub(crate) fn push(
        &mut self,
        columns: Columns<'_>,
        select: Option<&[u32]>,
    ) -> Result<(Taken, Vec<Rejected>), Error> {
        let mut taken = Taken::default();
        let mut rejected = Vec::new();
        let mut each = |index: usize| {
            let record = columns.record(index);
            match self.append(record)? {
                Ok(()) => {
                    taken.records += 1;
                    taken.bytes += record.len() as u64;
                }
                Err(misfit) => rejected.push(Rejected {
                    // A batch has far fewer records than 2^32.
                    index: u32::try_from(index).unwrap_or(u32::MAX),
                    code: misfit.code,
                    message: misfit.message(),
                }),
            }
            Ok::<(), Error>(())
        };
        match select {
            None => (0..columns.len()).try_for_each(&mut each)?,
            Some(select) => select.iter().try_for_each(|index| each(*index as usize))?,
        }
        Ok((taken, rejected))
    }

    fn append(&mut self, record: &[u8]) -> Result<Result<(), Misfit>, Error> {
        match &mut self.state {
            State::Sampling(sample, _) => {
                if let Err(misfit) = sample.take(record, &self.rules) {
                    return Ok(Err(misfit));
                }
                if sample.is_full() {
                    self.settle()?;
                }
            }
            State::Writing(writing) => {
                if let Err(misfit) = writing.rows.append(record, &self.rules) {
                    return Ok(Err(misfit));
                }
                writing.advance()?;
            }
        }
        Ok(Ok(()))
    }

    /// Makes the schema of the sample, and rows of its records.
    fn settle(&mut self) -> Result<(), Error> {
        if let State::Sampling(sample, _) = &mut self.state {
            let sample = std::mem::take(sample);
            let mut writing = Writing::new(sample.schema(&self.rules), &self.rules, self.properties.clone())?;
            for record in sample.records() {
                let appended = writing.rows.append(record, &self.rules);
                appended.map_err(|misfit| Error::SampleMisfit(misfit.message()))?;
                writing.advance()?;
            }
            self.state = State::Writing(Box::new(writing));
        }
        Ok(())
    }

    /// Ends the row group, when it has rows.
    pub(crate) fn end_row_group(&mut self) -> Result<(), Error> {
        if let State::Writing(writing) = &mut self.state {
            writing.write_rows()?;
            writing.writer.flush()?;
        }
        Ok(())
    }

    /// The finished bytes of the file, to be taken or changed in place.
    pub(crate) fn output(&mut self) -> &mut Vec<u8> {
        match &mut self.state {
            State::Sampling(_, empty) => empty,
            State::Writing(writing) => writing.writer.inner_mut(),
        }
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        match &self.state {
            State::Sampling(sample, _) => sample.memory_bytes(),
            State::Writing(writing) => {
                writing.rows.memory_bytes() + writing.writer.memory_size() + writing.writer.inner().capacity()
            }
        }
    }

    /// Ends the file and answers the bytes that were not taken; none at all when it has no row and no schema.
    pub(crate) fn finish(mut self) -> Result<Vec<u8>, Error> {
        if let State::Sampling(sample, empty) = &mut self.state {
            if sample.records().next().is_none() {
                return Ok(std::mem::take(empty));
            }
            self.settle()?;
        }
        match self.state {
            State::Sampling(_, empty) => Ok(empty),
            State::Writing(mut writing) => {
                writing.write_rows()?;
                writing.writer.finish()?;
                Ok(std::mem::take(writing.writer.inner_mut()))
            }
        }
    }
}

impl Writing {
    fn new(schema: Schema, rules: &Rules, properties: WriterProperties) -> Result<Self, Error> {
        let rows = Rows::new(&schema, rules)?;
        let schema = Arc::new(schema);
        let writer = ArrowWriter::try_new(Vec::new(), Arc::clone(&schema), Some(properties))?;
        Ok(Self { schema, rows, writer })
    }

    /// Hands full rows to the writer, which ends the row group when it is large enough.
    fn advance(&mut self) -> Result<(), Error> {
        if self.rows.is_full() { self.write_rows() } else { Ok(()) }
    }

    fn write_rows(&mut self) -> Result<(), Error> {
        if !self.rows.is_empty() {
            let batch = RecordBatch::try_new(Arc::clone(&self.schema), self.rows.take()?)?;
            self.writer.write(&batch)?;
        }
        Ok(())
    }
}

fn properties(settings: &ParquetSettings, levels: Levels) -> Result<WriterProperties, Error> {
    let compression = match settings.compression {
        ParquetCompression::Uncompressed => Compression::UNCOMPRESSED,
        ParquetCompression::Snappy => Compression::SNAPPY,
        ParquetCompression::Gzip => Compression::GZIP(GzipLevel::try_new(levels.gzip)?),
        ParquetCompression::Zstd => Compression::ZSTD(ZstdLevel::try_new(levels.parquet_zstd)?),
    };
    let dictionary_bytes = match settings.compression {
        ParquetCompression::Gzip | ParquetCompression::Zstd => DICTIONARY_BYTES_ENTROPY_CODED,
        ParquetCompression::Uncompressed | ParquetCompression::Snappy => DICTIONARY_BYTES,
    };
    // Who names a size of pages gets it; without one they end as Java's do.
    let (page_bytes, page_rows) = match settings.page_bytes {
        Some(bytes) => (bytes.max(1), PAGE_ROWS_UNLIMITED),
        None => (PAGE_BYTES_DEFAULT, PAGE_ROWS_DEFAULT),
    };
    let version = if settings.writer_v2 { WriterVersion::PARQUET_2_0 } else { WriterVersion::PARQUET_1_0 };
    Ok(WriterProperties::builder()
        .set_created_by(concat!("Millrace version ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(compression)
        .set_max_row_group_bytes(Some(settings.block_bytes.unwrap_or(BLOCK_BYTES_DEFAULT).max(1)))
        .set_max_row_group_row_count(None)
        .set_data_page_size_limit(page_bytes)
        .set_data_page_row_count_limit(page_rows)
        .set_dictionary_enabled(settings.dictionary)
        .set_dictionary_page_size_limit(dictionary_bytes)
        .set_writer_version(version)
        .build())
}
