//! One Loki, asked one thing at a time; an error says what to do about it.
//!
//! Loki's errors are plain text (some with the content type of JSON), and whether one passes is not told by its status alone: a bad
//! expression is a 500 in 2.8, an answer over its own message size never comes at all.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use futures_util::TryStreamExt;
use reqwest::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use serde::Deserialize;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::answer::{self, LogStream};
use crate::base::clock::Timestamp;
use crate::base::secret::Secret;

/// Loki's own messages are bounded by 4 MiB by default; some raise that.
const MAX_ANSWER_BYTES: usize = 64 << 20;

const SECOND: i64 = 1_000_000_000;

/// Of an error's text.
const MAX_ERROR_BYTES: usize = 1000;

/// How Loki, or what stands before it, knows who asks.
#[derive(Debug, Clone)]
pub enum Auth {
    Bearer(Secret),
    Basic { user: String, password: Secret },
}

/// Where a Loki is.
#[derive(Debug, Clone)]
pub struct Server {
    /// For example `http://loki:3100`, with or without a slash at its end.
    pub url: url::Url,
    /// Sent as `X-Scope-OrgID`.
    pub tenant: Option<String>,
    pub auth: Option<Auth>,
}

/// Why Loki gave no lines.
#[derive(Debug, thiserror::Error)]
pub enum LokiError {
    #[error("failed to make a client for Loki")]
    Client(#[source] reqwest::Error),
    #[error("failed to ask Loki")]
    Request(#[source] reqwest::Error),
    #[error("Loki answered {status}{}", said(.text))]
    Refused { status: reqwest::StatusCode, text: String },
    #[error("failed to read Loki's answer")]
    Read(#[source] reqwest::Error),
    #[error("failed to make a websocket of the connection")]
    Upgrade(#[source] reqwest::Error),
    #[error("what answered speaks no websockets")]
    NoWebsocket,
    #[error("Loki's answer is longer than {MAX_ANSWER_BYTES} bytes")]
    TooLong,
    #[error("failed to read Loki's answer as JSON")]
    Json(#[source] serde_json::Error),
}

fn said(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(": {text}") }
}

/// What an error asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// To ask again later: it is away, starting or has too much to do.
    Wait,
    /// To ask for fewer lines: the answer is too big, or took too long.
    FewerLines,
    /// To ask for no more lines than this.
    AtMost(u32),
    /// To ask for a shorter time.
    ShorterRange,
    /// A person: the query, the tenant or the credentials are wrong.
    Mend,
}

impl LokiError {
    /// What to do about it.
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::Client(_) => Remedy::Mend,
            Self::Request(error) if error.is_connect() || error.is_builder() => Remedy::Wait,
            // An answer that is too big for Loki itself never comes: silence, or the connection ends without a word.
            Self::Request(_) | Self::TooLong => Remedy::FewerLines,
            Self::Read(error) if error.is_timeout() => Remedy::FewerLines,
            Self::Read(_) | Self::Json(_) | Self::Upgrade(_) | Self::NoWebsocket => Remedy::Wait,
            Self::Refused { status, text } => remedy_of(status.as_u16(), text),
        }
    }
}

fn remedy_of(status: u16, text: &str) -> Remedy {
    let says = |part: &str| text.contains(part);
    if says("max entries limit per query exceeded") {
        // `… (5001 > 5000)`
        let limit = text.rsplit_once("> ").and_then(|(_, limit)| limit.trim_end_matches(')').parse().ok());
        return limit.map_or(Remedy::FewerLines, Remedy::AtMost);
    }
    if says("query time range exceeds the limit") || says("query length") {
        return Remedy::ShorterRange;
    }
    if says("larger than max") || says("ResourceExhausted") || status == 413 {
        return Remedy::FewerLines;
    }
    match status {
        408 | 425 | 429 | 499 | 502 | 503 => Remedy::Wait,
        504 => Remedy::ShorterRange,
        500.. if says("parse error") || says("multiple org IDs") => Remedy::Mend,
        500.. => Remedy::Wait,
        _ => Remedy::Mend,
    }
}

/// One question for log lines: from `start` on and before `end`, in nanoseconds since 1970.
#[derive(Debug, Clone, Copy)]
pub struct Range<'q> {
    /// A log query of LogQL.
    pub query: &'q str,
    pub start: i64,
    pub end: i64,
    pub limit: u32,
}

