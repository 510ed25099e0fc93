//! Sends a request, follows its stream, and tries again where that is safe.
//!
//! A retry here costs nothing: the request was refused before an answer began. Once an answer has begun, or the connection
//! broke with the request already sent, nobody knows what it will cost; then the caller has to settle it before another try.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use serde::Deserialize;
use tokio::time::{Instant, timeout, timeout_at};
use tracing::debug;

use super::assemble::{Assembler, AssistantTurn, BrokenStream, WireError};
use super::request::ModelRequest;
use super::retry::{self, MAX_WAIT, Verdict};
use super::sse::SseParser;
use crate::agent::settings::{Settings, Timeouts};
use crate::base::chain::Chain;
use crate::base::clock::SharedClock;
use crate::base::secret::Secret;
use crate::base::shutdown::Shutdown;

const API_VERSION: &str = "2023-06-01";

/// Body of an error read at most.
const MAX_ERROR_BYTES: usize = 64 << 10;

/// The client of the Messages API.
#[derive(Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    url: url::Url,
    api_key: Secret,
    timeouts: Timeouts,
    clock: SharedClock,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CallError {
    /// The request can never be right. It cost nothing.
    Refused { message: String },
    /// The prompt is longer than the model takes. It cost nothing.
    PromptTooLong,
    /// The API is away or overloaded, also after retries. It cost nothing.
    Away { message: String, retry_after: Option<Duration> },
    /// The answer was cut off, or nobody knows whether it was begun: it may have to be paid.
    CutOff { message: String },
    /// The stop was requested. What was sent may have to be paid.
    Stopped { is_sent: bool },
}

/// How long a call may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allowed {
    /// For the answer, once a try is taken.
    pub(crate) answer: Duration,
    /// For waiting until one is.
    pub(crate) wait: Duration,
}

/// What came of a call, and how long it waited before its last try.
#[derive(Debug)]
pub(crate) struct Called {
    pub(crate) answer: Result<AssistantTurn, CallError>,
    pub(crate) waited: Duration,
}

/// Where a call stands that is under way.
#[derive(Debug)]
struct Course {
    began: Instant,
    /// Whether a request is on its way that may have to be paid; one that was refused has not.
    is_sent: AtomicBool,
    /// Milliseconds from the beginning to the try under way.
    waited_ms: AtomicU64,
}

impl Course {
    fn new() -> Self {
        Self { began: Instant::now(), is_sent: AtomicBool::new(false), waited_ms: AtomicU64::new(0) }
    }

    fn note(&self, is_sent: bool) {
        self.is_sent.store(is_sent, Ordering::Relaxed);
        let waited_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.waited_ms.store(waited_ms, Ordering::Relaxed);
    }

    /// All of the time but that of a try that is on its way, or was the last.
    fn waited(&self) -> Duration {
        if self.is_sent.load(Ordering::Relaxed) {
            Duration::from_millis(self.waited_ms.load(Ordering::Relaxed))
        } else {
            self.began.elapsed()
        }
    }
}

/// One try that failed.
enum TryError {
    Final(CallError),
    Again { message: String, after: Option<Duration> },
}

