//! Limits of the port, each with its unit. The defaults stand here; the server may change them.

use std::time::Duration;

use millrace_types::{KIB, MIB};

/// Bytes of a `PutRecordBatch` or `PutRecord` body: 4 MiB of records in base64 (5.34 MiB) and the JSON around them.
pub const PUT_BODY_BYTES_MAX: usize = 6 * MIB;
/// Bytes of the body of any other AWS operation: fifty tags and the longest processors fit many times.
pub const CONTROL_BODY_BYTES_MAX: usize = MIB;
/// Bytes of a plain HTTP ingest body as it comes over the wire.
pub const INGEST_BODY_BYTES_MAX: usize = 16 * MIB;
/// Bytes of a plain HTTP ingest body once it is decompressed.
pub const INGEST_DECODED_BYTES_MAX: usize = 32 * MIB;
/// Bytes of a function's module.
pub const MODULE_BYTES_MAX: usize = 64 * MIB;
/// Bytes of a table's definition.
pub const SCHEMA_BYTES_MAX: usize = MIB;
/// Decompressed bytes for each compressed one, once [`RATIO_FREE_BYTES`] are out.
pub const DECOMPRESSION_RATIO_MAX: usize = 100;
/// Decompressed bytes for which the ratio is not looked at: short bodies compress well.
pub const RATIO_FREE_BYTES: usize = MIB;
/// Bytes of one record (`reference/firehose.md` section 3: 1,000 KiB).
pub const RECORD_BYTES_MAX: usize = 1_024_000;
/// Streams that get labels of their own in `/metrics`; the rest are summed up as `(other)`.
pub const METRICS_STREAMS_MAX: usize = 1_000;
/// Bytes of a refused body that are read and thrown away, so that the client sees the answer: twice the largest body
/// that any route takes.
pub const DISCARD_BYTES_MAX: usize = 128 * MIB;
/// How long such a body is read.
pub const DISCARD_TIME_MAX: Duration = Duration::from_secs(5);

/// Settings of the port.
#[derive(Debug, Clone)]
pub struct FrontSettings {
    /// Connections at once; more wait in the kernel's queue.
    pub connections_max: usize,
    /// HTTP/2 requests at once on one connection.
    pub h2_streams_max: u32,
    /// HTTP/2 receive window of a stream and of a connection, bytes.
    pub h2_window_bytes: u32,
    /// Bytes of a request's head.
    pub header_bytes_max: usize,
    /// Time for a request's head, and for a TLS handshake.
    pub header_time_max: Duration,
    /// Time without a request after which a connection is closed.
    pub idle_time_max: Duration,
    /// Time for a request's whole body.
    pub body_time_max: Duration,
    /// Time in which some of it has to come: one that has stopped gives its memory back.
    pub body_pause_max: Duration,
    /// Body bytes of all requests together that are held at once, but for deploys and invocations.
    pub bodies_bytes_max: usize,
    /// Body bytes of deploys and invocations: what waits for a compilation takes nothing from the others.
    pub module_bodies_bytes_max: usize,
    /// Decompressed body bytes of all requests together that are held at once.
    pub decoded_bytes_max: usize,
    /// How long a request waits for its share of these bytes before it is refused.
    pub budget_wait_max: Duration,
    /// How long requests in flight may go on at a stop.
    pub drain_time_max: Duration,
}

impl Default for FrontSettings {
    fn default() -> Self {
        Self {
            connections_max: 10_000,
            h2_streams_max: 128,
            #[expect(clippy::cast_possible_truncation, reason = "4 MiB fit")]
            h2_window_bytes: (4 * MIB) as u32,
            header_bytes_max: 64 * KIB,
            header_time_max: Duration::from_secs(20),
            idle_time_max: Duration::from_secs(120),
            body_time_max: Duration::from_secs(60),
            body_pause_max: Duration::from_secs(5),
            bodies_bytes_max: 256 * MIB,
            module_bodies_bytes_max: 128 * MIB,
            decoded_bytes_max: 128 * MIB,
            budget_wait_max: Duration::from_secs(5),
            drain_time_max: Duration::from_secs(10),
        }
    }
}
