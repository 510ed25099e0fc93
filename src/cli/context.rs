//! What the commands that talk to the store share: settings, store, clock.

use std::sync::Arc;

use super::exit::Failure;
use super::problems;
use crate::base::clock::{SharedClock, SystemClock};
use crate::base::env;
use crate::base::redact::Redactor;
use crate::config::Settings;
use crate::store::{self, Store};

/// An open store and the clock.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: SharedClock,
    /// For what is stored as it was made: patches.
    pub(super) redactor: Redactor,
}

impl Context {
    /// Opens the store that the config names.
    pub(super) async fn open(settings: &Settings) -> Result<Self, Failure> {
        let opened = store::open(&settings.store).await;
        let store = opened.map_err(|error| problems::told(&problems::of_store(settings, &error)))?;
        Ok(Self { store, clock: SystemClock::shared(), redactor: settings.redactor.clone() })
    }
}

/// Who is at the keyboard, for the story of an issue and the audit chain.
pub(super) fn actor() -> String {
    let name = env::var("SUDO_USER").or_else(|| env::var("USER"));
    name.unwrap_or_else(|| "command line".to_owned())
}
