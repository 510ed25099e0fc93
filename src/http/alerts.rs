//! `POST /v1/alerts`: Alertmanager's webhook. What its body means is `watch::ingest::alerts`'s; here it gets its answer.
//!
//! Alertmanager sends a webhook again after a 5xx and when it has waited too long, and gives one up that was answered 4xx. So 4xx is
//! only for what can never be right, and an answer is given before Alertmanager stops waiting.

use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::error::HttpError;
use super::state::App;
use crate::base::metrics;
use crate::base::swap::Swap;
use crate::watch::ingest::alerts::AlertAnswer;

/// Alertmanager waits for ten seconds; what is sent again after that would find itself stored, but needlessly.
const ANSWER_WITHIN: Duration = Duration::from_secs(9);

/// 200 when everything in it is stored (once or again), 503 when it cannot be stored now, 400 for what can never be right, 413 for
/// what is too large.
pub(super) async fn receive(State(app): State<App>, body: Result<Bytes, BytesRejection>) -> Response {
    let Some(alerts) = app.alerts.as_ref().map(Swap::get) else {
        return unavailable("this process does not watch, so it takes no alerts");
    };
    let body = match body {
        Ok(body) => body,
        Err(rejection) => return unread(&rejection),
    };
    match tokio::time::timeout(ANSWER_WITHIN, alerts.receive(&body)).await {
        Ok(AlertAnswer::Stored { n_new, n_repeated, n_resolved }) => {
            Json(json!({ "new": n_new, "repeated": n_repeated, "resolved": n_resolved })).into_response()
        }
        Ok(AlertAnswer::Unavailable) => unavailable("the alerts cannot be stored now, send them again"),
        Ok(AlertAnswer::Malformed(reason)) => {
            tracing::warn!(reason, "a webhook was refused: it can never be right");
            let hint = "point a receiver of Alertmanager's `webhook_configs` at this address, or send what it would send: \
                        https://prometheus.io/docs/alerting/latest/configuration/#webhook_config";
            (StatusCode::BAD_REQUEST, Json(json!({ "error": reason, "hint": hint }))).into_response()
        }
        Err(_) => {
            // What was begun is taken back by the store, or found there when the alerts come again.
            tracing::warn!("alerts could not be stored in time, Alertmanager will send them again");
            unavailable("the alerts could not be stored in time, send them again")
        }
    }
}

fn unavailable(message: &str) -> Response {
    HttpError::new(StatusCode::SERVICE_UNAVAILABLE, message).into_response()
}

/// Too large, or cut off on the way.
fn unread(rejection: &BytesRejection) -> Response {
    let status = rejection.status();
    if status == StatusCode::PAYLOAD_TOO_LARGE {
        metrics::alerts("too_large", 1);
        tracing::warn!("a webhook was refused: it is too large, see `max_alerts` of Alertmanager");
        let message = "the body is larger than 8 MiB: set `max_alerts` in Alertmanager's `webhook_configs`";
        return HttpError::new(status, message).into_response();
    }
    HttpError::new(status, "the body broke off, send it again").into_response()
}
