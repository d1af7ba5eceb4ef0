//! A plan: a stream's configuration, made ready to run: encoder settings, prefixes, limits, bucket.

use std::sync::Arc;
use std::time::Duration;

use millrace_catalog::{Catalog, Conversion, FunctionCall, InputFormat, SchemaChoice, Stream};
use millrace_encode::{
    Compression, Deserializer, EncoderSettings, Format, Inference, KeyParts, KeyRing, Levels, ParquetCompression,
    ParquetSettings, PrefixSettings, Prefixes, SchemaSource, Table, key_id_of_arn,
};
use millrace_transform::BatchSource;
use millrace_types::{Entropy, MIB, ShardId};

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
    /// What an event for the function says of where its records come from.
    pub(crate) source: Arc<BatchSource>,
    pub(crate) chunk_bytes: usize,
}

impl Plan {
    /// Makes the plan of `stream`, with `table_version` of its table where that is given, else with the
    /// version that the stream names.
    ///
    /// # Errors
    /// A [`Trouble`] that parks the stream: a table or key that is not there (any more).
    pub(crate) fn new(
        stream: Arc<Stream>,
        shard: ShardId,
        catalog: &Catalog,
        keys: &KeyRing,
        settings: &DeliverySettings,
        table_version: Option<u32>,
    ) -> Result<Self, Trouble> {
        let to = &stream.destination;
        let partitioned = to.dynamic_partitioning.is_some_and(|d| d.enabled);
        let prefixes = Prefixes::new(&PrefixSettings {
            stream: &stream.name,
            version: stream.version,
            prefix: &to.prefix,
            error_prefix: &to.error_output_prefix,
            time_zone: &to.custom_time_zone,
            file_extension: &to.file_extension,
            encrypted: to.kms_key_arn.is_some(),
            dynamic_partitioning: partitioned,
        })
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
            Some(conversion) => Format::Parquet(parquet(conversion, catalog, table_version)?),
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
            source: Arc::new(BatchSource {
                stream_arn: stream.arn.clone(),
                region: catalog.place().region.clone(),
                shard,
                ..BatchSource::default()
            }),
            chunk_bytes: to.function.as_ref().map_or(CHUNK_BYTES, |f| f.buffer_bytes as usize),
            stream,
        })
    }

    /// True when the stream takes the newest version of its table and that is another one now.
    pub(crate) fn is_outdated(&self, catalog: &Catalog) -> bool {
        let conversion = self.stream.destination.conversion.as_ref().filter(|c| c.enabled);
        let Some(SchemaChoice::Table { database, table, version: None }) = conversion.map(|c| &c.schema) else {
            return false;
        };
        catalog.snapshot().table(database, table, None).map(|newest| newest.version) != self.data.format.table_version()
    }
}

impl Plan {
    /// How objects of a kind are encoded.
    pub(crate) fn encoder(&self, kind: &Kind) -> &EncoderSettings {
        if matches!(kind, Kind::Data(_)) { &self.data } else { &self.errors }
    }

    /// The key of a finished object.
    pub(crate) fn key(&self, finished: &Finished, entropy: &dyn Entropy) -> String {
        let uuid = entropy.uuid();
        let keys: Vec<(&str, &str)> = match &finished.kind {
            Kind::Data(Some(partition)) => partition.keys.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect(),
            _ => Vec::new(),
        };
        let parts = KeyParts {
            instant_ms: finished.oldest_arrival_ms,
            uuid: &uuid,
            extension: finished.extension,
            partition_keys: &keys,
        };
        match &finished.kind {
            Kind::Data(_) => self.prefixes.data_key(&parts, entropy),
            Kind::Error(folder) => self.prefixes.error_key(&parts, folder, entropy),
        }
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

fn parquet(conversion: &Conversion, catalog: &Catalog, table_version: Option<u32>) -> Result<ParquetSettings, Trouble> {
    let out = &conversion.parquet;
    let schema = match &conversion.schema {
        SchemaChoice::InferRelaxed => SchemaSource::Infer(Inference::Relaxed),
        SchemaChoice::InferStrict => SchemaSource::Infer(Inference::Strict),
        SchemaChoice::Table { database, table, version } => {
            SchemaSource::Table(Arc::new(find_table(catalog, database, table, table_version.or(*version))?))
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
        block_bytes: out.block_bytes.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX)),
        page_bytes: out.page_bytes.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX)),
        dictionary: out.dictionary,
        writer_v2: out.writer_v2,
        schema,
        deserializer,
    })
}

fn find_table(catalog: &Catalog, database: &str, table: &str, version: Option<u32>) -> Result<Table, Trouble> {
    let trouble = |text: String| Trouble::new("DataFormatConversion.InvalidSchema", text);
    let snapshot = catalog.snapshot();
    let found = snapshot.table(database, table, version).ok_or_else(|| {
        let of = version.map_or_else(String::new, |version| format!("version {version} of "));
        trouble(format!(
            "{of}the table {database}.{table} is not registered: `millrace schema put {database}.{table} FILE`"
        ))
    })?;
    let parsed = Table::parse(database, table, found.definition.as_bytes()).map_err(trouble)?;
    Ok(Table { version: found.version, ..parsed })
}
