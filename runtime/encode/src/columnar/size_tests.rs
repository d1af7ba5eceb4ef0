//! Row groups and pages end where `BlockSizeBytes` and `PageSizeBytes` say.

use millrace_types::{Columns, SeededEntropy};
use parquet::file::reader::FileReader;

use super::tests::{open_x, relaxed, table, write};
use super::*;
use crate::{Compression, EncoderSettings, Format, Levels, ObjectEncoder};

/// Without a dictionary and without compression: what is encoded is what is counted.
fn plain(columns: &[(&str, &str)], block_bytes: Option<usize>, page_bytes: Option<usize>) -> ParquetSettings {
    ParquetSettings {
        compression: ParquetCompression::Uncompressed,
        dictionary: false,
        block_bytes,
        page_bytes,
        ..table(columns, open_x())
    }
}

fn opened(file: Vec<u8>) -> parquet::file::reader::SerializedFileReader<bytes::Bytes> {
    parquet::file::reader::SerializedFileReader::new(bytes::Bytes::from(file)).unwrap()
}

#[test]
fn row_groups_end_at_the_block_size_that_is_given_and_nowhere_else() {
    const MIB: usize = 1 << 20;
    let pad = "x".repeat(MIB / 2);
    let records: Vec<String> = (0..140).map(|n| format!(r#"{{"id":{n},"text":"{pad}"}}"#)).collect();
    let records: Vec<&str> = records.iter().map(String::as_str).collect();
    for (given, limit) in [(Some(48 * MIB), 48 * MIB), (None, BLOCK_BYTES_DEFAULT), (Some(256 * MIB), 256 * MIB)] {
        let written = write(plain(&[("id", "int"), ("text", "string")], given, None), &[&records]);
        let reader = opened(written.file);
        let sizes: Vec<usize> = reader
            .metadata()
            .row_groups()
            .iter()
            .map(|group| usize::try_from(group.total_byte_size()).unwrap())
            .collect();
        assert_eq!(sizes.len(), (70 * MIB).div_ceil(limit), "{given:?}: {sizes:?}");
        for size in &sizes[..sizes.len() - 1] {
            assert!(size.abs_diff(limit) < 2 * MIB, "{given:?}: {sizes:?}");
        }
    }
    // No number of rows ends one: 1,048,576 is where the writer would by itself.
    let row = r#"{"id":1}"#.repeat(4_000);
    let rows = vec![row.as_str(); 300];
    let written = write(plain(&[("id", "tinyint")], Some(64 * MIB), None), &[&rows]);
    let reader = opened(written.file);
    assert_eq!((reader.metadata().num_row_groups(), reader.metadata().file_metadata().num_rows()), (1, 1_200_000));
}

#[test]
fn pages_end_at_the_page_size_that_is_given_and_nowhere_else() {
    use parquet::column::page::Page;
    let rows: Vec<String> =
        (0..150).map(|nth| (0..2_000).map(|n| format!(r#"{{"id":{}}}"#, nth * 2_000 + n)).collect()).collect();
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    let pages = |page_bytes: Option<usize>| -> Vec<(usize, u32)> {
        let reader = opened(write(plain(&[("id", "bigint")], None, page_bytes), &[&rows]).file);
        let pages = reader.get_row_group(0).unwrap().get_column_page_reader(0).unwrap();
        let pages: Vec<Page> = pages.map(Result::unwrap).collect();
        pages.iter().map(|page| (page.buffer().len(), page.num_values())).collect()
    };
    // At most what goes to the writer at once is more than asked for: a record has 2,000 rows here.
    let batch = (row::BATCH_ROWS + 2_000) * 8;
    for asked in [65_536, 1 << 20] {
        let found = pages(Some(asked));
        assert!(found.len() > 1, "{asked}: {found:?}");
        for (bytes, _) in &found[..found.len() - 1] {
            assert!((asked..=asked + batch).contains(bytes), "{asked}: {found:?}");
        }
    }
    for (_, values) in pages(None) {
        assert!(values as usize <= PAGE_ROWS_DEFAULT + row::BATCH_ROWS + 2_000, "{values}");
    }
}

#[test]
fn a_row_group_that_is_ended_early_is_output_and_its_rows_stay() {
    const ROWS: i64 = 30_000;
    for columns in [plain(&[("id", "int"), ("text", "string")], None, None), relaxed()] {
        let settings = EncoderSettings {
            format: Format::Parquet(columns),
            compression: Compression::Uncompressed,
            levels: Levels::default(),
            encryption: None,
        };
        let mut encoder = ObjectEncoder::new(&settings, &SeededEntropy::new(1)).unwrap();
        let (mut file, mut groups) = (Vec::new(), 0);
        for from in (0..ROWS).step_by(5_000) {
            let rows: Vec<String> =
                (from..from + 5_000).map(|n| format!(r#"{{"id":{n:5},"text":"{n:0500}"}}"#)).collect();
            let ends: Vec<u32> = (1..=5_000).map(|nth| nth * u32::try_from(rows[0].len()).unwrap()).collect();
            encoder.push(Columns { payload: rows.concat().as_bytes(), ends: &ends }, None).unwrap();
            encoder.end_row_group().unwrap();
            // With nothing in it there is none to end.
            encoder.end_row_group().unwrap();
            groups += 1;
            file.extend(encoder.take_output());
            // Room for the next rows, and nothing of those.
            assert!(encoder.memory_bytes() <= row::BATCH_SOURCE_BYTES, "{} bytes are held", encoder.memory_bytes());
        }
        file.extend(encoder.finish().unwrap().rest);
        let reader = opened(file);
        let metadata = reader.metadata();
        assert_eq!((metadata.num_row_groups(), metadata.file_metadata().num_rows()), (groups, ROWS));
    }
}
