//! How the program ends: what went wrong, in one line, and the exit code that scripts can rely on.

use std::process::ExitCode;

use crate::base::chain::Chain;
use crate::config::ProblemKind;

/// Why a command failed. The codes are those of sysexits(3) where one fits.
#[derive(Debug)]
pub(super) enum Failure {
    /// The command did its work and the answer is no, or something broke: 1.
    Failed(anyhow::Error),
    /// The command line is wrong: 64.
    Usage(String),
    /// A service that is needed does not answer: 69.
    Away(anyhow::Error),
    /// Problems of the configuration, or of a service that it names, that have been printed already: 78 or 69.
    Told(ProblemKind),
}

impl Failure {
    /// Exit code of the process.
    pub(super) fn code(&self) -> ExitCode {
        match self {
            Self::Failed(_) => ExitCode::from(1),
            Self::Usage(_) => ExitCode::from(64),
            Self::Away(_) | Self::Told(ProblemKind::Away) => ExitCode::from(69),
            Self::Told(ProblemKind::Config) => ExitCode::from(78),
        }
    }

    /// One line for the person, if it was not told yet.
    pub(super) fn message(&self) -> Option<String> {
        match self {
            Self::Failed(error) | Self::Away(error) => Some(Chain(error.as_ref()).to_string()),
            Self::Usage(message) => Some(message.clone()),
            Self::Told(_) => None,
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        let is_away = error
            .downcast_ref::<crate::store::StoreError>()
            .is_some_and(crate::store::StoreError::is_transient);
        if is_away { Self::Away(error) } else { Self::Failed(error) }
    }
}
