//! The lines behind an alert, asked of Loki: one bounded request each, and no second try.
//!
//! API: <https://grafana.com/docs/loki/latest/reference/loki-http-api/#query-logs-within-a-range-of-time>

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::TryStreamExt;
use serde::Deserialize;

use super::expression::Lines;
use crate::base::clock::Timestamp;
use crate::base::secret::Secret;

/// Alertmanager waits for the answer meanwhile.
const TIMEOUT: Duration = Duration::from_secs(3);

/// What Loki gives at most by default.
const MAX_LINES: u32 = 5000;

const MAX_ANSWER_BYTES: usize = 16 << 20;

/// Where rules look back without saying how far.
const DEFAULT_RANGE: Duration = Duration::from_secs(300);

/// Rules are evaluated every minute or so, and may wait before they fire.
const MARGIN: Duration = Duration::from_secs(300);

/// Label that Loki 3 adds to entries; it would cut a stack trace in two streams.
const DETECTED_LEVEL: &str = "detected_level";

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

/// Why Loki gave no lines. An alert is stored without them.
#[derive(Debug, thiserror::Error)]
pub enum LokiError {
    #[error("failed to make a client for Loki")]
    Client(#[source] reqwest::Error),
    #[error("failed to ask Loki")]
    Request(#[source] reqwest::Error),
    #[error("Loki answered {0}")]
    Refused(reqwest::StatusCode),
    #[error("failed to read Loki's answer")]
    Read(#[source] reqwest::Error),
    #[error("Loki's answer is longer than {MAX_ANSWER_BYTES} bytes")]
    TooLong,
    #[error("failed to read Loki's answer as JSON")]
    Json(#[source] serde_json::Error),
}

/// The entries of one log stream, oldest first. An entry may have many lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LogStream {
    pub(super) labels: BTreeMap<String, String>,
    pub(super) entries: Vec<(Timestamp, String)>,
}

/// A client of one Loki.
#[derive(Debug, Clone)]
pub(super) struct Loki {
    settings: LokiSettings,
    client: reqwest::Client,
}

impl Loki {
    pub(super) fn new(settings: LokiSettings) -> Result<Self, LokiError> {
        let client = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .connect_timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(LokiError::Client)?;
        Ok(Self { settings, client })
    }

    /// Which lines an alert is about.
    pub(super) fn lines(&self, generator_url: &str, labels: &BTreeMap<String, String>) -> Option<Lines> {
        match &self.settings.selector {
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
        let request = self
            .get("query_range")
            .query(&[
                ("query", lines.selector.clone()),
                ("start", start.as_nanosecond().to_string()),
                // The end is exclusive.
                ("end", (end.as_nanosecond() + 1).to_string()),
                ("limit", MAX_LINES.to_string()),
                ("direction", "forward".to_owned()),
            ])
            .header("X-Loki-Response-Encoding-Flags", "categorize-labels");
        let response = send(request).await?;
        let mut body = Vec::new();
        let mut chunks = response.bytes_stream();
        while let Some(chunk) = chunks.try_next().await.map_err(LokiError::Read)? {
            if body.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err(LokiError::TooLong);
            }
            body.extend_from_slice(&chunk);
        }
        read(&body)
    }
}

impl Loki {
    fn get(&self, what: &str) -> reqwest::RequestBuilder {
        let base = self.settings.url.as_str().trim_end_matches('/');
        let mut request = self.client.get(format!("{base}/loki/api/v1/{what}"));
        if let Some(tenant) = &self.settings.tenant {
            request = request.header("X-Scope-OrgID", tenant);
        }
        if let Some(token) = &self.settings.token {
            request = request.bearer_auth(token.expose());
        }
        request
    }
}

async fn send(request: reqwest::RequestBuilder) -> Result<reqwest::Response, LokiError> {
    let response = request.send().await.map_err(LokiError::Request)?;
    if response.status().is_success() { Ok(response) } else { Err(LokiError::Refused(response.status())) }
}

/// Whether Loki answers and takes the token and the tenant; for `check`.
///
/// # Errors
/// It does not, or refuses them.
pub async fn check(settings: &LokiSettings) -> Result<(), LokiError> {
    let loki = Loki::new(settings.clone())?;
    send(loki.get("labels")).await.map(drop)
}

#[derive(Deserialize)]
struct ApiAnswer {
    data: ApiData,
}

#[derive(Deserialize)]
struct ApiData {
    result: Vec<ApiStream>,
}

#[derive(Deserialize)]
struct ApiStream {
    #[serde(default)]
    stream: BTreeMap<String, String>,
    #[serde(default)]
    values: Vec<Vec<serde_json::Value>>,
}

/// Streams that differ only in what Loki found out about their entries are one.
fn read(body: &[u8]) -> Result<Vec<LogStream>, LokiError> {
    let answer: ApiAnswer = serde_json::from_slice(body).map_err(LokiError::Json)?;
    let mut streams: BTreeMap<BTreeMap<String, String>, Vec<(Timestamp, String)>> = BTreeMap::new();
    for ApiStream { mut stream, values } in answer.data.result {
        stream.remove(DETECTED_LEVEL);
        let entries = values.into_iter().filter_map(|entry| {
            let nanos: i64 = entry.first()?.as_str()?.parse().ok()?;
            Some((Timestamp::from_nanosecond(nanos.into()).ok()?, entry.get(1)?.as_str()?.to_owned()))
        });
        streams.entry(stream).or_default().extend(entries);
    }
    let streams = streams.into_iter().map(|(labels, mut entries)| {
        entries.sort_by_key(|(at, _)| *at);
        LogStream { labels, entries }
    });
    Ok(streams.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_and_streams_split_by_level_are_one() {
        let body = r#"{"status":"success","data":{"resultType":"streams","encodingFlags":["categorize-labels"],"result":[
            {"stream":{"container":"bot","detected_level":"unknown"},"values":[["1795232769000000002","Traceback:"],["1795232769000000003","E: x",{}]]},
            {"stream":{"container":"bot","detected_level":"error"},"values":[["1795232769000000001","ERROR failed"],["odd"],["1",2]]},
            {"stream":{"container":"web"},"values":[["1795232769000000001","hello"]]}],"stats":{}}}"#;
        let at = |nanos: i128| Timestamp::from_nanosecond(1_795_232_769_000_000_000 + nanos).unwrap();
        let stream = |container: &str, entries: &[(i128, &str)]| LogStream {
            labels: BTreeMap::from([("container".to_owned(), container.to_owned())]),
            entries: entries.iter().map(|(nanos, text)| (at(*nanos), (*text).to_owned())).collect(),
        };
        let bot = stream("bot", &[(1, "ERROR failed"), (2, "Traceback:"), (3, "E: x")]);
        assert_eq!(read(body.as_bytes()).unwrap(), [bot, stream("web", &[(1, "hello")])]);
        assert!(matches!(read(b"<html>"), Err(LokiError::Json(_))));
    }
}
