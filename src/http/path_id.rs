//! An id in an address.

use axum::extract::{FromRequestParts, Path};
use axum::http::StatusCode;
use axum::http::request::Parts;
use uuid::Uuid;

use super::error::HttpError;

/// A UUID as a path segment; anything else is answered 400 with a page.
#[derive(Debug, Clone, Copy)]
pub(super) struct PathId(pub(super) Uuid);

impl<S: Send + Sync> FromRequestParts<S> for PathId {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, HttpError> {
        let text = Path::<String>::from_request_parts(parts, state).await;
        let id = text.ok().and_then(|Path(text)| text.parse().ok()).map(Self);
        id.ok_or_else(|| {
            let message = "an id looks like 0190c2d4-7b1e-7cc0-a1b2-5f0e6c1d2e3f";
            HttpError::new(StatusCode::BAD_REQUEST, message)
        })
    }
}