impl Client {
    /// A client for the API of `settings`.
    pub(crate) fn new(settings: &Settings, clock: SharedClock) -> Result<Self, reqwest::Error> {
        let mut builder = reqwest::Client::builder()
            .connect_timeout(settings.timeouts.connect)
            // The key goes where the config says and nowhere else.
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("homeostat/", env!("CARGO_PKG_VERSION")));
        if is_loopback(&settings.base_url) {
            builder = builder.no_proxy();
        }
        let mut url = settings.base_url.clone();
        url.set_path(&format!("{}/v1/messages", url.path().trim_end_matches('/')));
        Ok(Self {
            http: builder.build()?,
            url,
            api_key: settings.api_key.clone(),
            timeouts: settings.timeouts,
            clock,
        })
    }

    /// Makes one call, with retries where they are free.
    pub(crate) async fn call(&self, request: &ModelRequest, allowed: Allowed, stop: &Shutdown) -> Called {
        let course = Course::new();
        if stop.is_requested() {
            return Called { answer: Err(CallError::Stopped { is_sent: false }), waited: Duration::ZERO };
        }
        let answer = tokio::select! {
            biased;
            () = stop.requested() => {
                Err(CallError::Stopped { is_sent: course.is_sent.load(Ordering::Relaxed) })
            }
            answer = self.call_with_retries(request, allowed, &course) => answer,
        };
        Called { answer, waited: course.waited() }
    }

    async fn call_with_retries(
        &self,
        request: &ModelRequest,
        allowed: Allowed,
        course: &Course,
    ) -> Result<AssistantTurn, CallError> {
        let patience = course.began + allowed.wait;
        let body = request.body();
        let mut n_failures = 0;
        loop {
            course.note(true);
            let deadline = Instant::now() + allowed.answer.min(self.timeouts.call);
            let (message, after) = match self.attempt(body.clone(), deadline).await {
                Ok(turn) => return Ok(turn),
                Err(TryError::Final(error)) => return Err(error),
                Err(TryError::Again { message, after }) => (message, after),
            };
            course.note(false);
            n_failures += 1;
            let wait = retry::wait(n_failures, after);
            let is_too_long = after.is_some_and(|after| after > MAX_WAIT) || Instant::now() + wait > patience;
            if n_failures > self.timeouts.retries || is_too_long {
                return Err(CallError::Away { message, retry_after: after });
            }
            debug!(
                n_failures,
                wait_ms = wait.as_millis(),
                reason = message,
                "model call will be tried again"
            );
            tokio::time::sleep(wait).await;
        }
    }

    async fn attempt(&self, body: String, deadline: Instant) -> Result<AssistantTurn, TryError> {
        let mut key = HeaderValue::from_str(self.api_key.expose()).map_err(|_| {
            TryError::Final(CallError::Refused {
                message: "the key has characters that no header can hold".into(),
            })
        })?;
        key.set_sensitive(true);
        let sending = self
            .http
            .post(self.url.clone())
            .header("x-api-key", key)
            .header("anthropic-version", API_VERSION)
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "text/event-stream")
            .body(body)
            .send();
        let idle = Instant::now() + self.timeouts.idle;
        let response = match timeout_at(idle.min(deadline), sending).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) if error.is_connect() || error.is_builder() => {
                return Err(TryError::Again {
                    message: Chain(&error.without_url()).to_string(),
                    after: None,
                });
            }
            Ok(Err(error)) => return Err(cut_off(Chain(&error.without_url()).to_string())),
            Err(_) => return Err(cut_off("no answer began in time".into())),
        };
        if response.status().as_u16() == 200 {
            return self.follow(response, deadline).await;
        }
        Err(self.refused(response).await)
    }

    /// Reads the stream of an answer that has begun.
    async fn follow(
        &self,
        mut response: reqwest::Response,
        deadline: Instant,
    ) -> Result<AssistantTurn, TryError> {
        let mut parser = SseParser::default();
        let mut assembler = Assembler::default();
        while !assembler.is_stopped() {
            let idle = Instant::now() + self.timeouts.idle;
            let chunk = match timeout_at(idle.min(deadline), response.chunk()).await {
                Ok(Ok(Some(chunk))) => chunk,
                Ok(Ok(None)) => break,
                Ok(Err(error)) => return Err(cut_off(Chain(&error.without_url()).to_string())),
                Err(_) => return Err(cut_off("the stream stood still for too long".into())),
            };
            let events =
                parser.push(&chunk).map_err(|_| cut_off("the stream sent an endless event".into()))?;
            for event in events {
                assembler.push(&event.data).map_err(|error| cut_off(describe(error)))?;
            }
        }
        assembler.finish().map_err(|error| cut_off(describe(error)))
    }

    async fn refused(&self, mut response: reqwest::Response) -> TryError {
        #[derive(Default, Deserialize)]
        struct Body {
            error: Option<WireError>,
            request_id: Option<String>,
        }
        let status = response.status().as_u16();
        let verdict = retry::verdict(status, response.headers(), self.clock.now());
        let mut bytes = Vec::new();
        // An error whose body does not come is told by its status alone.
        while let Ok(Ok(Some(chunk))) = timeout(self.timeouts.idle, response.chunk()).await {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > MAX_ERROR_BYTES {
                break;
            }
        }
        let body: Body = serde_json::from_slice(&bytes).unwrap_or_default();
        let error = body.error.unwrap_or(WireError { kind: String::new(), message: String::new() });
        let is_too_long = error.message.contains("prompt is too long");
        let mut message = format!("status {status}");
        for part in [error.kind, error.message, body.request_id.unwrap_or_default()] {
            if !part.is_empty() {
                message = format!("{message}, {part}");
            }
        }
        match verdict {
            Verdict::Final if is_too_long => TryError::Final(CallError::PromptTooLong),
            Verdict::Final => TryError::Final(CallError::Refused { message }),
            Verdict::Retry => TryError::Again { message, after: None },
            Verdict::RetryAfter(after) => TryError::Again { message, after: Some(after) },
        }
    }
}

fn cut_off(message: String) -> TryError {
    TryError::Final(CallError::CutOff { message })
}

fn describe(error: BrokenStream) -> String {
    match error {
        BrokenStream::Error { kind, message } => format!("{kind}: {message}"),
        BrokenStream::Malformed(what) => what,
    }
}

/// A system proxy cannot reach what listens on this machine.
fn is_loopback(url: &url::Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::client::request::{Message, Role, raw, text_block};
    use crate::agent::scripted::script::{Instead, Script, Turn};
    use crate::agent::scripted::server::ScriptedModel;
    use crate::base::clock::SystemClock;

    /// A stop while a call waits for its next try must not let it count as if it were on its way.
    #[tokio::test]
    async fn a_call_that_waits_for_its_next_try_is_not_sent() {
        let busy = Instead::Status {
            status: 529,
            kind: "overloaded_error".to_owned(),
            headers: vec![("retry-after".to_owned(), "60".to_owned())],
        };
        let turn = Turn::text("x").after(busy);
        let model = ScriptedModel::start(vec![Script::new(vec![turn])]).await.unwrap();
        let settings = Settings::new(model.base_url(), Secret::new("key"));
        let client = Client::new(&settings, SystemClock::shared()).unwrap();
        let request = ModelRequest {
            model: settings.model.clone(),
            max_tokens: 100,
            effort: None,
            user_id: "u".into(),
            system: "s".into(),
            tools: raw("[]".into()),
            messages: vec![Message { role: Role::User, blocks: vec![text_block("begin")] }],
        };
        let (stop, course) = (Shutdown::new(), Course::new());
        let allowed = Allowed { answer: Duration::from_secs(60), wait: Duration::from_secs(600) };
        let refused = async {
            while model.books().n_faults == 0 || course.is_sent.load(Ordering::Relaxed) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            answer = client.call_with_retries(&request, allowed, &course) => panic!("{answer:?}"),
            waits = timeout(Duration::from_secs(30), refused) => waits.expect("it waits for its next try"),
        }
        stop.request();
        // All of it was waiting: none of it is the attempt's.
        assert!(course.waited() >= Duration::from_millis(course.waited_ms.load(Ordering::Relaxed)));
        let called = client.call(&request, allowed, &stop).await;
        assert_eq!(called.answer.unwrap_err(), CallError::Stopped { is_sent: false });
    }
}
