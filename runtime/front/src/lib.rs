//! The front: one port that speaks the Firehose API, plain HTTP ingest, admin, health and metrics
//! over HTTP/1.1 and HTTP/2, with and without TLS.
//!
//! A request's way: `serve` (connection) → `service` (route, panic's end) → `access` (who) → `body`
//! (limits, hash while reading) → one operation file → `error` (the one map to codes and statuses).

mod access;
mod admin;
mod backend;
mod body;
mod budget;
mod compatibility;
mod error;
mod firehose;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
mod header;
mod ingest;
mod lambda;
mod metrics;
mod percent;
mod protocol;
mod route;
mod serve;
mod service;
mod settings;
mod shared;
mod status;
#[cfg(test)]
mod tests;
mod tls;

pub use admin::{Admin, AdminError, AdminErrorKind, DeployOptions, Metric, MetricKind, ShadowOptions};
pub use compatibility::{
    MemberCompatibility, MemberOutcome, OperationCompatibility, compatibility, compatibility_page,
};
pub use lambda::VARIABLES_BYTES_MAX;
pub use lambda::backend::{
    Account, Alias, AliasChange, Code as LambdaCode, CodeChange, Configuration, ConfigurationChange, EventConfig,
    EventConfigInfo, Failure, FailureCode, FunctionInfo, Invocation, Invoked, LambdaBackend, LastUpdate, NewFunction,
    Publish, Qualifier, State, Target, Version, World,
};
pub use lambda::backend_error::{LambdaError, ThrottleReason};
pub use serve::{Front, FrontParts};
pub use settings::{
    CONTROL_BODY_BYTES_MAX, DECOMPRESSION_RATIO_MAX, DISCARD_BYTES_MAX, DISCARD_TIME_MAX, FrontSettings,
    INGEST_BODY_BYTES_MAX, INGEST_DECODED_BYTES_MAX, METRICS_STREAMS_MAX, MODULE_BYTES_MAX, PUT_BODY_BYTES_MAX,
    RATIO_FREE_BYTES, RECORD_BYTES_MAX, SCHEMA_BYTES_MAX,
};
pub use tls::{DevTls, TlsError, tls_dev, tls_from_files};
