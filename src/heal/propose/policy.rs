//! What may be pushed: a pure judgement over the patch as git itself wrote it.
//!
//! A refusal is final for the patch: nothing is pushed, the diff is kept with its attempt. What needs a person is not pushed either;
//! what is only worth a closer look stands in the proposal's body. Detectors of bad intent are signals; the refusals here rest on what a
//! file is, not on what it seems to mean. The rules are data (`rules/policy.toml`).

mod provenance;

use std::collections::BTreeSet;

use globset::{Glob, GlobSet, GlobSetBuilder};

pub use provenance::{Candidate, candidates};

use crate::base::markdown::is_invisible;
use crate::base::redact::Redactor;
use crate::heal::policy::{Finding, Level, Levels, Lines, Rules, TestLines};
use crate::repo::patch::{FilePatch, Patch};

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
    /// Levels of rules that differ from the shipped ones.
    pub levels: Levels,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_files: 20,
            max_changed_lines: 800,
            max_line_chars: 1_000,
            protected: Vec::new(),
            levels: Levels::default(),
        }
    }
}

/// The judgement.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verdict {
    /// Sorted by weight, each once.
    findings: Vec<Finding>,
}

impl Verdict {
    /// Whether it may be pushed.
    pub fn may_be_pushed(&self) -> bool {
        self.holding_back().next().is_none()
    }

    /// What keeps it from being pushed, the weightiest first.
    pub fn holding_back(&self) -> impl Iterator<Item = &Finding> {
        [Level::Refuse, Level::NeedsPerson].into_iter().flat_map(|level| self.of_level(level))
    }

    /// Worth a reviewer's closer look.
    pub fn look_at(&self) -> impl Iterator<Item = &Finding> {
        self.of_level(Level::Allow)
    }

    /// Findings of this level.
    pub fn of_level(&self, level: Level) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(move |finding| finding.level == level)
    }
}

/// The policy, compiled.
#[derive(Debug, Clone)]
pub struct Policy {
    settings: Settings,
    redactor: Redactor,
    protected: GlobSet,
}

impl Policy {
    /// Compiles the policy.
    ///
    /// # Errors
    /// A glob of `settings.protected` that cannot be read.
    pub fn new(settings: Settings, redactor: Redactor) -> Result<Self, globset::Error> {
        let mut protected = GlobSetBuilder::new();
        for glob in &settings.protected {
            protected.add(Glob::new(&glob.to_lowercase())?);
        }
        Ok(Self { protected: protected.build()?, settings, redactor })
    }

    /// Judges a patch. `last` gives the text of a file after it and is asked for Rust sources, which may hold tests beside other code;
    /// `from_log` is what else was found: see [`candidates`].
    pub fn judge(
        &self,
        patch: &Patch,
        last: impl FnMut(&str) -> Option<String>,
        from_log: Vec<Finding>,
    ) -> Verdict {
        let rules = Rules::builtin();
        let mut findings = self.of_size(patch);
        for file in &patch.files {
            self.of_path(file, &mut findings);
            of_mode(file, &mut findings);
        }
        let lines = Lines::of(patch, &TestLines::of(patch, last));
        for file in &patch.files {
            self.of_texts(file, &lines, &mut findings);
        }
        findings.extend(rules.of_lines(&lines));
        findings.extend(from_log);
        Verdict { findings: self.settings.levels.applied(findings) }
    }

    fn of_size(&self, patch: &Patch) -> Vec<Finding> {
        let rules = Rules::builtin();
        let mut findings = Vec::new();
        if patch.is_empty() {
            findings.push(rules.finding("patch.empty", "", ""));
        }
        let Settings { max_files, max_changed_lines, .. } = self.settings;
        let n_files = patch.files.len();
        if n_files > max_files {
            findings.push(rules.finding("patch.files", "", &format!("{n_files}, more than {max_files}")));
        }
        let n_lines: usize = patch.files.iter().map(FilePatch::n_changed).map(|(new, old)| new + old).sum();
        if n_lines > max_changed_lines {
            let detail = format!("{n_lines}, more than {max_changed_lines}");
            findings.push(rules.finding("patch.lines", "", &detail));
        }
        findings
    }

    fn of_path(&self, file: &FilePatch, findings: &mut Vec<Finding>) {
        let rules = Rules::builtin();
        let path = file.path.as_str();
        let lower = path.to_lowercase();
        let parts: Vec<&str> = lower.split('/').collect();
        let mut find = |id: &str| findings.push(rules.finding(id, path, ""));
        if path.chars().any(|c| is_invisible(c) || c.is_control() || c == '\\') {
            find("path.name");
        }
        if parts.iter().any(|part| part.is_empty() || *part == "." || *part == "..") {
            find("path.outside");
        }
        if parts.iter().any(|part| part.starts_with(".git") || part.starts_with("git~")) {
            find("path.git");
        }
        if self.protected.is_match(&lower) {
            find("path.protected");
        }
        findings.extend(rules.of_path(path));
    }

    /// What no rule of lines can say: characters nobody sees, length, secrets.
    fn of_texts(&self, file: &FilePatch, lines: &Lines<'_>, findings: &mut Vec<Finding>) {
        let rules = Rules::builtin();
        let known: BTreeSet<char> = file.removed_lines().flat_map(hidden).collect();
        for line in lines.of_path(&file.path) {
            let text = line.text.trim_end_matches('\r');
            let place = || line.shown();
            if hidden(text).any(|c| !known.contains(&c)) {
                findings.push(rules.finding("line.hidden", place(), ""));
            }
            if text.chars().count() > self.settings.max_line_chars {
                findings.push(rules.finding("line.long", place(), ""));
            }
            if text.contains("[redacted:") {
                findings.push(rules.finding("patch.placeholder", place(), ""));
                continue;
            }
            for kind in self.secrets_in(text) {
                let is_likely = LIKELY_KINDS.contains(&kind.as_str());
                let id = if is_likely { "line.likely_secret" } else { "line.secret" };
                findings.push(rules.finding(id, place(), &kind));
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

/// Kinds of secrets that the redactor recognises by what stands beside them; in source code that is often a variable.
const LIKELY_KINDS: &[&str] = &["password", "token", "authorization", "cookie", "email", "card"];

fn of_mode(file: &FilePatch, findings: &mut Vec<Finding>) {
    const LINK: u32 = 0o120_000;
    const SUBMODULE: u32 = 0o160_000;
    let mut find = |id: &str| findings.push(Rules::builtin().finding(id, &file.path, ""));
    let modes = [file.old_mode, file.new_mode];
    if modes.contains(&Some(LINK)) {
        find("file.link");
    }
    if modes.contains(&Some(SUBMODULE)) {
        find("file.submodule");
    }
    let is_executable = |mode: Option<u32>| mode.is_some_and(|mode| mode & 0o111 != 0);
    if is_executable(file.new_mode) && !is_executable(file.old_mode) {
        find("file.executable");
    }
    if file.is_binary {
        find("file.binary");
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

#[cfg(test)]
mod tests;
