//! Which messengers there are.

use std::sync::Arc;
use std::time::Duration;

use super::contract::Messenger;
use super::slack::Slack;
use super::webhook::Webhook;
use crate::base::secret::Secret;

/// Settings of one messenger.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Unique; shown in steps and errors.
    pub name: String,
    pub kind: Kind,
    /// For one message.
    pub timeout: Duration,
}

impl Settings {
    /// A messenger with the usual time limit.
    pub fn new(name: impl Into<String>, kind: Kind) -> Self {
        Self { name: name.into(), kind, timeout: Duration::from_secs(10) }
    }
}

/// What kind of messenger it is. Addresses are secrets: who knows one can post there.
#[derive(Debug, Clone)]
pub enum Kind {
    /// A Slack incoming webhook: `https://hooks.slack.com/services/…`
    Slack { url: Secret },
    /// JSON to any address, with a bearer token where one is given.
    Webhook { url: Secret, token: Option<Secret> },
}

/// Builds the messengers.
///
/// # Errors
/// The machine has no TLS to speak of.
pub fn build(settings: Vec<Settings>) -> Result<Vec<Arc<dyn Messenger>>, reqwest::Error> {
    let build = |settings: Settings| -> Result<Arc<dyn Messenger>, reqwest::Error> {
        // A redirect would turn the POST into a GET and look like success.
        let http = reqwest::Client::builder()
            .timeout(settings.timeout)
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(match settings.kind {
            Kind::Slack { url } => Arc::new(Slack { name: settings.name, url, http }),
            Kind::Webhook { url, token } => Arc::new(Webhook { name: settings.name, url, token, http }),
        })
    };
    settings.into_iter().map(build).collect()
}
