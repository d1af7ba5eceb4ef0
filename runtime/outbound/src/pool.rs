//! How many requests run at once, and connections that wait to be reused by their own function.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use millrace_types::Clock;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::connect::Connection;
use crate::error::OutboundError;
use crate::grant::Allowed;
use crate::target::{Host, Scheme, Target};
use crate::{IDLE_MAX, IDLE_MS_MAX, IDLE_PER_HOST_MAX, REQUESTS_MAX, REQUESTS_PER_HOST_MAX};

/// Who speaks to whom. The owner is part of it: what one function left on a connection (a login of the
/// connection, half a message) must not reach another's.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    owner: String,
    scheme: Scheme,
    host: Host,
    port: u16,
}

impl Key {
    pub(crate) fn new(target: &Target, allowed: &Allowed) -> Self {
        Self { owner: allowed.owner.clone(), scheme: target.scheme, host: target.host.clone(), port: target.port }
    }
}

struct Peer {
    running: Arc<Semaphore>,
    /// With the monotonic time from which each waits; the newest last.
    idle: Vec<(Connection, Duration)>,
}

pub(crate) struct Pool {
    clock: Arc<dyn Clock>,
    running: Arc<Semaphore>,
    peers: Mutex<HashMap<Key, Peer>>,
}

/// A running request's places.
pub(crate) struct Places {
    _of_peer: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

impl Pool {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, running: Arc::new(Semaphore::new(REQUESTS_MAX)), peers: Mutex::default() }
    }

    /// Waits for a place among the requests of `key` and then among all.
    pub(crate) async fn enter(&self, key: &Key) -> Result<Places, OutboundError> {
        let of_peer = {
            let mut peers = self.peers.lock();
            self.sweep(&mut peers);
            peers.entry(key.clone()).or_insert_with(Peer::new).running.clone()
        };
        let of_peer = of_peer.acquire_owned().await.map_err(|_| OutboundError::Stopping)?;
        let of_all = self.running.clone().acquire_owned().await.map_err(|_| OutboundError::Stopping)?;
        Ok(Places { _of_peer: of_peer, _of_all: of_all })
    }

    /// The connection of `key` that waits for the shortest time.
    pub(crate) fn take(&self, key: &Key) -> Option<Connection> {
        let mut peers = self.peers.lock();
        self.sweep(&mut peers);
        peers.get_mut(key)?.idle.pop().map(|(connection, _)| connection)
    }

    /// Keeps a connection whose response has been read to its end; closes it when enough are kept.
    pub(crate) fn give(&self, key: &Key, connection: Connection) {
        if connection.sender.is_closed() {
            return;
        }
        let mut peers = self.peers.lock();
        self.sweep(&mut peers);
        let kept: usize = peers.values().map(|peer| peer.idle.len()).sum();
        let peer = peers.entry(key.clone()).or_insert_with(Peer::new);
        if kept < IDLE_MAX && peer.idle.len() < IDLE_PER_HOST_MAX {
            peer.idle.push((connection, self.clock.monotonic()));
        }
    }

    /// Closes what waited too long or was closed by the server, and forgets peers that nobody uses.
    fn sweep(&self, peers: &mut HashMap<Key, Peer>) {
        let now = self.clock.monotonic();
        let fresh = |since: Duration| now.saturating_sub(since) < Duration::from_millis(IDLE_MS_MAX);
        peers.retain(|_, peer| {
            peer.idle.retain(|(connection, since)| fresh(*since) && !connection.sender.is_closed());
            // Who runs or waits holds the semaphore as well.
            !peer.idle.is_empty() || Arc::strong_count(&peer.running) > 1
        });
    }

    /// Peers that are known, and connections that wait.
    #[cfg(test)]
    pub(crate) fn known(&self) -> (usize, usize) {
        let mut peers = self.peers.lock();
        self.sweep(&mut peers);
        (peers.len(), peers.values().map(|peer| peer.idle.len()).sum())
    }
}

impl Peer {
    fn new() -> Self {
        Self { running: Arc::new(Semaphore::new(REQUESTS_PER_HOST_MAX)), idle: Vec::new() }
    }
}
