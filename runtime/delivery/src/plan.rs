//! A plan: a stream's configuration, made ready to run: encoder settings, prefixes, limits, bucket.

use std::sync::Arc;
use std::time::Duration;

use millrace_catalog::{Catalog, Conversion, FunctionCall, InputFormat, SchemaChoice, Stream};
use millrace_encode::{
    Compression, Deserializer, EncoderSettings, Format, Inference, KeyParts, KeyRing, Levels, ParquetCompression,
    ParquetSettings, Prefixes, SchemaSource, Table, key_id_of_arn,
};
use millrace_types::{Entropy, MIB};

use crate::cut::Limits;
use crate::settings::DeliverySettings;
use crate::status::Trouble;
use crate::window::{Finished, Kind};

/// Shortest interval: an `IntervalInSeconds` of 0 means delivery within about a second.
const INTERVAL_MIN: Duration = Duration::from_millis(500);
/// Shortest interval where `interval_scale` asks for less than real time.
const INTERVAL_SCALED_MIN: Duration = Duration::from_millis(20);
/// Bytes that one step takes from the log when there is no function to set the size.
const CHUNK_BYTES: usize = 4 * MIB;

/// Everything that the work on one stream needs. Made again when the configuration changes.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) stream: Arc<Stream>,
    pub(crate) data: EncoderSettings,
    errors: EncoderSettings,
    pub(crate) prefixes: Prefixes,
    pub(crate) limits: Limits,
    pub(crate) partitioned: bool,
    pub(crate) function: Option<FunctionCall>,
    pub(crate) chunk_bytes: usize,
}

impl Plan {
    /// Makes the plan of `stream`.
    ///
    /// # Errors
    /// A [`Trouble`] that parks the stream: a table or key that is not there (any more).
    pub(crate) fn new(
        stream: Arc<Stream>,
        catalog: &Catalog,
        keys: &KeyRing,
        settings: &DeliverySettings,
    ) -> Result<Self, Trouble> {
        let to = &stream.destination;
        let partitioned = to.dynamic_partitioning.is_some_and(|d| d.enabled);
        let prefixes = Prefixes::new(&to.prefix, &to.error_output_prefix, &to.custom_time_zone, partitioned)
            .map_err(|text| Trouble::new("InvalidPrefix", text))?;
        let levels =
            Levels { gzip: settings.gzip_level, zstd: settings.zstd_level, parquet_zstd: settings.parquet_zstd_level };
        let compression = Compression::from_wire(&to.compression)
            .ok_or_else(|| Trouble::new("InvalidCompression", format!("unknown compression {}", to.compression)))?;
        let encryption = match &to.kms_key_arn {
            None => None,
            Some(arn) => Some(find_key(keys, arn)?),
        };
        let lines = |delimiter| Format::JsonLines { delimiter };
        let data_format = match to.conversion.as_ref().filter(|c| c.enabled) {
            Some(conversion) => Format::Parquet(parquet(conversion, catalog)?),
            None => lines(to.delimiter.as_ref().map(|d| d.clone().into_bytes())),
        };
        let encoder = |format| EncoderSettings { format, compression, levels, encryption: encryption.clone() };
        Ok(Self {
            data: encoder(data_format),
            errors: encoder(lines(None)),
            prefixes,
            limits: Limits {
                source_bytes: u64::from(to.buffering.size_mib) * MIB as u64,
                age: interval(&stream, settings),
            },
            partitioned,
            function: to.function.clone(),
            chunk_bytes: to.function.as_ref().map_or(CHUNK_BYTES, |f| f.buffer_bytes as usize),
            stream,
        })
    }
}

impl Plan {
    /// How objects of a kind are encoded.
    pub(crate) fn encoder(&self, kind: &Kind) -> &EncoderSettings {
        if matches!(kind, Kind::Data(_)) { &self.data } else { &self.errors }
    }

    /// The key of a finished object.
    pub(crate) fn key(&self, finished: &Finished, entropy: &dyn Entropy) -> Result<String, Trouble> {
        let uuid = entropy.uuid();
        let own = &self.stream.destination.file_extension;
        let keys: Vec<(&str, &str)> = match &finished.kind {
            Kind::Data(Some(partition)) => partition.keys.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect(),
            _ => Vec::new(),
        };
        let parts = KeyParts {
            stream: &self.stream.name,
            version: self.stream.version,
            instant_ms: finished.oldest_arrival_ms,
            uuid: &uuid,
            extension: if own.is_empty() { finished.extension } else { own },
            partition_keys: &keys,
        };
        match &finished.kind {
            Kind::Data(_) => self.prefixes.data_key(&parts, entropy),
            Kind::Error(folder) => self.prefixes.error_key(&parts, folder, entropy),
        }
        .map_err(|text| Trouble::new("InvalidPrefix", text))
    }
}

fn interval(stream: &Stream, settings: &DeliverySettings) -> Duration {
    let asked = Duration::from_secs(u64::from(stream.destination.buffering.interval_s)).max(INTERVAL_MIN);
    asked.mul_f64(settings.interval_scale.clamp(0.0, 1_000.0)).max(INTERVAL_SCALED_MIN)
}

fn find_key(keys: &KeyRing, arn: &str) -> Result<millrace_encode::EncryptionKey, Trouble> {
    key_id_of_arn(arn).and_then(|id| keys.get(id)).cloned().ok_or_else(|| {
        Trouble::new(
            "KMS.NotFoundException",
            format!("the key ring has no key for {arn}: put it back, or make one with `millrace keys create`"),
        )
    })
}

fn parquet(conversion: &Conversion, catalog: &Catalog) -> Result<ParquetSettings, Trouble> {
    let out = &conversion.parquet;
    let schema = match &conversion.schema {
        SchemaChoice::InferRelaxed => SchemaSource::Infer(Inference::Relaxed),
        SchemaChoice::InferStrict => SchemaSource::Infer(Inference::Strict),
        SchemaChoice::Table { database, table } => {
            let snapshot = catalog.snapshot();
            let found = snapshot.table(database, table).ok_or_else(|| {
                Trouble::new(
                    "DataFormatConversion.InvalidSchema",
                    format!(
                        "the table {database}.{table} is not registered: `millrace schema put {database}.{table} FILE`"
                    ),
                )
            })?;
            let parsed = Table::parse(database, table, found.definition.as_bytes())
                .map_err(|text| Trouble::new("DataFormatConversion.InvalidSchema", text))?;
            SchemaSource::Table(Arc::new(parsed))
        }
    };
    let deserializer = match &conversion.input {
        InputFormat::OpenX { dots_to_underscores, case_insensitive, mappings } => Deserializer::OpenX {
            dots_to_underscores: *dots_to_underscores,
            case_insensitive: *case_insensitive,
            mappings: mappings.clone(),
        },
        InputFormat::Hive { timestamp_formats } => Deserializer::Hive { timestamp_formats: timestamp_formats.clone() },
    };
    let compression = ParquetCompression::from_wire(&out.compression).ok_or_else(|| {
        Trouble::new("InvalidCompression", format!("unknown Parquet compression {}", out.compression))
    })?;
    Ok(ParquetSettings {
        compression,
        block_bytes: usize::try_from(out.block_bytes).unwrap_or(usize::MAX),
        page_bytes: usize::try_from(out.page_bytes).unwrap_or(usize::MAX),
        dictionary: out.dictionary,
        writer_v2: out.writer_v2,
        schema,
        deserializer,
    })
}
