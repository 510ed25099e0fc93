//! What every handler can reach.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::Semaphore;

use super::settings::Settings;
use crate::base::clock::SharedClock;
use crate::base::shutdown::Shutdown;
use crate::base::swap::Swap;
use crate::store::Store;
use crate::watch::ingest::alerts::Alerts;
use crate::watch::ingest::pipeline::Pipeline;

/// Open event streams at a time; each asks the store twice a second.
const MAX_STREAMS: usize = 64;

/// What the daemon hands over.
#[derive(Clone)]
pub struct Parts {
    pub settings: Settings,
    pub store: Arc<dyn Store>,
    pub clock: SharedClock,
    /// Renders `/metrics`; `None` where no recorder is installed.
    pub metrics: Option<PrometheusHandle>,
    /// Takes Alertmanager's webhook; `None` where this process does not watch.
    pub alerts: Option<Swap<Alerts>>,
    /// Knows the rules, and the lines that come; `None` where this process does not watch.
    pub pipeline: Option<Swap<Pipeline>>,
    /// Ends the event streams, which would otherwise hold a graceful stop up.
    pub shutdown: Shutdown,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// The parts, shared by all handlers.
#[derive(Debug, Clone)]
pub struct App(Arc<Inner>);

/// See [`App`].
#[derive(Debug)]
pub(super) struct Inner {
    pub(super) parts: Parts,
    pub(super) streams: Arc<Semaphore>,
}

impl App {
    /// Shares the parts.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(Inner { parts, streams: Arc::new(Semaphore::new(MAX_STREAMS)) }))
    }
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0.parts
    }
}

impl App {
    /// Permits for event streams.
    pub(super) fn streams(&self) -> Arc<Semaphore> {
        Arc::clone(&self.0.streams)
    }
}
