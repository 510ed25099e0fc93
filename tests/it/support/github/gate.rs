//! Every request passes here: it gets a number, may be made to fail, and goes to the API or to git.

use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::extract::{Request, State as Extract};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use homeostat::base::clock::{Clock, SystemClock};
use serde_json::json;

use super::answer::{Answer, refuse};
use super::api;
use super::state::State;
use crate::support::git;

const MAX_BODY_BYTES: usize = 16 << 20;

/// How a request goes wrong.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// This status, and nothing is done.
    Before(u16),
    /// Everything is done, then this status is answered.
    After(u16),
    /// Everything is done, and nothing is ever answered.
    Hang,
    /// 403 with no requests left, until then (seconds from now).
    PrimaryLimit { reset_in: u64 },
    /// A secondary limit: the status (403 or 429) with `retry-after`, or with nothing but its words.
    SecondaryLimit { status: u16, retry_after: Option<u64> },
}

/// One request as the server saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    pub(crate) authorization: Option<String>,
    /// What was answered; 0 while it is worked on, [`HANGING`] where it is done and nothing is answered.
    pub(crate) status: u16,
}

/// See [`Seen::status`].
pub(crate) const HANGING: u16 = 1;

pub(super) type Shared = Arc<Mutex<State>>;

pub(super) async fn enter(Extract(shared): Extract<Shared>, request: Request) -> Response {
    let seen = Seen {
        method: request.method().to_string(),
        target: request.uri().to_string(),
        authorization: header_text(request.headers(), "authorization"),
        status: 0,
    };
    let (at, fault) = {
        let mut state = shared.lock().expect("no test panics while it holds the lock");
        state.seen.push(seen);
        state.n_left = state.n_left.saturating_sub(1);
        let number = state.seen.len();
        (number - 1, state.faults.remove(&number))
    };
    let response = match &fault {
        Some(Fault::Before(status)) => failing(*status),
        Some(Fault::PrimaryLimit { reset_in }) => primary_limit(*reset_in),
        Some(Fault::SecondaryLimit { status, retry_after }) => secondary_limit(*status, *retry_after),
        Some(Fault::After(_) | Fault::Hang) | None => work(&shared, request).await,
    };
    let response = match fault {
        Some(Fault::After(status)) => failing(status),
        Some(Fault::Hang) => {
            shared.lock().expect("no test panics while it holds the lock").seen[at].status = HANGING;
            std::future::pending().await
        }
        Some(Fault::Before(_) | Fault::PrimaryLimit { .. } | Fault::SecondaryLimit { .. }) | None => response,
    };
    shared.lock().expect("no test panics while it holds the lock").seen[at].status =
        response.status().as_u16();
    response
}

async fn work(shared: &Shared, request: Request) -> Response {
    let Some(path) = request.uri().path().strip_prefix("/api/v3").map(str::to_owned) else {
        return serve_git(shared, request).await;
    };
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, MAX_BODY_BYTES).await.expect("the request can be read");
    let call = api::Call {
        method: parts.method.to_string(),
        path,
        query: url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes())
            .into_owned()
            .collect(),
        authorization: header_text(&parts.headers, "authorization"),
        has_user_agent: parts.headers.contains_key(header::USER_AGENT),
        api_version: header_text(&parts.headers, "x-github-api-version"),
        body: body.to_vec(),
    };
    let mut state = shared.lock().expect("no test panics while it holds the lock");
    let answer = api::answer_all(&mut state, &call);
    with_limits(answer, state.n_left)
}

/// Git over HTTP, for a token that sees the repository, and to push one that may write.
async fn serve_git(shared: &Shared, request: Request) -> Response {
    let login = git::basic(request.headers());
    let (root, token) = {
        let state = shared.lock().expect("no test panics while it holds the lock");
        let token = login.and_then(|(_, password)| state.tokens.get(&password).cloned());
        (state.root.clone(), token)
    };
    let Some(token) = token else {
        return (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Basic realm=\"GitHub\"")])
            .into_response();
    };
    let path = request.uri().path().trim_start_matches('/');
    let is_seen = token.sees.iter().any(|name| path.starts_with(&format!("{name}.git/")));
    if !is_seen {
        return (StatusCode::NOT_FOUND, "Repository not found.").into_response();
    }
    let is_push = request.uri().to_string().contains("git-receive-pack");
    if is_push && !token.may_write {
        let words = "Permission to the repository denied.";
        return (StatusCode::FORBIDDEN, words).into_response();
    }
    git::backend(&root, request).await
}

fn failing(status: u16) -> Response {
    let status = StatusCode::from_u16(status).expect("a status");
    // GitHub's load balancers answer with a page, not with JSON.
    (status, "<html><body>Unicorn!</body></html>").into_response()
}

fn primary_limit(reset_in: u64) -> Response {
    let words = "API rate limit exceeded for user ID 1.";
    let mut response = refuse(403, words).into_response();
    let now = u64::try_from(SystemClock.now().as_second()).expect("after 1970");
    set(&mut response, "x-ratelimit-limit", "5000");
    set(&mut response, "x-ratelimit-remaining", "0");
    set(&mut response, "x-ratelimit-reset", &(now + reset_in).to_string());
    response
}

fn secondary_limit(status: u16, retry_after: Option<u64>) -> Response {
    let words = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.";
    let mut response = refuse(status, words).into_response();
    if let Some(seconds) = retry_after {
        set(&mut response, "retry-after", &seconds.to_string());
    }
    response
}

fn with_limits(answer: Answer, n_left: u64) -> Response {
    let mut response = if n_left == 0 { primary_limit(60) } else { answer.into_response() };
    if n_left > 0 {
        let reset = SystemClock.now().as_second() + 3_600;
        set(&mut response, "x-ratelimit-limit", "5000");
        set(&mut response, "x-ratelimit-remaining", &n_left.to_string());
        set(&mut response, "x-ratelimit-used", &(5_000 - n_left.min(5_000)).to_string());
        set(&mut response, "x-ratelimit-reset", &reset.to_string());
        set(&mut response, "x-ratelimit-resource", "core");
    }
    response
}

fn set(response: &mut Response, name: &'static str, value: &str) {
    response.headers_mut().insert(name, value.parse().expect("a header value"));
}

fn header_text(headers: &HeaderMap, name: &str) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.to_owned())
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).expect("a status");
        let body = if self.body.is_null() { String::new() } else { json!(self.body).to_string() };
        let mut response = Response::builder()
            .status(status)
            .header(header::CONTENT_TYPE, "application/json; charset=utf-8")
            .body(Body::from(body))
            .expect("a response");
        if let Some(link) = self.link {
            response.headers_mut().insert(header::LINK, link.parse().expect("a header value"));
        }
        response
    }
}
