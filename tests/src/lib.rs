//! The harness of the whole-system tests: it starts the real server as a process, speaks to it as a
//! client would, and reads what arrived in the bucket by decoders that are not the product's own.

pub mod bucket;
pub mod conditions;
pub mod decode;
pub mod firehose;
pub mod guests;
pub mod http;
pub mod plain;
pub mod ports;
pub mod process;
pub mod proxy;
pub mod s3;
pub mod server;
pub mod signing;
pub mod status;
pub mod store;
pub mod wait;

pub use bucket::Bucket;
pub use firehose::{Destination, Firehose};
pub use http::Answer;
pub use plain::Plain;
pub use proxy::Proxy;
pub use s3::S3;
pub use server::{Server, ServerOptions};
pub use signing::Keys;
pub use status::{StreamStatus, status_of, wait_drained};
pub use wait::until;
