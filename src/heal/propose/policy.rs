//! What may be pushed: a pure judgement over the patch as git itself wrote it.
//!
//! A refusal is final for the patch: nothing is pushed, the diff goes to the ticket and a person decides. What is
//! only worth a closer look stands in the proposal's body. Detectors of bad intent are signals; the refusals here
//! rest on what a file is, not on what it seems to mean.

mod tables;

use std::collections::BTreeSet;

use globset::{Glob, GlobSet, GlobSetBuilder};
use regex::RegexSet;

use crate::base::markdown::is_invisible;
use crate::base::redact::Redactor;
use crate::repo::patch::{Change, FilePatch, Patch};

/// Settings of the policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Most files a patch may touch.
    pub max_files: usize,
    /// Most lines it may add and remove, together.
    pub max_changed_lines: usize,
    /// Longest line it may add, in characters: minified code and encoded blobs cannot be reviewed.
    pub max_line_chars: usize,
    /// Paths that are never touched, as globs relative to the repository, besides the built-in ones.
    pub protected: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { max_files: 20, max_changed_lines: 800, max_line_chars: 1_000, protected: Vec::new() }
    }
}

/// One thing found in the patch.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The file; empty for the patch as a whole.
    pub path: String,
    /// What is wrong with it, for people.
    pub reason: String,
}

/// The judgement. It may be pushed if nothing is refused.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verdict {
    /// Sorted, each once.
    pub refusals: Vec<Finding>,
    /// Worth a reviewer's closer look. Sorted, each once.
    pub look_at: Vec<Finding>,
}

/// The policy, compiled.
#[derive(Debug, Clone)]
pub struct Policy {
    settings: Settings,
    redactor: Redactor,
    protected: Globs,
    sensitive: Globs,
    tests: GlobSet,
    calls: RegexSet,
}

/// Globs with a reason each.
#[derive(Debug, Clone)]
struct Globs {
    set: GlobSet,
    reasons: Vec<&'static str>,
}

impl Policy {
    /// Compiles the policy.
    ///
    /// # Errors
    /// A glob of `settings.protected` that cannot be read.
    pub fn new(settings: Settings, redactor: Redactor) -> Result<Self, globset::Error> {
        let own = settings.protected.iter().map(|glob| (glob.as_str(), "the configuration protects it"));
        Ok(Self {
            protected: Globs::new(tables::PROTECTED.iter().copied().chain(own))?,
            sensitive: Globs::new(tables::SENSITIVE.iter().copied())?,
            tests: Globs::new(tables::TESTS.iter().map(|glob| (*glob, "")))?.set,
            calls: RegexSet::new(tables::CALLS.iter().map(|(regex, _)| *regex)).expect("constant patterns"),
            settings,
            redactor,
        })
    }

    /// Judges a patch.
    pub fn judge(&self, patch: &Patch) -> Verdict {
        let mut findings = Findings::default();
        if patch.is_empty() {
            findings.refuse("", "it changes nothing");
        }
        if patch.files.len() > self.settings.max_files {
            let reason = format!("{} files, more than {}", patch.files.len(), self.settings.max_files);
            findings.refuse("", reason);
        }
        let n_lines: usize = patch.files.iter().map(FilePatch::n_changed).map(|(new, old)| new + old).sum();
        if n_lines > self.settings.max_changed_lines {
            let reason = format!("{n_lines} changed lines, more than {}", self.settings.max_changed_lines);
            findings.refuse("", reason);
        }
        for file in &patch.files {
            self.judge_path(file, &mut findings);
            judge_mode(file, &mut findings);
            self.judge_lines(file, &mut findings);
        }
        findings.into_verdict()
    }

    fn judge_path(&self, file: &FilePatch, findings: &mut Findings) {
        let path = file.path.as_str();
        let lower = path.to_lowercase();
        let parts: Vec<&str> = lower.split('/').collect();
        if path.chars().any(|c| is_invisible(c) || c.is_control() || c == '\\') {
            findings.refuse(path, "its name holds invisible characters, controls or backslashes");
        }
        if parts.iter().any(|part| part.is_empty() || *part == "." || *part == "..") {
            findings.refuse(path, "its path leaves the repository or is not plain");
        }
        if parts.iter().any(|part| part.starts_with(".git") || part.starts_with("git~")) {
            findings.refuse(path, "git's or the forge's own files decide what runs and who reviews");
        }
        for reason in self.protected.reasons_for(&lower) {
            findings.refuse(path, reason);
        }
        for reason in self.sensitive.reasons_for(&lower) {
            findings.look_at(path, reason);
        }
        if self.tests.is_match(&lower) {
            match file.change {
                Change::Added => {}
                Change::Modified => findings.look_at(path, "an existing test is changed"),
                Change::Deleted => findings.look_at(path, "an existing test is deleted"),
            }
        }
    }

