//! What a caller is told when a page or an action fails: a short text, as a page for people and as JSON for programs. The log has
//! the rest. The framework's own refusals get the same words and looks on their way out.

use axum::Json;
use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Response};
use serde_json::json;

use super::pages::error_page;
use crate::base::chain::Chain;
use crate::store::StoreError;

/// A failed request.
#[derive(Debug, Clone)]
pub(super) struct HttpError {
    status: StatusCode,
    message: String,
}

impl HttpError {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    fn render(self, path: &str) -> Response {
        if is_for_programs(path) {
            (self.status, Json(json!({ "error": self.message }))).into_response()
        } else {
            (self.status, Html(error_page(self.status, &self.message))).into_response()
        }
    }
}

impl From<StoreError> for HttpError {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::NotFound { .. } => Self::new(StatusCode::NOT_FOUND, error.to_string()),
            StoreError::Refused { .. } => Self::new(StatusCode::CONFLICT, error.to_string()),
            StoreError::Unavailable { .. } => {
                tracing::warn!(error = %Chain(&error), "a request failed: the database is not available");
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "the database is not available, try again")
            }
            StoreError::Broken { .. } | StoreError::LeaseLost { .. } => {
                tracing::error!(error = %Chain(&error), "a request failed");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "something is broken; homeostat's log says what")
            }
        }
    }
}

impl IntoResponse for HttpError {
    /// Without a body: [`in_house`], which every answer passes, knows who asked.
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Addresses that programs ask for; the others are pages.
fn is_for_programs(path: &str) -> bool {
    path.starts_with("/v1/") || path == "/metrics" || path.ends_with("/events")
}

/// Gives every failure, and every refusal of the framework (wrong method, unreadable form, panic, …), its words and its looks.
pub(super) async fn in_house(request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let mut response = next.run(request).await;
    let error = match response.extensions_mut().remove::<HttpError>() {
        Some(error) => error,
        None if is_ours(&path, &response) => return response,
        None => HttpError::new(response.status(), words(&method, &response)),
    };
    let mut answer = error.render(&path);
    let body_headers = [header::CONTENT_TYPE, header::CONTENT_LENGTH, header::CONTENT_ENCODING];
    for (name, value) in response.headers().iter().filter(|(name, _)| !body_headers.contains(name)) {
        answer.headers_mut().append(name, value.clone());
    }
    answer
}

/// What is no failure, is a page or JSON already, or is asked for by probes, which look at the status.
fn is_ours(path: &str, response: &Response) -> bool {
    let kind =
        response.headers().get(header::CONTENT_TYPE).and_then(|it| it.to_str().ok()).unwrap_or_default();
    let is_failure = response.status().is_client_error() || response.status().is_server_error();
    !is_failure
        || kind.starts_with("text/html")
        || kind == "application/json"
        || matches!(path, "/healthz" | "/readyz")
}

fn words(method: &Method, response: &Response) -> String {
    let words = match response.status() {
        StatusCode::BAD_REQUEST => "something in the address or the form cannot be read",
        StatusCode::NOT_FOUND => "there is no such page",
        StatusCode::METHOD_NOT_ALLOWED => {
            let allowed = allowed(response.headers());
            return format!("this address takes {allowed}, not {method}");
        }
        StatusCode::REQUEST_TIMEOUT => "this took too long, try again",
        StatusCode::PAYLOAD_TOO_LARGE => "the body is larger than 8 MiB",
        StatusCode::UNSUPPORTED_MEDIA_TYPE | StatusCode::UNPROCESSABLE_ENTITY => {
            "the body is no form, or a field of it is missing"
        }
        _ => "something is broken; homeostat's log says what",
    };
    words.to_owned()
}

fn allowed(headers: &HeaderMap) -> String {
    let allowed = headers.get(header::ALLOW).and_then(|it| it.to_str().ok()).unwrap_or_default();
    allowed.split(',').filter(|it| *it != "HEAD").collect::<Vec<_>>().join(" and ")
}
