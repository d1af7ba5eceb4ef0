//! What is needed to read and work on a chunk: the stream's function, in memory and with a place among its
//! calls, and then a step of the memory budget.
//!
//! Always in this order, for what a lane reads and for an object that is made again: who has a step waits for
//! no function. So what waits for one function (its place, its load) keeps no step from all others, and no two
//! wait for each other.

use std::sync::Arc;

use millrace_types::ShardId;
use tokio::sync::OwnedSemaphorePermit;

use crate::budget::Reading;
use crate::context::Shared;
use crate::library::Called;
use crate::status::Trouble;

/// Which function a chunk is to be run by.
#[derive(Debug, Clone)]
pub(crate) enum Wanted {
    /// None.
    Nothing,
    /// What this name and qualifier stand for.
    Named(String, Option<String>),
    /// The revision of this name that made an object.
    Revision(String, u32),
}

/// All that one chunk needs. The place goes with the last call, the step with this.
#[derive(Debug)]
pub(crate) struct Ready {
    /// The function, with its place.
    pub(crate) called: Option<Called>,
    /// How much may be read.
    pub(crate) reading: Reading,
    /// Its share of the threads and the memory.
    pub(crate) _step: Option<OwnedSemaphorePermit>,
}

impl Ready {
    /// Waits until all is there. Nothing is kept when the wait is given up.
    pub(crate) async fn get(shared: Arc<Shared>, shard: ShardId, wanted: Wanted) -> Result<Self, Trouble> {
        let functions = Arc::clone(&shared.functions);
        let called = match &wanted {
            Wanted::Nothing => None,
            Wanted::Named(name, qualifier) => {
                let called = functions.get(name, qualifier.as_deref());
                Some(shared.budget.giving_way(shard, called).await?)
            }
            Wanted::Revision(name, number) => Some(functions.again(name, *number).await?),
        };
        let (step, reading) = shared.budget.step(shard, called.is_some()).await;
        Ok(Self { called, reading, _step: step })
    }
}
