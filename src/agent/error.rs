//! Why an attempt could not go on. How it went is [`super::contract::AgentOutcome`]; this is what stopped it from being tried.

use super::contract::BoxError;

/// Why an attempt could not go on. The transcript keeps what was done; the same call with it goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// No call is made with a model whose price is not in the settings.
    #[error("there is no price for the model `{model}`: add it to the price table")]
    UnknownPrice { model: String },
    /// The key was refused, the model does not exist, or the request can never be right.
    #[error("the model API refused the request: {message}")]
    ModelRefused { message: String },
    /// The model API is away or overloaded, also after retries.
    #[error("failed to call the model API: {message}")]
    ModelAway {
        message: String,
        /// How long to leave it alone: as long as it asked for, or longer with each time in a row.
        retry_after: Option<std::time::Duration>,
    },
    /// The workspace is gone; a fresh one can be restored from the transcript.
    #[error("failed to {action} in the workspace")]
    Workspace {
        action: &'static str,
        #[source]
        source: BoxError,
    },
    /// The transcript could not be read or written.
    #[error("failed to {action} the transcript")]
    Transcript {
        action: &'static str,
        #[source]
        source: BoxError,
    },
    /// An entry of the transcript cannot be read, or does not follow from the ones before it.
    #[error("entry {seq} of the transcript is broken: {reason}")]
    BrokenTranscript { seq: usize, reason: String },
    /// Money could not be reserved or settled.
    #[error("failed to {action} money for a model call")]
    Ledger {
        action: &'static str,
        #[source]
        source: BoxError,
    },
}

impl AgentError {
    /// Whether the same call may go on later, perhaps with a fresh workspace.
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::ModelAway { .. }
            | Self::Workspace { .. }
            | Self::Transcript { .. }
            | Self::Ledger { .. } => true,
            Self::UnknownPrice { .. } | Self::ModelRefused { .. } | Self::BrokenTranscript { .. } => false,
        }
    }
}
