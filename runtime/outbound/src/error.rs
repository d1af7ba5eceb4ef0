//! Errors in words for the function's author: what was refused or failed, and what helps.

use std::path::PathBuf;

/// Why there is no response. The text is what the function gets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutboundError {
    /// The URL cannot be read in exactly one way.
    #[error("the URL {0}")]
    Url(String),
    /// No grant covers the URL.
    #[error("no grant of this function covers {0}: hosts are granted at deploy, as `[http://]host[:port]`")]
    NotGranted(String),
    /// The method is refused.
    #[error("the method {0:?} is refused: methods are written in capitals, and CONNECT and TRACE are not sent")]
    Method(String),
    /// A header is refused.
    #[error("the header {name:?} {why}")]
    Header {
        /// As the function gave it, cut to a length for a log line.
        name: String,
        /// The rest of the sentence.
        why: String,
    },
    /// The request is longer than may be.
    #[error("the request has {what}, {max} are allowed")]
    RequestTooLong {
        /// What of it, with its size.
        what: String,
        /// The limit, in the same unit.
        max: usize,
    },
    /// The name has no address.
    #[error("the name {host} cannot be looked up: {why}")]
    Lookup {
        /// The host.
        host: String,
        /// The resolver's words.
        why: String,
    },
    /// An address of the host is not public and not granted.
    #[error("{host} is at {kind}, where a request goes only when a grant names the address itself")]
    Address {
        /// The host.
        host: String,
        /// What the address is, and its range.
        kind: &'static str,
    },
    /// No connection was made.
    #[error("no connection to {host}: {why}")]
    Connect {
        /// Host and port.
        host: String,
        /// What happened.
        why: String,
    },
    /// The exchange broke after the connection was made; whether the server acted is not known.
    #[error("the exchange with {host} failed: {why}")]
    Exchange {
        /// Host and port.
        host: String,
        /// What happened.
        why: String,
    },
    /// The response is longer than may be.
    #[error("the response of {host} has more than {max} {unit}")]
    ResponseTooLong {
        /// Host and port.
        host: String,
        /// The limit.
        max: usize,
        /// Of what.
        unit: &'static str,
    },
    /// The time was over before the whole response was there.
    #[error("no whole response within {0} ms")]
    Timeout(u128),
    /// The server is being stopped.
    #[error("the server is stopping")]
    Stopping,
}

/// Why there is no client: said at the server's start.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The file of certificates cannot be used.
    #[error("the file of certificates {}: {why}", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// TLS cannot be set up.
    #[error("TLS for requests of functions: {0}")]
    Tls(#[from] rustls::Error),
}
