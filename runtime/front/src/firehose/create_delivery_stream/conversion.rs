//! `DataFormatConversionConfiguration`: checks in the order measured at AWS
//! (`reference/firehose.md` section 10); a missing schema is ours: it is inferred.

use std::collections::{BTreeMap, BTreeSet};

use millrace_catalog::{Buffering, Conversion, InputFormat, ParquetOutput, SchemaChoice};
use serde_json::{Map, Value, json};

use super::{Known, LARGE_SIZE_MIB_MIN};
use crate::error::{ApiError, Code};
use crate::protocol::view::View;

pub(super) fn parse(
    destination: View<'_>,
    compression: &str,
    hints: Option<Buffering>,
    known: &Known<'_>,
) -> Result<Option<Conversion>, ApiError> {
    let Some(given) = destination.structure("DataFormatConversionConfiguration") else { return Ok(None) };
    let enabled = given.boolean("Enabled").unwrap_or(true);
    let deserializer = given.structure("InputFormatConfiguration").and_then(|c| c.structure("Deserializer"));
    let serializer = given.structure("OutputFormatConfiguration").and_then(|c| c.structure("Serializer"));
    if enabled {
        check_enabled(given, compression, hints)?;
        check_formats(deserializer, serializer)?;
    }
    let schema = given.structure("SchemaConfiguration");
    Ok(Some(Conversion {
        enabled,
        input: input(deserializer)?,
        parquet: parquet(serializer.and_then(|s| s.structure("ParquetSerDe"))),
        schema: schema_choice(schema, enabled, known)?,
        shown: shown(given),
    }))
}

fn check_enabled(given: View<'_>, compression: &str, hints: Option<Buffering>) -> Result<(), ApiError> {
    if compression != "UNCOMPRESSED" {
        return Err(ApiError::invalid(
            "The S3 destination's compression format must be set to UNCOMPRESSED when data format conversion is \
             enabled. To enable compression within the converted output format, set the appropriate serialization \
             option in the output format configuration.",
        ));
    }
    if hints.is_some_and(|hints| hints.size_mib < LARGE_SIZE_MIB_MIN) {
        return Err(ApiError::invalid(
            "BufferingHints.SizeInMBs must be at least 64 when data format conversion is enabled.",
        ));
    }
    for part in ["InputFormatConfiguration", "OutputFormatConfiguration"] {
        if given.get(part).is_none() {
            return Err(ApiError::invalid(format!("{part} must not be null")));
        }
    }
    Ok(())
}

fn check_formats(deserializer: Option<View<'_>>, serializer: Option<View<'_>>) -> Result<(), ApiError> {
    let (Some(deserializer), Some(serializer)) = (deserializer, serializer) else {
        let part = if deserializer.is_none() { "Deserializer" } else { "Serializer" };
        return Err(ApiError::invalid(format!("{part} must not be null")));
    };
    match (deserializer.get("OpenXJsonSerDe"), deserializer.get("HiveJsonSerDe")) {
        (None, None) => return Err(ApiError::invalid("Deserializer must not be null")),
        (Some(_), Some(_)) => {
            return Err(ApiError::invalid("More than one deserializer specified. Only one may be chosen."));
        }
        _ => {}
    }
    // The other serializer was refused by name before.
    if serializer.get("ParquetSerDe").is_none() {
        return Err(ApiError::invalid("Serializer must not be null"));
    }
    Ok(())
}

fn input(deserializer: Option<View<'_>>) -> Result<InputFormat, ApiError> {
    if let Some(hive) = deserializer.and_then(|d| d.structure("HiveJsonSerDe")) {
        let formats = hive.list("TimestampFormats").filter_map(|format| format.0.as_str());
        let timestamp_formats: Vec<String> = formats.map(str::to_owned).collect();
        return match timestamp_formats.iter().find(|format| !millrace_encode::is_timestamp_format(format)) {
            Some(wrong) => Err(ApiError::invalid(format!(
                "HiveJsonSerDe.TimestampFormats holds {wrong:.80}, which is neither millis nor a pattern of y M d H h m \
                 s S a Z E and quoted text"
            ))),
            None => Ok(InputFormat::Hive { timestamp_formats }),
        };
    }
    let open_x = deserializer.and_then(|d| d.structure("OpenXJsonSerDe")).unwrap_or(View(&Value::Null));
    let case_insensitive = open_x.boolean("CaseInsensitive").unwrap_or(true);
    let mappings = open_x.get("ColumnToJsonKeyMappings").and_then(Value::as_object);
    Ok(InputFormat::OpenX {
        dots_to_underscores: open_x.boolean("ConvertDotsInJsonKeysToUnderscores").unwrap_or(false),
        case_insensitive,
        mappings: mappings.map_or_else(|| Ok(BTreeMap::new()), |map| column_mappings(map, case_insensitive))?,
    })
}