/// A client of one Loki. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    server: Server,
    http: reqwest::Client,
    /// Loki's clock when the last question for lines came to it, in nanoseconds since 1970, and up to a second later than that; the least
    /// number if it did not say.
    asked_at: Arc<AtomicI64>,
}

impl Client {
    /// A client whose questions may take so long.
    ///
    /// # Errors
    /// The machine's TLS cannot be used.
    pub fn new(server: Server, timeout: Duration) -> Result<Self, LokiError> {
        let connect_timeout = timeout.min(Duration::from_secs(10));
        Self::of(server, reqwest::Client::builder().timeout(timeout).connect_timeout(connect_timeout))
    }

    /// A client for [`Client::tail`]: its answers have no end, and a websocket begins as HTTP/1.1.
    ///
    /// # Errors
    /// The machine's TLS cannot be used.
    pub(super) fn for_tail(server: Server) -> Result<Self, LokiError> {
        Self::of(server, reqwest::Client::builder().http1_only())
    }

    fn of(server: Server, builder: reqwest::ClientBuilder) -> Result<Self, LokiError> {
        let http = builder.redirect(reqwest::redirect::Policy::none()).build().map_err(LokiError::Client)?;
        Ok(Self { server, http, asked_at: Arc::new(AtomicI64::new(i64::MIN)) })
    }

    /// A websocket over which Loki sends what comes of a query after `since`.
    ///
    /// # Errors
    /// Loki is away or refuses, or what stands before it speaks no websockets.
    pub(super) async fn tail(&self, query: &str, since: Timestamp) -> Result<reqwest::Upgraded, LokiError> {
        let key = generate_key();
        let request = self
            .get("tail")
            .query(&[("query", query), ("start", &since.as_nanosecond().to_string()), ("limit", "1")])
            .header(UPGRADE, "websocket")
            .header(CONNECTION, "Upgrade")
            .header(SEC_WEBSOCKET_VERSION, "13")
            .header(SEC_WEBSOCKET_KEY, &key);
        let response = request.send().await.map_err(LokiError::Request)?;
        if response.status() != reqwest::StatusCode::SWITCHING_PROTOCOLS {
            return Err(accepted(response).await.map_or_else(|error| error, |_| LokiError::NoWebsocket));
        }
        let accept = response.headers().get(SEC_WEBSOCKET_ACCEPT);
        if accept.is_none_or(|it| it.as_bytes() != derive_accept_key(key.as_bytes()).as_bytes()) {
            return Err(LokiError::NoWebsocket);
        }
        response.upgrade().await.map_err(LokiError::Upgrade)
    }

    /// What Loki's own clock showed at most when it was last asked for lines, in nanoseconds since 1970; `None` if it did not say.
    pub fn asked_at(&self) -> Option<i64> {
        Some(self.asked_at.load(Ordering::Relaxed)).filter(|nanos| *nanos != i64::MIN)
    }

    /// The oldest `limit` entries of a range, by stream.
    ///
    /// # Errors
    /// Loki is away or refuses; see [`LokiError::remedy`].
    pub async fn query_range(&self, range: Range<'_>) -> Result<Vec<LogStream>, LokiError> {
        let Range { query, start, end, limit } = range;
        let request = self
            .get("query_range")
            .query(&[
                ("query", query),
                ("start", &start.to_string()),
                ("end", &end.to_string()),
                ("limit", &limit.to_string()),
                ("direction", "forward"),
            ])
            // Without it Loki 3 cuts a stream in as many as its entries have levels.
            .header("X-Loki-Response-Encoding-Flags", "categorize-labels");
        let asked = Instant::now();
        let response = send(request).await?;
        let took = i64::try_from(asked.elapsed().as_nanos()).unwrap_or(i64::MAX);
        let asked_at =
            date_of(&response).map_or(i64::MIN, |date| date.saturating_add(SECOND).saturating_sub(took));
        self.asked_at.store(asked_at, Ordering::Relaxed);
        answer::read(&body(response).await?)
    }

