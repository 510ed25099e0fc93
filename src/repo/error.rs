//! Why git on the host could not do what it was asked.

use std::path::PathBuf;
use std::time::Duration;

use crate::base::chain::Chain;
use crate::model::stage::Setback;

/// Why a call of this part failed. Texts of git are cleaned and cut.
#[derive(Debug, thiserror::Error)]
pub enum RepoError {
    /// git is not installed, or not where the settings say.
    #[error("failed to start git to {action}")]
    Start {
        action: &'static str,
        #[source]
        source: std::io::Error,
    },
    #[error("git did not {action} within {} seconds", limit.as_secs())]
    TimedOut { action: &'static str, limit: Duration },
    /// git ran and said no.
    #[error("git failed to {action}: {message}")]
    Refused { action: &'static str, message: String },
    /// The server cannot be reached, or broke off.
    #[error("failed to fetch `{url}`: {message}")]
    Unreachable { url: String, message: String },
    /// The server wants a credential, or refuses the one it got.
    #[error(
        "failed to fetch `{url}`: it needs a credential that may read it, or there is no such repository"
    )]
    Unauthorized { url: String },
    /// The server answered that it has no such repository.
    #[error("failed to fetch `{url}`: there is no such repository")]
    NoSuchRepository { url: String },
    #[error("`{url}` is not an address to fetch from: {reason}")]
    BadUrl { url: String, reason: &'static str },
    #[error("`{url}` has no branch `{branch}`")]
    NoSuchBranch { url: String, branch: String },
    #[error("`{url}` has no commit `{revision}`")]
    NoSuchRevision { url: String, revision: String },
    #[error("the repository holds more than is allowed: over {limit} {unit}")]
    TooLarge { limit: u64, unit: &'static str },
    /// The patch does not fit the tree it is applied to.
    #[error("the patch does not apply: {message}")]
    DoesNotApply { message: String },
    /// A change has bytes that are not UTF-8 and cannot be kept as text.
    #[error("the patch is not text")]
    NotText,
    #[error("waited {} seconds for another process that fetches `{url}`", limit.as_secs())]
    Locked { url: String, limit: Duration },
    #[error("failed to {action} `{}`", path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// A credential could not be had.
    #[error("failed to get the credential for `{url}`")]
    Credential {
        url: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl RepoError {
    /// Whether the same call may succeed later without anybody doing anything.
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::TimedOut { .. }
            | Self::Unreachable { .. }
            | Self::Locked { .. }
            | Self::Io { .. }
            | Self::Credential { .. } => true,
            Self::Start { .. }
            | Self::Refused { .. }
            | Self::Unauthorized { .. }
            | Self::NoSuchRepository { .. }
            | Self::BadUrl { .. }
            | Self::NoSuchBranch { .. }
            | Self::NoSuchRevision { .. }
            | Self::TooLarge { .. }
            | Self::DoesNotApply { .. }
            | Self::NotText => false,
        }
    }

    /// An error of the file system, with what was tried on what.
    pub(super) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }

    /// What git said when a fetch failed, sorted by what can be done about it. The texts are those of git with `LC_ALL=C`.
    pub(super) fn of_fetch(url: &str, stderr: &str) -> Self {
        let url = url.to_owned();
        let has = |texts: &[&str]| texts.iter().any(|text| stderr.contains(text));
        if has(&[
            "could not read Username",
            "could not read Password",
            "Authentication failed",
            "returned error: 401",
            "returned error: 403",
            "Permission denied",
        ]) {
            return Self::Unauthorized { url };
        }
        if has(&["' not found", "does not appear to be a git repository", "returned error: 404"]) {
            return Self::NoSuchRepository { url };
        }
        Self::Unreachable { url, message: in_short(stderr) }
    }
}

/// A stage that cannot fetch is retried; one that may not is not.
impl From<RepoError> for Setback {
    fn from(error: RepoError) -> Self {
        let reason = Chain(&error).to_string();
        if error.is_transient() { Self::Retry { reason, after: None } } else { Self::Failed { reason } }
    }
}

/// The last lines of what git wrote, on one line, without control characters, at most 400 characters.
pub(super) fn in_short(stderr: &str) -> String {
    let lines: Vec<&str> = stderr.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let text = lines[lines.len().saturating_sub(4)..].join("; ");
    let clean: String = text.chars().filter(|c| !c.is_control()).take(400).collect();
    if clean.is_empty() { "it said nothing".to_owned() } else { clean }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_fetch_says_what_can_be_done() {
        let cases = [
            ("fatal: could not read Username for 'https://x': terminal prompts disabled", "credential"),
            ("fatal: unable to access 'https://x/': The requested URL returned error: 403", "credential"),
            ("fatal: repository 'https://x/' not found", "there is no such"),
            ("fatal: '/srv/x.git' does not appear to be a git repository", "there is no such"),
            ("fatal: unable to access 'https://x/': Could not resolve host: x", "Could not resolve host"),
            ("", "it said nothing"),
        ];
        for (stderr, expected) in cases {
            let message = RepoError::of_fetch("https://x", stderr).to_string();
            assert!(message.contains(expected), "{stderr:?} gave {message:?}");
        }
    }

    #[test]
    fn foreign_words_are_cut_and_cleaned() {
        assert_eq!(in_short("a\x1b[31m\nb\n\n c\r\n"), "a[31m; b; c");
        assert_eq!(in_short(&"x".repeat(1000)).len(), 400);
    }
}
