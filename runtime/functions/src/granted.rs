//! What a grant gives a function: its own state, and its own way to the hosts that were named.

use std::sync::Arc;
use std::time::Duration;

use millrace_catalog::{Catalog, Revision, State};
use millrace_outbound::{Allowed, Outbound};
use millrace_transform::{KeyValue, OutboundRequest, OutboundResponse, Writes};

use crate::Error;
use crate::error::chain;

/// The state of one function.
#[derive(Debug)]
pub(crate) struct OwnState {
    state: Arc<State>,
    catalog: Arc<Catalog>,
    function: String,
    function_id: u32,
    owner: String,
}

impl OwnState {
    pub(crate) fn new(state: &Arc<State>, catalog: &Arc<Catalog>, revision: &Revision) -> Self {
        Self {
            state: Arc::clone(state),
            catalog: Arc::clone(catalog),
            function: revision.function.clone(),
            function_id: revision.function_id,
            owner: revision.owner(),
        }
    }
}

impl KeyValue for OwnState {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, String> {
        self.state.get(&self.owner, key).map_err(|error| chain(&error))
    }

    fn keys(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<String>, String> {
        self.state.keys(&self.owner, prefix, after, limit).map_err(|error| chain(&error))
    }

    fn commit(&self, writes: &Writes) -> Result<(), String> {
        let snapshot = || self.catalog.snapshot();
        let is_there = || snapshot().function(&self.function).is_some_and(|function| function.id == self.function_id);
        self.state.write(&self.owner, writes, is_there).map_err(|error| chain(&error))
    }
}

/// The same for a run that is to leave no trace: what it writes is forgotten.
#[derive(Debug)]
pub(crate) struct OnlyRead(pub(crate) OwnState);

impl KeyValue for OnlyRead {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, String> {
        self.0.get(key)
    }

    fn keys(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<String>, String> {
        self.0.keys(prefix, after, limit)
    }

    fn commit(&self, _: &Writes) -> Result<(), String> {
        Ok(())
    }
}

/// No hosts, for such a run.
#[derive(Debug)]
pub(crate) struct NoHosts;

impl millrace_transform::Outbound for NoHosts {
    fn send(&self, _: OutboundRequest, _: Duration) -> Result<OutboundResponse, String> {
        Err("a shadow sends no requests".to_owned())
    }
}

/// The hosts of one function; its connections are nobody else's.
#[derive(Debug)]
pub(crate) struct OwnHosts {
    outbound: Arc<Outbound>,
    /// As they were checked when they were granted.
    allowed: Result<Allowed, String>,
}

impl OwnHosts {
    pub(crate) fn new(outbound: &Arc<Outbound>, function: &str, hosts: &[String]) -> Self {
        let allowed = Allowed::parse(function, hosts).map_err(|error| error.to_string());
        Self { outbound: Arc::clone(outbound), allowed }
    }
}

impl millrace_transform::Outbound for OwnHosts {
    fn send(&self, request: OutboundRequest, timeout: Duration) -> Result<OutboundResponse, String> {
        let allowed = self.allowed.as_ref().map_err(Clone::clone)?;
        self.outbound.send(request, allowed, timeout).map_err(|error| error.to_string())
    }
}

/// Refuses a grant that cannot be.
pub(crate) fn check_hosts(hosts: &[String]) -> Result<(), Error> {
    Allowed::parse("", hosts).map(drop).map_err(|error| Error::invalid("function.grant", error.to_string()))
}
