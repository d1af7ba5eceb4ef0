//! A lane's start: state from the journal, open intents on their way again, reading from the watermark.

use std::sync::Arc;

use millrace_log::Commit;
use millrace_tasks::Tasks;
use millrace_types::{Counts, Seq};
use tokio::sync::mpsc;

use super::{Life, SHIPS_MAX};
use crate::claims::Claims;
use crate::context::LaneContext;
use crate::intent::Body;
use crate::outbox::Place;
use crate::plan::Plan;
use crate::ship::ship_again;
use crate::status::Trouble;
use crate::tracker::Tracker;
use crate::work::Work;

/// Rebuilds the lane from what is durable.
pub(super) async fn start(lane: &Arc<LaneContext>, owner: u64) -> Result<Life, Trouble> {
    let plan = Arc::new(plan(lane, None).await?);
    let shared = &lane.shared;
    if shared.journal.shard(lane.shard).is_some() {
        // The queue is first in, first out: what an earlier life has sent is in the state behind this.
        let barrier =
            Commit { shard: lane.shard, intents: Vec::new(), watermark: Seq::ZERO, counts: Counts::default() };
        shared.journal.commit(barrier).await.map_err(|e| Trouble::new("journal.commit", e.to_string()))?;
    }
    let state = shared.journal.shard(lane.shard);
    let (watermark, done) = state.map_or_else(Default::default, |s| (s.watermark, s.done));
    let mut tracker = Tracker::new(watermark);
    let mut claimed = done;
    let (landing, arrivals) = mpsc::channel(SHIPS_MAX);
    let ships = Tasks::new();
    let mut under_way = 0;
    let mut named = Vec::new();
    for intent in shared.journal.open_intents(lane.shard) {
        if crate::planted("outbox-ignored") {
            continue;
        }
        let body = Body::from_bytes(&intent.body)
            .map_err(|e| Trouble::new("journal.intent", format!("intent {} does not read: {e}", intent.id)))?;
        tracker.expect(&intent.members);
        claimed.merge(&intent.members);
        named.push(body.place.clone());
        under_way += 1;
        let (lane, landing) = (Arc::clone(lane), landing.clone());
        ships.spawn("ship-again", async move {
            let shipped = ship_again(lane, intent.id, intent.members, body).await;
            drop(landing.send(shipped).await);
        });
    }
    release_doubts(lane, &named).await;
    Ok(Life {
        reader: shared.journal.reader(lane.shard, watermark),
        work: Some(Work::new(
            Arc::clone(&plan),
            Arc::clone(&shared.clock),
            Arc::clone(&shared.entropy),
            tracker,
            Claims::new(claimed),
        )),
        coming: None,
        lane: Arc::clone(lane),
        plan,
        ships,
        under_way,
        arrivals,
        landing,
        // A number that no earlier life has used: half of 64 random bits are far apart.
        next_intent: shared.entropy.next_u64() >> 1,
        untold: Counts::default(),
        quiet_since: None,
        revisions: Vec::new(),
        owner,
        committed: false,
    })
}

/// Ships of an earlier life were stopped while their intent was on its way: now it is known which came.
async fn release_doubts(lane: &Arc<LaneContext>, named: &[Place]) {
    let doubts = std::mem::take(&mut *lane.doubts.lock());
    let unnamed: Vec<Place> = doubts.into_iter().filter(|place| !named.contains(place)).collect();
    let shared = Arc::clone(&lane.shared);
    millrace_tasks::blocking(move || unnamed.iter().for_each(|place| shared.outbox.release(place))).await;
}

/// The stream's plan as the catalog is now; with `table_version` of its table where that is given.
pub(crate) async fn plan(lane: &Arc<LaneContext>, table_version: Option<u32>) -> Result<Plan, Trouble> {
    let lane = Arc::clone(lane);
    millrace_tasks::blocking(move || {
        let shared = &lane.shared;
        let stream = shared
            .catalog
            .stream(&lane.name)
            .ok_or_else(|| Trouble::new("ResourceNotFoundException", format!("the stream {} is gone", lane.name)))?;
        let keys = millrace_encode::KeyRing::load(&shared.keys_path)
            .map_err(|e| Trouble::new("keys.read", super::chain(&e)))?;
        Plan::new(stream, lane.shard, &shared.catalog, &keys, &shared.settings, table_version)
    })
    .await
}
