//! The trait every messenger implements, and why one fails.

use std::time::Duration;

use crate::base::chain::Chain;
use crate::base::markdown::{cap_chars, one_line};
use crate::model::notice::Notice;
use crate::model::stage::Setback;

/// A way to tell people.
#[async_trait::async_trait]
pub trait Messenger: Send + Sync + std::fmt::Debug {
    /// Unique name from the config.
    fn name(&self) -> &str;

    /// Sends a notice, once. `delivery` is the same whenever this notice is sent again.
    async fn send(&self, notice: &Notice, delivery: &str) -> Result<(), MessengerError>;
}

/// Why a notice was not delivered.
#[derive(Debug, thiserror::Error)]
pub enum MessengerError {
    #[error("failed to tell `{name}`: it cannot be reached")]
    Away {
        name: String,
        #[source]
        source: reqwest::Error,
    },
    #[error("failed to tell `{name}`: it answered {status}")]
    Busy { name: String, status: u16, after: Option<Duration> },
    #[error("failed to tell `{name}`: it answered {status} ({answer}): check the address of its webhook")]
    Refused { name: String, status: u16, answer: String },
}

impl From<MessengerError> for Setback {
    fn from(error: MessengerError) -> Self {
        let reason = Chain(&error).to_string();
        match error {
            MessengerError::Away { .. } => Self::Retry { reason, after: None },
            MessengerError::Busy { after, .. } => Self::Retry { reason, after },
            MessengerError::Refused { .. } => Self::Failed { reason },
        }
    }
}

/// Sends a request and sorts the answer. The address is a secret: it never stands in an error.
pub(super) async fn deliver(name: &str, request: reqwest::RequestBuilder) -> Result<(), MessengerError> {
    let away =
        |source: reqwest::Error| MessengerError::Away { name: name.to_owned(), source: source.without_url() };
    let response = request.send().await.map_err(away)?;
    let status = response.status().as_u16();
    if response.status().is_success() {
        return Ok(());
    }
    let after = response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
    if matches!(status, 408 | 425 | 429 | 500..=599) {
        let after = after.map(Duration::from_secs);
        return Err(MessengerError::Busy { name: name.to_owned(), status, after });
    }
    let answer = response.text().await.unwrap_or_default();
    Err(MessengerError::Refused { name: name.to_owned(), status, answer: cap_chars(&one_line(&answer), 100) })
}
