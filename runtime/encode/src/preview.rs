//! The first rows of a Parquet file as a table, for people.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, TimeUnit, TimestampMicrosecondType};
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// Columns that fit a terminal; the rest are named below the table.
const COLUMNS_MAX: usize = 8;

/// The first `rows` rows of the file in `bytes`.
///
/// # Errors
/// When the bytes are not a Parquet file.
pub fn preview(bytes: Bytes, rows: usize) -> Result<String, parquet::errors::ParquetError> {
    let mut reader =
        ParquetRecordBatchReaderBuilder::try_new(bytes)?.with_batch_size(rows.max(1)).with_limit(rows).build()?;
    let Some(batch) = reader.next().transpose()? else { return Ok("(no rows)".to_owned()) };
    let shown: Vec<usize> = (0..batch.num_columns().min(COLUMNS_MAX)).collect();
    let table = arrow::util::pretty::pretty_format_batches(&[without_zones(&batch.project(&shown)?)?])?;
    let schema = batch.schema();
    let rest: Vec<&str> = schema.fields().iter().skip(COLUMNS_MAX).map(|field| field.name().as_str()).collect();
    Ok(if rest.is_empty() { table.to_string() } else { format!("{table}\nand {}", rest.join(", ")) })
}

/// The same times in columns without a zone: Arrow prints `UTC` only with a database of all zones.
pub(crate) fn without_zones(batch: &RecordBatch) -> Result<RecordBatch, arrow::error::ArrowError> {
    let schema = batch.schema();
    let columns = schema.fields().iter().zip(batch.columns()).map(|(field, column)| {
        let plain: ArrayRef = match column.data_type() {
            DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => {
                Arc::new(column.as_primitive::<TimestampMicrosecondType>().clone().with_timezone_opt(None::<Arc<str>>))
            }
            _ => Arc::clone(column),
        };
        (field.name().clone(), plain)
    });
    RecordBatch::try_from_iter(columns.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_parquet_is_refused() {
        assert!(preview(Bytes::from_static(b"PAR1 or not"), 5).is_err());
    }
}