/// A key goes into one column, and a column comes from one key: of two, one would be lost unseen.
fn column_mappings(map: &Map<String, Value>, fold_case: bool) -> Result<BTreeMap<String, String>, ApiError> {
    let fold = |name: &str| if fold_case { name.to_lowercase() } else { name.to_owned() };
    let (mut columns, mut keys) = (BTreeSet::new(), BTreeSet::new());
    let mut mappings = BTreeMap::new();
    for (column, key) in map.iter().filter_map(|(column, key)| Some((column, key.as_str()?))) {
        for (twice, what, name) in
            [(!columns.insert(fold(column)), "column", column.as_str()), (!keys.insert(fold(key)), "key", key)]
        {
            if twice {
                return Err(ApiError::invalid(format!(
                    "OpenXJsonSerDe.ColumnToJsonKeyMappings names the {what} {name:.80} more than once"
                )));
            }
        }
        mappings.insert(column.clone(), key.to_owned());
    }
    Ok(mappings)
}

fn parquet(given: Option<View<'_>>) -> ParquetOutput {
    let given = given.unwrap_or(View(&Value::Null));
    ParquetOutput {
        compression: given.text("Compression").unwrap_or("SNAPPY").to_owned(),
        block_bytes: given.number("BlockSizeBytes"),
        page_bytes: given.number("PageSizeBytes"),
        dictionary: given.boolean("EnableDictionaryCompression").unwrap_or(true),
        writer_v2: given.text("WriterVersion") == Some("V2"),
    }
}

fn schema_choice(given: Option<View<'_>>, enabled: bool, known: &Known<'_>) -> Result<SchemaChoice, ApiError> {
    let Some(given) = given else { return Ok(SchemaChoice::InferRelaxed) };
    let (inferred, version) = match given.text("VersionId") {
        Some("INFER_RELAXED") => (Some(SchemaChoice::InferRelaxed), None),
        Some("INFER_STRICT") => (Some(SchemaChoice::InferStrict), None),
        None | Some("LATEST") => (None, None),
        Some(number) => (None, Some(table_version(number)?)),
    };
    match (inferred, given.text("DatabaseName"), given.text("TableName")) {
        (Some(choice), None, None) => Ok(choice),
        (Some(_), _, _) => Err(ApiError::invalid(
            "SchemaConfiguration names a table and asks for inference in VersionId: leave one of them out",
        )),
        (None, Some(database), Some(table)) => {
            if enabled && !(known.table)(database, table, version) {
                let of = version.map_or_else(String::new, |version| format!("version {version} of "));
                return Err(ApiError::slugged(
                    Code::InvalidArgument,
                    "schema.unknown",
                    format!(
                        "{of}the table {database}.{table} is not registered: run `millrace schema put {database}.{table} FILE`"
                    ),
                ));
            }
            Ok(SchemaChoice::Table { database: database.to_owned(), table: table.to_owned(), version })
        }
        (None, None, _) if enabled => Err(ApiError::invalid("DatabaseName must not be null")),
        (None, Some(_), None) if enabled => Err(ApiError::invalid("TableName must not be null")),
        (None, _, _) => Ok(SchemaChoice::InferRelaxed),
    }
}

/// A version's number as `schema put` answers it: no sign, no zero before it.
fn table_version(text: &str) -> Result<u32, ApiError> {
    text.parse().ok().filter(|number: &u32| number.to_string() == text).ok_or_else(|| {
        ApiError::invalid(format!(
            "SchemaConfiguration.VersionId {text:.80} is no version: use LATEST, the number of a table's version, or \
             INFER_RELAXED or INFER_STRICT without a table"
        ))
    })
}

/// The parts as they were given, with what is used where nothing is named: the newest version, and a
/// row group smaller than AWS's.
fn shown(given: View<'_>) -> Value {
    let mut parts = Map::new();
    for part in ["SchemaConfiguration", "InputFormatConfiguration", "OutputFormatConfiguration"] {
        if let Some(value) = given.get(part) {
            parts.insert(part.to_owned(), value.clone());
        }
    }
    if let Some(Value::Object(schema)) = parts.get_mut("SchemaConfiguration")
        && schema.contains_key("TableName")
        && !schema.contains_key("VersionId")
    {
        schema.insert("VersionId".to_owned(), json!("LATEST"));
    }
    let parquet = parts.get_mut("OutputFormatConfiguration").and_then(|part| part.get_mut("Serializer"));
    if let Some(Value::Object(parquet)) = parquet.and_then(|serializer| serializer.get_mut("ParquetSerDe"))
        && parquet.get("BlockSizeBytes").is_none_or(Value::is_null)
    {
        parquet.insert("BlockSizeBytes".to_owned(), json!(millrace_encode::BLOCK_BYTES_DEFAULT));
    }
    Value::Object(parts)
}
