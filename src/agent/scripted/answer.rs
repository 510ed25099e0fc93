//! HTTP answers: a stream, whole or cut off, or an error in the API's shape.

use std::convert::Infallible;

use axum::body::{Body, Bytes};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use serde_json::json;

/// How an answer is cut off.
pub(super) enum Cut {
    BreakOff,
    /// This event is the last.
    Event(String),
    Hang,
}

/// Streams these events, then what cuts them off.
pub(super) fn respond(mut events: Vec<String>, cut: Option<Cut>) -> Response {
    let tail = match cut {
        Some(Cut::Event(event)) => {
            events.push(event);
            None
        }
        // A body that fails ends the connection in the middle of a chunk.
        Some(Cut::BreakOff) => Some(Err(std::io::Error::other("the script breaks off here"))),
        Some(Cut::Hang) => {
            let stream = stream::iter(events).map(|event| Ok::<_, Infallible>(Bytes::from(event)));
            return sse(Body::from_stream(stream.chain(stream::pending())));
        }
        None => None,
    };
    let events = stream::iter(events).map(|event| Ok(Bytes::from(event)));
    sse(Body::from_stream(events.chain(stream::iter(tail))))
}

fn sse(body: Body) -> Response {
    ([(header::CONTENT_TYPE, "text/event-stream; charset=utf-8")], body).into_response()
}

/// An error in the API's shape.
pub(super) fn error_response(
    status: u16,
    kind: &str,
    message: &str,
    headers: &[(String, String)],
) -> Response {
    let body = json!({
        "type": "error",
        "error": { "type": kind, "message": message },
        "request_id": "req_scripted",
    });
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, axum::Json(body)).into_response();
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (name.parse::<header::HeaderName>(), value.parse()) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
