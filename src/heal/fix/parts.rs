//! What the stage works with.

use std::sync::Arc;

use super::settings::Settings;
use crate::agent;
use crate::base::clock::SharedClock;
use crate::base::redact::Redactor;
use crate::model::service::Services;
use crate::repo::Repos;
use crate::sandbox::engine::Engine;
use crate::store::Store;
use crate::watch::fingerprint::Fingerprinter;

/// Everything outside that a fix needs.
#[derive(Debug, Clone)]
pub struct FixParts {
    pub settings: Settings,
    pub agent: agent::settings::Settings,
    pub store: Arc<dyn Store>,
    pub services: Arc<dyn Services>,
    pub repos: Repos,
    pub engine: Engine,
    pub fingerprinter: Fingerprinter,
    pub redactor: Redactor,
    pub clock: SharedClock,
}
