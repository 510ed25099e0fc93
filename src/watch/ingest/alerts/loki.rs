//! The lines behind an alert, asked of Loki: one bounded request each, and no second try.

use std::collections::BTreeMap;
use std::time::Duration;

use super::expression::Lines;
use crate::base::clock::Timestamp;
use crate::base::secret::Secret;
use crate::watch::source::loki::{Auth, Client, LogStream, LokiError, Range, Server};

/// Alertmanager waits for the answer meanwhile.
const TIMEOUT: Duration = Duration::from_secs(3);

/// What Loki gives at most by default.
const MAX_LINES: u32 = 5000;

/// Where rules look back without saying how far.
const DEFAULT_RANGE: Duration = Duration::from_secs(300);

/// Rules are evaluated every minute or so, and may wait before they fire.
const MARGIN: Duration = Duration::from_secs(300);

/// A Loki to ask.
#[derive(Debug, Clone)]
pub struct LokiSettings {
    /// For example `http://loki:3100`.
    pub url: url::Url,
    /// Sent as `X-Scope-OrgID`.
    pub tenant: Option<String>,
    /// Sent as a bearer token.
    pub token: Option<Secret>,
    /// Selector of the lines of an alert, for example `{container="$container"}`; `None`: that of the alert's own rule.
    pub selector: Option<String>,
}

/// A client of one Loki.
#[derive(Debug, Clone)]
pub(super) struct Loki {
    client: Client,
    selector: Option<String>,
}

impl Loki {
    pub(super) fn new(settings: LokiSettings) -> Result<Self, LokiError> {
        let LokiSettings { url, tenant, token, selector } = settings;
        let client = Client::new(Server { url, tenant, auth: token.map(Auth::Bearer) }, TIMEOUT)?;
        Ok(Self { client, selector })
    }

    /// Which lines an alert is about.
    pub(super) fn lines(&self, generator_url: &str, labels: &BTreeMap<String, String>) -> Option<Lines> {
        match &self.selector {
            Some(template) => Lines::of_template(template, labels),
            None => Lines::behind(generator_url),
        }
    }

    /// The lines that were logged before an alert fired at `fired_at`, and until now.
    pub(super) async fn fetch(
        &self,
        lines: &Lines,
        fired_at: Timestamp,
        now: Timestamp,
    ) -> Result<Vec<LogStream>, LokiError> {
        let before =
            |from: Timestamp, span: Duration| from.saturating_sub(span).unwrap_or(Timestamp::UNIX_EPOCH);
        let start = before(fired_at, lines.range.unwrap_or(DEFAULT_RANGE).saturating_add(MARGIN));
        let end = now.min(fired_at.saturating_add(MARGIN).unwrap_or(now)).max(fired_at);
        let nanos = |at: Timestamp| i64::try_from(at.as_nanosecond()).unwrap_or(i64::MAX - 1);
        let range = Range {
            query: &lines.selector,
            start: nanos(start),
            // The end is exclusive.
            end: nanos(end) + 1,
            limit: MAX_LINES,
        };
        self.client.query_range(range).await
    }
}

/// Whether Loki answers and takes the token and the tenant; for `check`.
///
/// # Errors
/// It does not, or refuses them.
pub async fn check(settings: &LokiSettings) -> Result<(), LokiError> {
    Loki::new(settings.clone())?.client.check().await
}