    /// The labels of the streams that a selector meets in a range.
    ///
    /// # Errors
    /// Like [`Client::query_range`].
    pub async fn series(
        &self,
        selector: &str,
        start: i64,
        end: i64,
    ) -> Result<Vec<BTreeMap<String, String>>, LokiError> {
        #[derive(Deserialize)]
        struct Answer {
            #[serde(default)]
            data: Vec<BTreeMap<String, String>>,
        }
        let request = self.get("series").query(&[
            ("match[]", selector),
            ("start", &start.to_string()),
            ("end", &end.to_string()),
        ]);
        let body = body(send(request).await?).await?;
        serde_json::from_slice::<Answer>(&body).map(|answer| answer.data).map_err(LokiError::Json)
    }

    /// Whether Loki answers and takes the credentials and the tenant.
    ///
    /// # Errors
    /// It does not, or refuses them.
    pub async fn check(&self) -> Result<(), LokiError> {
        send(self.get("labels")).await.map(drop)
    }

    fn get(&self, what: &str) -> reqwest::RequestBuilder {
        let base = self.server.url.as_str().trim_end_matches('/');
        let mut request = self.http.get(format!("{base}/loki/api/v1/{what}"));
        if let Some(tenant) = &self.server.tenant {
            request = request.header("X-Scope-OrgID", tenant);
        }
        match &self.server.auth {
            Some(Auth::Bearer(token)) => request.bearer_auth(token.expose()),
            Some(Auth::Basic { user, password }) => request.basic_auth(user, Some(password.expose())),
            None => request,
        }
    }
}

async fn send(request: reqwest::RequestBuilder) -> Result<reqwest::Response, LokiError> {
    accepted(request.send().await.map_err(LokiError::Request)?).await
}

/// The answer, unless it is a refusal.
async fn accepted(response: reqwest::Response) -> Result<reqwest::Response, LokiError> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    // What a proxy says in many words helps nobody.
    let text = response.text().await.unwrap_or_default();
    let is_short = text.len() <= MAX_ERROR_BYTES && !text.trim_start().starts_with('<');
    let text = if is_short { text.trim().replace('\n', " ") } else { String::new() };
    Err(LokiError::Refused { status, text })
}

/// When the answer was made, in whole seconds but as nanoseconds since 1970.
fn date_of(response: &reqwest::Response) -> Option<i64> {
    let date = response.headers().get(reqwest::header::DATE)?.to_str().ok()?;
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(date).ok()?;
    i64::try_from(date.as_nanosecond()).ok()
}

async fn body(response: reqwest::Response) -> Result<Vec<u8>, LokiError> {
    let mut body = Vec::new();
    let mut chunks = response.bytes_stream();
    while let Some(chunk) = chunks.try_next().await.map_err(LokiError::Read)? {
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            return Err(LokiError::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_to_do() {
        let cases = [
            (429, "too many outstanding requests", Remedy::Wait),
            (503, "Service Unavailable", Remedy::Wait),
            (500, "context canceled", Remedy::Wait),
            (504, "context deadline exceeded", Remedy::ShorterRange),
            (401, "no org id", Remedy::Mend),
            (404, "404 page not found", Remedy::Mend),
            (500, "multiple org IDs present", Remedy::Mend),
            (500, "rpc error: code = Unknown desc = parse error : stage '|~ \"(\"' : error", Remedy::Mend),
            (400, "parse error at line 1, col 17: syntax error: unexpected $end", Remedy::Mend),
            (
                400,
                "max entries limit per query exceeded, limit > max_entries_limit (5001 > 5000)",
                Remedy::AtMost(5000),
            ),
            (
                400,
                "the query time range exceeds the limit (query length: 800h0m0s, limit: 30d1h)",
                Remedy::ShorterRange,
            ),
            (
                500,
                "rpc error: code = ResourceExhausted desc = grpc: received message larger than max (5 vs. 4)",
                Remedy::FewerLines,
            ),
        ];
        for (status, text, expected) in cases {
            assert_eq!(remedy_of(status, text), expected, "{status} {text}");
        }
    }
}
