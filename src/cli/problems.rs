//! A service that the config names and that does not answer, told as a problem of the config: with file, line, key and what to do.

use std::io::ErrorKind;

use super::exit::Failure;
use super::print;
use crate::base::chain::Chain;
use crate::config::{Problem, ProblemKind, Settings};
use crate::daemon::DaemonError;
use crate::store::StoreError;
use crate::watch::source::docker::DockerError;
use crate::watch::source::loki::{LokiError, Query, Remedy};

/// Prints what is wrong with the config or with rules, and says how the process ends.
pub(super) fn all_told<P: Into<Problem>>(problems: Vec<P>) -> Failure {
    for problem in problems {
        print::note(problem.into().to_string());
    }
    Failure::Told(ProblemKind::Config)
}

/// Prints a problem and says how the process ends.
pub(super) fn told(problem: &Problem) -> Failure {
    print::note(problem.to_string());
    Failure::Told(problem.kind)
}

/// A problem with the value of `key`.
pub(super) fn problem(
    settings: &Settings,
    key: &str,
    kind: ProblemKind,
    message: String,
    hint: &str,
) -> Problem {
    let (file, line) = (settings.file.clone(), settings.line_of(key));
    Problem { file, line, key: key.to_owned(), message, hint: hint.to_owned(), kind }
}

/// The database cannot be used.
pub(super) fn of_store(settings: &Settings, error: &StoreError) -> Problem {
    let is_file = settings.store.url.starts_with("sqlite");
    // The default lies in the state folder: where that cannot be made, the folder is the mistake.
    if is_file
        && settings.store.is_in(&settings.state_folder)
        && let Err(source) = std::fs::create_dir_all(&settings.state_folder)
    {
        return of_folder(settings, &source);
    }
    let kind = if error.is_transient() { ProblemKind::Away } else { ProblemKind::Config };
    let hint = match (is_file, kind) {
        (true, _) => "name a file in a folder that the daemon's user may write",
        (false, ProblemKind::Away) => "start the database, or set `url`",
        (false, ProblemKind::Config) => "mend `url` or `password`, or what the database says",
    };
    let message = format!("`{}`: {}", settings.store.place(), Chain(error));
    problem(settings, "database.url", kind, message, hint)
}

/// The engine whose containers are watched does not answer.
pub(super) fn of_docker(settings: &Settings, error: &DockerError) -> Problem {
    let kind = match error {
        DockerError::Address { .. } => ProblemKind::Config,
        DockerError::Unreachable { .. } => ProblemKind::Away,
    };
    problem(settings, "docker.host", kind, Chain(error).to_string(), START_ENGINE)
}

/// The Loki that is asked for the lines behind alerts does not answer, or refuses.
pub(super) fn of_loki(settings: &Settings, error: &LokiError) -> Problem {
    let hint = match error {
        LokiError::Refused { .. } => "mend `token`, `tenant` or `url`",
        LokiError::Client(_)
        | LokiError::Request(_)
        | LokiError::Read(_)
        | LokiError::TooLong
        | LokiError::Upgrade(_)
        | LokiError::NoWebsocket
        | LokiError::Json(_) => {
            "start Loki, or set `url`; until then alerts are stored without the lines behind them"
        }
    };
    problem(settings, "alerts.loki.url", ProblemKind::Away, Chain(error).to_string(), hint)
}

/// A Loki whose query is followed does not answer, or refuses.
pub(super) fn of_query(settings: &Settings, query: &Query, error: &LokiError) -> Problem {
    let hint = match error.remedy() {
        Remedy::Mend => "mend `query`, `token`, `user`, `tenant` or `url`",
        Remedy::Wait | Remedy::FewerLines | Remedy::AtMost(_) | Remedy::ShorterRange => {
            "start Loki, or set `url`; what is logged meanwhile is read when it answers"
        }
    };
    let message = format!("the query `{}`: {}", query.query, Chain(error));
    problem(settings, "loki", ProblemKind::Away, message, hint)
}

pub(super) const START_ENGINE: &str = "start the engine, or name another with `host`";

/// What keeps the daemon from starting, where it is a matter of the config or of a service that it names.
pub(super) fn of_daemon(settings: &Settings, error: &DaemonError) -> Option<Problem> {
    match error {
        DaemonError::Store(error) => Some(of_store(settings, error)),
        DaemonError::Folder { source, .. } => Some(of_folder(settings, source)),
        DaemonError::Listen { source, .. } => {
            // The first two may pass by themselves: the last daemon still stops, the network is not up yet.
            let (kind, hint) = if source.kind() == ErrorKind::AddrInUse {
                (ProblemKind::Away, "stop what listens there, or set another port")
            } else if source.kind() == ErrorKind::AddrNotAvailable {
                (ProblemKind::Away, "set an address that this machine has")
            } else {
                (ProblemKind::Config, "set another port, for example 8686")
            };
            Some(problem(settings, "http.listen", kind, Chain(error).to_string(), hint))
        }
        DaemonError::Part { .. } | DaemonError::Task(_) => None,
    }
}

fn of_folder(settings: &Settings, source: &std::io::Error) -> Problem {
    let message = format!("failed to make the folder `{}`: {source}", settings.state_folder.display());
    let hint = "name a folder that the daemon's user may write";
    problem(settings, "state.folder", ProblemKind::Config, message, hint)
}
