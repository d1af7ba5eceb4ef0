//! What a call is made with: who calls, where a batch comes from, and what a function is set up with.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use millrace_types::{Entropy, ShardId};

use crate::{KeyValue, Limits, LogSink, NoLog, Outbound};

/// What a function is made of besides its module. All of it belongs to a revision.
#[derive(Clone)]
pub struct Setup {
    /// What the guest reads through interface `settings`.
    pub settings: BTreeMap<String, String>,
    /// What it may use.
    pub limits: Limits,
    /// Where its log lines go, but for calls with a [`CallContext::log`] of their own.
    pub log: Arc<dyn LogSink>,
    /// Where batches come from that are run without a source of their own.
    pub source: Arc<BatchSource>,
    /// Its state, when `key-value` is granted.
    pub key_value: Option<Arc<dyn KeyValue>>,
    /// Its way to the hosts that are granted.
    pub http: Option<Arc<dyn Outbound>>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            settings: BTreeMap::new(),
            limits: Limits::default(),
            log: Arc::new(NoLog),
            source: Arc::default(),
            key_value: None,
            http: None,
        }
    }
}

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Settings may hold secrets.
        f.debug_struct("Setup").field("limits", &self.limits).field("source", &self.source).finish_non_exhaustive()
    }
}

/// Where a batch comes from, and as what it is processed: what a handler reads in Firehose's event,
/// and every function in interface `invocation`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchSource {
    /// ARN of the delivery stream.
    pub stream_arn: String,
    /// Region of the delivery stream.
    pub region: String,
    /// The shard of the records: with their sequence numbers it makes their record ids.
    pub shard: ShardId,
    /// The function's name.
    pub function_name: String,
    /// The published version, or `$LATEST`.
    pub function_version: String,
}

impl Default for BatchSource {
    fn default() -> Self {
        Self {
            stream_arn: String::new(),
            region: String::new(),
            shard: ShardId::from_u64(0),
            function_name: String::new(),
            function_version: "$LATEST".to_owned(),
        }
    }
}

/// One invocation by an event: what interface `invocation` tells of it.
#[derive(Clone, Default)]
pub struct CallContext {
    /// Names the call in logs and answers.
    pub request_id: String,
    /// The function's name.
    pub function_name: String,
    /// The published version, or `$LATEST`.
    pub function_version: String,
    /// `X-Amz-Client-Context`, decoded.
    pub client_context: Option<String>,
    /// Where the log lines of this call go; to the function's own when none.
    pub log: Option<Arc<dyn LogSink>>,
}

impl fmt::Debug for CallContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallContext")
            .field("request_id", &self.request_id)
            .field("function_name", &self.function_name)
            .field("function_version", &self.function_version)
            .finish_non_exhaustive()
    }
}

/// Who calls; cheap to copy, for it is set with every batch.
#[derive(Debug, Clone)]
pub(crate) enum Caller {
    Batch(Arc<BatchSource>),
    Event(Arc<CallContext>),
}

/// A version 4 UUID.
pub(crate) fn new_request_id(entropy: &dyn Entropy) -> String {
    let mut bytes = [0; 16];
    entropy.fill(&mut bytes);
    uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
}
