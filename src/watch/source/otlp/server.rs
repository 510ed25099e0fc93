//! The listener. It answers as the protocol says: 200 when everything is durable (with what was rejected named), 400 for what can never be
//! right, 413, 415, 401, and 503 with `Retry-After` for what should come again.

use std::io::Read;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, FromRequest, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;
use tracing::{debug, warn};

use super::text::{Logs, items};
use super::wire;
use crate::base::chain::Chain;
use crate::base::clock::SharedClock;
use crate::base::metrics;
use crate::base::secret::Secret;
use crate::base::shutdown::Shutdown;
use crate::watch::source::lane::Outlet;
use crate::watch::source::spool::{self, BatchId, Spool, WhileAway};

/// Bodies, as they come and unpacked.
const MAX_BODY: usize = 16 << 20;
const MAX_UNPACKED: u64 = 64 << 20;

/// Requests that are worked on at the same time: each may hold an unpacked body.
const MAX_REQUESTS: usize = 8;

/// How long the disk may take before the sender is told to come again.
const ANSWER_WITHIN: Duration = Duration::from_secs(8);

/// How long a sender may take with its request.
const REQUEST_WITHIN: Duration = Duration::from_secs(30);

/// Where to listen, and who may send.
#[derive(Debug, Clone)]
pub struct Settings {
    pub listen: SocketAddr,
    /// What senders must show as a bearer token.
    pub token: Option<Secret>,
    /// Folder of the spool.
    pub folder: PathBuf,
    /// Nothing more is taken while so much is not stored yet.
    pub max_bytes: u64,
}

#[derive(Debug, Clone)]
struct App {
    spool: Spool,
    token: Option<Secret>,
    requests: Arc<Semaphore>,
}

/// Takes logs until a shutdown is asked for, or until nobody takes the lines any more.
pub async fn run(
    settings: Settings,
    listener: TcpListener,
    outlet: Outlet,
    clock: SharedClock,
    shutdown: Shutdown,
) {
    let Settings { listen: _, token, folder, max_bytes } = settings;
    let settings = spool::Settings { source: "otlp", folder, max_bytes, while_away: WhileAway::Kept };
    let (spool, keep) = spool::start(settings, outlet, clock, shutdown);
    let app = App { spool, token, requests: Arc::new(Semaphore::new(MAX_REQUESTS)) };
    let router = Router::new()
        .route("/v1/logs", post(receive))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, REQUEST_WITHIN))
        .layer(CatchPanicLayer::new())
        .with_state(app);
    tokio::select! {
        // Ends with the shutdown, once what is being stored is answered.
        () = keep => {}
        ended = async { axum::serve(listener, router).await } => {
            if let Err(error) = ended {
                warn!(error = %Chain(&error), "the listener for logs ended");
            }
        }
    }
}

/// The form of a request, in which it is answered too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Protobuf,
    Json,
}

async fn receive(State(app): State<App>, request: Request) -> Response {
    let headers = request.headers();
    let kind = headers.get(header::CONTENT_TYPE).and_then(|it| it.to_str().ok()).unwrap_or_default();
    let form = match kind.split(';').next().unwrap_or_default().trim() {
        "application/x-protobuf" => Form::Protobuf,
        "application/json" => Form::Json,
        _ => {
            let message = "send application/x-protobuf or application/json";
            return refused(Form::Json, StatusCode::UNSUPPORTED_MEDIA_TYPE, message);
        }
    };
    if let Some(token) = &app.token {
        let shown = headers.get(header::AUTHORIZATION).and_then(|it| it.to_str().ok());
        if !shown.and_then(|it| it.strip_prefix("Bearer ")).is_some_and(|shown| token.matches(shown)) {
            return refused(form, StatusCode::UNAUTHORIZED, "show the token as a bearer token");
        }
    }
    // Before the body is read: bodies are what costs memory.
    let Ok(_permit) = app.requests.try_acquire() else {
        return again(form, "too many requests at the same time");
    };
    let encoding = headers.get(header::CONTENT_ENCODING).and_then(|it| it.to_str().ok());
    let encoding = encoding.unwrap_or("identity").to_owned();
    let body = match Bytes::from_request(request, &()).await {
        Ok(body) => body,
        Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            metrics::source_drop("otlp", "too large", 1);
            return refused(form, rejection.status(), "the body is larger than 16 MiB: send smaller batches");
        }
        Err(rejection) => return refused(form, rejection.status(), "the body broke off"),
    };
    let batch = batch_id(form, &encoding, &body);
    let logs = match read(form, &encoding, body).await {
        Ok(logs) => logs,
        Err((status, message)) => {
            metrics::odd_message("otlp", "request");
            debug!(%status, message, "a request with logs was refused");
            return refused(form, status, &message);
        }
    };
    let n_rejected = logs.n_rejected;
    match tokio::time::timeout(ANSWER_WITHIN, app.spool.append_batch(batch, items(logs))).await {
        Ok(Ok(())) => taken(form, n_rejected),
        Ok(Err(error)) => again(form, &error.to_string()),
        Err(_) => again(form, "the logs could not be stored in time"),
    }
}

