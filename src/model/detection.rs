//! A rule hit.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::service::Route;

/// How bad a detection is. Ordered: later is worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    Info,
    Warning,
    Error,
    Critical,
}

impl Severity {
    pub const ALL: [Self; 4] = [Self::Info, Self::Warning, Self::Error, Self::Critical];

    /// The name used in rule files, in output and in the store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
        }
    }

    /// The severity with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|severity| severity.name() == name)
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a rule asks for. Triage may do less, never more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Count it and show it; never a ticket or a fix by itself.
    Count,
    /// It may become a ticket or a fix, as the service's route says.
    Issue,
}

/// The best rule hit of a record: highest severity, then rule order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detection {
    /// Id of the rule, for example `python.traceback`.
    pub rule: Arc<str>,
    pub severity: Severity,
    pub action: Action,
    pub course: Course,
}

/// What a rule wants other than its service of what becomes of its issues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Course {
    /// How far to go; the service's route is the furthest all the same.
    pub route: Option<Route>,
    /// For so long after an issue was held to be over it is not reopened.
    pub cooldown: Option<Duration>,
}
