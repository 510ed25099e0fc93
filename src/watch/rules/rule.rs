//! One rule, and what can be wrong with one.

use std::fmt;
use std::sync::Arc;

use crate::model::detection::{Action, Course, Severity};
use crate::model::trace::Runtime;

/// What to look for in a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Unique, of the form `group.name`, for example `python.traceback`. Stored with every occurrence.
    pub id: Arc<str>,
    pub severity: Severity,
    pub action: Action,
    pub course: Course,
    /// What prints such lines, where only one runtime does.
    pub runtime: Option<Runtime>,
    pub description: String,
    /// A line is hit if any of these is found in it …
    pub patterns: Vec<String>,
    /// … and, where there are any, one of these …
    pub conditions: Vec<String>,
    /// … and none of these.
    pub excludes: Vec<String>,
    /// Whether a line hit counts when it is a record by itself, and not only as a part of a longer one.
    pub counts_alone: bool,
    /// Texts with a line that the rule must hit.
    pub examples: Vec<String>,
    /// Texts without such a line.
    pub counter_examples: Vec<String>,
    pub origin: Origin,
}

/// Where a rule was written down.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Origin {
    /// Path of the file, or `builtin:<name>`.
    pub file: Arc<str>,
    /// Line of the rule's head, counted from 1.
    pub line: usize,
    /// The entries of its lists.
    pub entries: Vec<Entry>,
}

impl Origin {
    /// Whether it stands in a file of the binary, whose rules are tested.
    pub(super) fn is_shipped(&self) -> bool {
        self.file.starts_with("builtin:")
    }
}

/// An entry of a list, for those who have to find it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its place in the rule: `except[5]` is the fifth, counted with those that sets and the file bring along.
    pub key: String,
    /// Its place in the file: `except[2]` is the second that is written there.
    pub label: String,
    pub line: usize,
}

/// One thing wrong with a rule file, with all that is needed to put it right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleProblem {
    pub file: String,
    /// Line, counted from 1.
    pub line: usize,
    /// The key or the rule it is about, for example `python.traceback: any[2]`, which is the second of its patterns.
    pub key: String,
    pub message: String,
    /// What to do.
    pub hint: String,
}

impl fmt::Display for RuleProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, key, message, hint } = self;
        write!(f, "{file}:{line}: {key}: {message}")?;
        if hint.is_empty() { Ok(()) } else { write!(f, " ({hint})") }
    }
}
