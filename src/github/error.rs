//! What went wrong with a call, and whether waiting helps.

use std::time::Duration;

use octocrab::GitHubError;

use crate::base::chain::Chain;
use crate::base::clock::Timestamp;
use crate::base::markdown::{cap_chars, one_line};
use crate::model::stage::Setback;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why a call to GitHub failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It may have been done all the same: look before trying again.
    #[error("failed to {action}: GitHub cannot be reached or is failing")]
    Away {
        action: &'static str,
        #[source]
        source: Cause,
    },
    #[error("failed to {action}: GitHub asks to wait {} s", after.as_secs())]
    Limited { action: &'static str, after: Duration },
    #[error("failed to {action} in {repository}: GitHub answered {status} ({message}): {}", advice(*status))]
    Refused { action: &'static str, repository: String, status: u16, message: String },
    /// The answer is not what GitHub's API promises.
    #[error("failed to {action}: the answer could not be read")]
    Odd {
        action: &'static str,
        #[source]
        source: Cause,
    },
    #[error("the settings of GitHub are wrong: {problem}")]
    Settings { problem: String },
}

impl Error {
    /// Reads octocrab's error. `now` turns the time at which a limit ends into a time to wait.
    pub(super) fn from_octocrab(
        action: &'static str,
        repository: &str,
        error: octocrab::Error,
        now: Timestamp,
    ) -> Self {
        // The type is non-exhaustive: what is not named here is about sending and receiving.
        if let octocrab::Error::GitHub { source, .. } = &error {
            return Self::from_answer(action, repository, source, now);
        }
        if let octocrab::Error::JWT { source, .. } = &error {
            return Self::Settings { problem: format!("the app's private key cannot sign: {source}") };
        }
        let is_odd = matches!(error, octocrab::Error::Json { .. } | octocrab::Error::Serde { .. });
        let source = Box::new(error);
        if is_odd { Self::Odd { action, source } } else { Self::Away { action, source } }
    }

    fn from_answer(action: &'static str, repository: &str, answer: &GitHubError, now: Timestamp) -> Self {
        let status = answer.status_code.as_u16();
        if let Some(after) = asked_wait(answer, now) {
            return Self::Limited { action, after };
        }
        let message = explain(answer);
        match status {
            408 | 500..=599 => Self::Away { action, source: message.into() },
            _ => Self::Refused { action, repository: repository.to_owned(), status, message },
        }
    }

    /// The status of a refusal.
    pub const fn refused_with(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            Self::Away { .. } | Self::Limited { .. } | Self::Odd { .. } | Self::Settings { .. } => None,
        }
    }

    /// Whether GitHub's words in a refusal hold this text; some refusals differ in nothing else.
    pub fn says(&self, text: &str) -> bool {
        match self {
            Self::Refused { message, .. } => message.to_ascii_lowercase().contains(text),
            Self::Away { .. } | Self::Limited { .. } | Self::Odd { .. } | Self::Settings { .. } => false,
        }
    }
}

impl From<Error> for Setback {
    fn from(error: Error) -> Self {
        let reason = Chain(&error).to_string();
        match error {
            Error::Away { .. } => Self::Retry { reason, after: None },
            Error::Limited { after, .. } => Self::Retry { reason, after: Some(after) },
            Error::Refused { .. } | Error::Odd { .. } | Error::Settings { .. } => Self::Failed { reason },
        }
    }
}

/// How long to wait, where the answer is about a limit: `retry-after`, else until the limit is reset, else a minute.
/// <https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#exceeding-the-rate-limit>
fn asked_wait(answer: &GitHubError, now: Timestamp) -> Option<Duration> {
    let header = |name: &str| {
        let value = answer.headers.as_ref()?.get(name)?;
        value.to_str().ok()?.trim().parse::<u64>().ok()
    };
    let status = answer.status_code.as_u16();
    let is_exhausted = header("x-ratelimit-remaining") == Some(0);
    let is_limited = match status {
        429 => true,
        // A 403 is also the answer to a missing permission: only the header or the words tell them apart.
        403 => {
            is_exhausted
                || header("retry-after").is_some()
                || answer.message.to_ascii_lowercase().contains("rate limit")
        }
        503 => header("retry-after").is_some(),
        _ => false,
    };
    if !is_limited {
        return None;
    }
    if let Some(seconds) = header("retry-after") {
        return Some(Duration::from_secs(seconds.max(1)));
    }
    let reset = header("x-ratelimit-reset").filter(|_| is_exhausted);
    let until_reset =
        reset.and_then(|at| i64::try_from(at).ok()).map(|at| at.saturating_sub(now.as_second()));
    let seconds = until_reset.and_then(|seconds| u64::try_from(seconds).ok());
    Some(Duration::from_secs(seconds.map_or(60, |seconds| seconds + 1)))
}

/// GitHub's message with the first of its details, on one line.
fn explain(answer: &GitHubError) -> String {
    let details = answer.errors.iter().flatten().take(3).filter_map(|error| {
        let text = |key: &str| error.get(key).and_then(serde_json::Value::as_str);
        let words = text("message").or_else(|| error.as_str()).or_else(|| text("code"))?;
        Some(text("field").map_or_else(|| words.to_owned(), |field| format!("{field}: {words}")))
    });
    let all: Vec<String> = std::iter::once(answer.message.clone()).chain(details).collect();
    cap_chars(&one_line(&all.join("; ")), 400)
}

/// What a person can do about a refusal.
const fn advice(status: u16) -> &'static str {
    match status {
        301 | 302 | 307 | 308 => "the repository was renamed or moved, set its new address",
        401 => "the token is wrong or expired, set a new one",
        403 => {
            "the token may not do this, give it read and write access to contents, issues and pull requests"
        }
        404 => {
            "no such repository, or the token cannot see it: check the address and the token's repositories"
        }
        410 => "it was deleted, or the repository has its issues switched off",
        422 => "GitHub does not accept the content",
        _ => "look at GitHub's message",
    }
}
