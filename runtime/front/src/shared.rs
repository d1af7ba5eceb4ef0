//! What all requests share.

use std::sync::Arc;

use millrace_auth::Policy;
use millrace_types::{Clock, Entropy};
use tokio::sync::Semaphore;

use crate::admin::Admin;
use crate::backend::Backend;
use crate::budget::Budget;
use crate::lambda::LinkKey;
use crate::lambda::backend::LambdaBackend;
use crate::metrics::Counters;
use crate::settings::FrontSettings;

/// What all requests share.
pub(crate) struct Shared {
    pub(crate) settings: FrontSettings,
    pub(crate) policy: Policy,
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) admin: Arc<dyn Admin>,
    pub(crate) lambda: Arc<dyn LambdaBackend>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    /// Bytes of bodies as they come.
    pub(crate) bodies: Budget,
    /// The same of deploys and invocations.
    pub(crate) module_bodies: Budget,
    /// Bytes of bodies once decompressed.
    pub(crate) decoded: Budget,
    /// Connections that may still be taken.
    pub(crate) connections: Arc<Semaphore>,
    pub(crate) counters: Counters,
    /// What links to modules are signed with.
    pub(crate) link_key: LinkKey,
    /// Clients come by TLS.
    pub(crate) is_tls: bool,
}

impl Shared {
    pub(crate) fn new(
        settings: FrontSettings,
        policy: Policy,
        backend: Arc<dyn Backend>,
        admin: Arc<dyn Admin>,
        lambda: Arc<dyn LambdaBackend>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self {
            bodies: Budget::new(settings.bodies_bytes_max, settings.budget_wait_max),
            module_bodies: Budget::new(settings.module_bodies_bytes_max, settings.budget_wait_max),
            decoded: Budget::new(settings.decoded_bytes_max, settings.budget_wait_max),
            connections: Arc::new(Semaphore::new(settings.connections_max)),
            settings,
            policy,
            backend,
            admin,
            lambda,
            link_key: LinkKey::new(&*entropy),
            is_tls: false,
            clock,
            entropy,
            counters: Counters::default(),
        }
    }
}
