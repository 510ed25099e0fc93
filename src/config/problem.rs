//! What is wrong with a config, where, and what to do about it.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::watch::rules::RuleProblem;

/// One problem. Shown as one line: `homeostat.toml:12: docker.hosts: unknown key; did you mean `host`?`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub file: PathBuf,
    /// Counted from 1; `None` where the config says nothing and the default is the problem.
    pub line: Option<usize>,
    /// Dotted path of the key, empty for a problem of the whole file.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: String,
    pub kind: ProblemKind,
}

impl Problem {
    /// What to sort by: the problems of the config `file` first, then those of others, each in the order of their lines.
    pub fn place(&self, file: &Path) -> (bool, &Path, usize) {
        (self.file != file, &self.file, self.line.unwrap_or(usize::MAX))
    }
}

/// Whose problem it is: decides the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProblemKind {
    /// The config is wrong: exit code 78.
    Config,
    /// The config may be right, but a service it names does not answer: exit code 69.
    Away,
}

/// A problem in a rule file is told as one of the config.
impl From<RuleProblem> for Problem {
    fn from(problem: RuleProblem) -> Self {
        Self {
            file: problem.file.into(),
            line: (problem.line > 0).then_some(problem.line),
            key: problem.key,
            message: problem.message,
            hint: problem.hint,
            kind: ProblemKind::Config,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", one_line(&self.key))?;
        }
        write!(f, ": {}", one_line(&self.message))?;
        if !self.hint.is_empty() {
            write!(f, "; {}", one_line(&self.hint))?;
        }
        Ok(())
    }
}

/// Line breaks and what else would change the line of a terminal, escaped: the words may be those of a file or of a service.
fn one_line(text: &str) -> String {
    let escaped = |c: char| if c.is_control() { c.escape_debug().to_string() } else { c.to_string() };
    text.chars().map(escaped).collect()
}