    fn judge_lines(&self, file: &FilePatch, findings: &mut Findings) {
        let path = file.path.as_str();
        let known: BTreeSet<char> = file.removed_lines().flat_map(hidden).collect();
        let is_test = self.tests.is_match(path.to_lowercase());
        for line in file.added_lines() {
            let line = line.trim_end_matches('\r');
            if hidden(line).any(|c| !known.contains(&c)) {
                findings.refuse(path, "a new line holds invisible or text-reversing characters");
            }
            if line.chars().count() > self.settings.max_line_chars {
                findings.refuse(path, "a new line is too long to be reviewed");
            }
            if line.contains("[redacted:") {
                findings
                    .refuse(path, "a new line holds a placeholder of the redactor in the place of a secret");
                continue;
            }
            for kind in self.secrets_in(line) {
                if tables::LIKELY_KINDS.contains(&kind.as_str()) {
                    findings.look_at(path, format!("a new line may hold a secret ({kind})"));
                } else {
                    findings.refuse(path, format!("a new line holds a secret ({kind})"));
                }
            }
            if !is_test {
                for call in &self.calls.matches(line) {
                    findings.look_at(path, tables::CALLS[call].1);
                }
            }
        }
    }

    /// Kinds of secrets that the redactor finds in a line.
    fn secrets_in(&self, line: &str) -> Vec<String> {
        let clean = self.redactor.redact(line);
        let kinds = clean.as_str().split("[redacted:").skip(1).filter_map(|rest| rest.split(']').next());
        kinds.map(str::to_owned).collect()
    }
}

fn judge_mode(file: &FilePatch, findings: &mut Findings) {
    const LINK: u32 = 0o120_000;
    const SUBMODULE: u32 = 0o160_000;
    let path = file.path.as_str();
    let modes = [file.old_mode, file.new_mode];
    if modes.contains(&Some(LINK)) {
        findings.refuse(path, "it is a symbolic link");
    }
    if modes.contains(&Some(SUBMODULE)) {
        findings.refuse(path, "it is a submodule");
    }
    let is_executable = |mode: Option<u32>| mode.is_some_and(|mode| mode & 0o111 != 0);
    if is_executable(file.new_mode) && !is_executable(file.old_mode) {
        findings.refuse(path, "it becomes executable");
    }
    if file.is_binary {
        findings.refuse(path, "it is binary");
    }
}

/// The characters of a line that nobody sees, but those that only make an emoji of the character before them.
fn hidden(line: &str) -> impl Iterator<Item = char> {
    let before = std::iter::once(' ').chain(line.chars());
    before.zip(line.chars()).filter_map(|(before, c)| {
        let is_emoji_mark = c == '\u{fe0f}' && (before > '\u{203b}' || before.is_ascii_digit());
        (is_invisible(c) && c != '\u{c}' && !is_emoji_mark).then_some(c)
    })
}

impl Globs {
    fn new<'a>(globs: impl Iterator<Item = (&'a str, &'static str)>) -> Result<Self, globset::Error> {
        let mut builder = GlobSetBuilder::new();
        let mut reasons = Vec::new();
        for (glob, reason) in globs {
            builder.add(Glob::new(&glob.to_lowercase())?);
            reasons.push(reason);
        }
        Ok(Self { set: builder.build()?, reasons })
    }

    fn reasons_for(&self, path: &str) -> impl Iterator<Item = &'static str> {
        self.set.matches(path).into_iter().map(|at| self.reasons[at])
    }
}

#[derive(Debug, Default)]
struct Findings {
    refusals: BTreeSet<Finding>,
    look_at: BTreeSet<Finding>,
}

impl Findings {
    fn refuse(&mut self, path: &str, reason: impl Into<String>) {
        self.refusals.insert(Finding { path: path.to_owned(), reason: reason.into() });
    }

    fn look_at(&mut self, path: &str, reason: impl Into<String>) {
        self.look_at.insert(Finding { path: path.to_owned(), reason: reason.into() });
    }

    fn into_verdict(self) -> Verdict {
        Verdict { refusals: self.refusals.into_iter().collect(), look_at: self.look_at.into_iter().collect() }
    }
}

#[cfg(test)]
mod tests;