/// A request that is sent again is the same to the byte.
fn batch_id(form: Form, encoding: &str, body: &[u8]) -> BatchId {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[u8::from(form == Form::Json)]).update(encoding.as_bytes()).update(&[0]).update(body);
    let mut id = [0; 16];
    hasher.finalize_xof().fill(&mut id);
    BatchId(id)
}

async fn read(form: Form, encoding: &str, body: Bytes) -> Result<Logs, (StatusCode, String)> {
    let is_packed = match encoding {
        "identity" | "" => false,
        "gzip" => true,
        _ => return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, "send gzip, or plain".to_owned())),
    };
    let work = move || {
        let bad = |error: String| (StatusCode::BAD_REQUEST, error);
        let body = if is_packed { unpack(&body)? } else { body.to_vec() };
        match form {
            Form::Protobuf => wire::read(&body).map_err(|error| bad(error.to_string())),
            Form::Json => super::json::read(&body).map_err(|error| bad(error.to_string())),
        }
    };
    let joined = tokio::task::spawn_blocking(work).await;
    joined
        .unwrap_or_else(|_| Err((StatusCode::INTERNAL_SERVER_ERROR, "the body could not be read".to_owned())))
}

fn unpack(body: &[u8]) -> Result<Vec<u8>, (StatusCode, String)> {
    let mut unpacked = Vec::new();
    let mut reader = flate2::read::MultiGzDecoder::new(body).take(MAX_UNPACKED + 1);
    let n = reader.read_to_end(&mut unpacked);
    n.map_err(|error| (StatusCode::BAD_REQUEST, format!("the body is no gzip: {error}")))?;
    if unpacked.len() as u64 > MAX_UNPACKED {
        return Err((StatusCode::PAYLOAD_TOO_LARGE, "the body is larger than 64 MiB unpacked".to_owned()));
    }
    Ok(unpacked)
}

/// `ExportLogsServiceResponse`; empty when everything was taken.
fn taken(form: Form, n_rejected: u64) -> Response {
    let message = "some log records were no objects";
    match (form, n_rejected) {
        (Form::Protobuf, 0) => answer(form, StatusCode::OK, Vec::new()),
        (Form::Json, 0) => answer(form, StatusCode::OK, b"{}".to_vec()),
        (Form::Protobuf, n) => {
            let partial = wire::written(&[(1, n)], (2, message));
            answer(form, StatusCode::OK, wire::within(1, &partial))
        }
        (Form::Json, n) => {
            let partial = json!({"rejectedLogRecords": n.to_string(), "errorMessage": message});
            answer(form, StatusCode::OK, json!({"partialSuccess": partial}).to_string().into_bytes())
        }
    }
}

/// `google.rpc.Status`.
fn refused(form: Form, status: StatusCode, message: &str) -> Response {
    let code: u64 = if status.is_server_error() { 14 } else { 3 };
    let body = match form {
        Form::Protobuf => wire::written(&[(1, code)], (2, message)),
        Form::Json => json!({"code": code, "message": message}).to_string().into_bytes(),
    };
    answer(form, status, body)
}

fn again(form: Form, message: &str) -> Response {
    metrics::source_drop("otlp", "sent again", 1);
    let mut response = refused(form, StatusCode::SERVICE_UNAVAILABLE, message);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
    response
}

fn answer(form: Form, status: StatusCode, body: Vec<u8>) -> Response {
    let kind = match form {
        Form::Protobuf => "application/x-protobuf",
        Form::Json => "application/json",
    };
    (status, [(header::CONTENT_TYPE, kind)], body).into_response()
}
