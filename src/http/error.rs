//! What a caller is told when a page or an action fails: a short text. The log has the rest.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use serde_json::json;

use super::pages::error_page;
use crate::base::chain::Chain;
use crate::store::StoreError;

/// A failed request.
#[derive(Debug)]
pub(super) struct HttpError {
    status: StatusCode,
    message: String,
}

impl HttpError {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    /// As JSON, for programs.
    pub(super) fn into_json(self) -> Response {
        (self.status, Json(json!({ "error": self.message }))).into_response()
    }
}

impl From<StoreError> for HttpError {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::NotFound { .. } => Self::new(StatusCode::NOT_FOUND, error.to_string()),
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
    fn into_response(self) -> Response {
        (self.status, Html(error_page(self.status, &self.message))).into_response()
    }
}
