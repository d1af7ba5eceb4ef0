//! Which window an output of a partitioned stream goes to: by the evaluated prefix of its keys.

use std::collections::HashMap;
use std::sync::Arc;

use millrace_transform::Output;

use crate::plan::Plan;
use crate::window::{Kind, Partition};

/// Partitions with open windows at one time, in one shard (`reference/firehose.md` section 3), whatever the
/// revisions of the function that write to them.
pub(crate) const PARTITIONS_MAX: usize = 500;
/// Key combinations remembered; above it the memory begins anew.
const REMEMBERED_MAX: usize = 65_536;
/// Folder of records beyond the limit of partitions.
pub(crate) const PARTITIONS_EXCEEDED: &str = "activePartitionExceeded";

/// Where the keys of an output are.
pub(crate) enum Route<'a> {
    /// There are none: the stream has no function.
    Whole,
    /// In the function's output.
    Keys(&'a Output),
}

/// Why an output has no partition.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub(crate) folder: &'static str,
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

impl Refusal {
    /// One more partition would be too many.
    pub(crate) fn too_many_partitions() -> Self {
        Self {
            folder: PARTITIONS_EXCEEDED,
            code: "DynamicPartitioning.ActivePartitionsLimitExceeded",
            message: format!("more than {PARTITIONS_MAX} partitions are active at once"),
        }
    }
}

/// Remembers which keys mean which partition.
pub(crate) struct Router {
    plan: Arc<Plan>,
    known: HashMap<Vec<u8>, Kind>,
    /// The names that the remembered values belong to, in their order.
    names: Vec<String>,
    scratch: Vec<u8>,
}

impl Router {
    pub(crate) fn new(plan: &Arc<Plan>) -> Self {
        Self { plan: Arc::clone(plan), known: HashMap::new(), names: Vec::new(), scratch: Vec::new() }
    }

    /// The window of output `index`.
    pub(crate) fn route(&mut self, route: &Route<'_>, index: usize) -> Result<&Kind, Refusal> {
        let Route::Keys(output) = route else {
            return Err(missing("the stream has no function that gives partition keys"));
        };
        if self.names != output.partition_names {
            self.names.clone_from(&output.partition_names);
            self.known.clear();
        }
        self.scratch.clear();
        for nth in 0..output.partition_names.len() {
            let value = output.partition(index, nth).as_bytes();
            self.scratch.extend_from_slice(&(value.len() as u64).to_le_bytes());
            self.scratch.extend_from_slice(value);
        }
        if !self.known.contains_key(&self.scratch) {
            let kind = self.evaluate(output, index)?;
            if self.known.len() >= REMEMBERED_MAX {
                self.known.clear();
            }
            self.known.insert(self.scratch.clone(), kind);
        }
        Ok(&self.known[&self.scratch])
    }

    fn evaluate(&self, output: &Output, index: usize) -> Result<Kind, Refusal> {
        let mut keys = Vec::with_capacity(output.partition_names.len());
        for (nth, name) in output.partition_names.iter().enumerate() {
            let value = output.partition(index, nth);
            // Columns are of the whole batch: a name that only a neighbour gave is empty here. What the
            // prefix asks for and is not there is refused by the prefix.
            if !value.is_empty() {
                keys.push((name.as_str(), value));
            }
        }
        let prefix = self.plan.prefixes.partition(&keys).map_err(|text| missing(&text))?;
        let keys = keys.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Ok(Kind::Data(Some(Arc::new(Partition { prefix, keys }))))
    }
}

fn missing(message: &str) -> Refusal {
    Refusal {
        folder: crate::work::PROCESSING_FAILED,
        code: "DynamicPartitioning.MetadataExtractionFailed",
        message: message.to_owned(),
    }
}
