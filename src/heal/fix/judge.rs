//! Whether a test failed with the issue's own error.
//!
//! With a trace: the same exception type at the same place, the innermost frame of the service's own code outside of tests. Without
//! one: the same message template. The output of a test runner is a foreign text like any log, so it goes the way of a log: lines
//! are joined to records and records are fingerprinted.

use std::time::Duration;

use super::patch::is_test_path;
use crate::base::redact::Clean;
use crate::model::trace::{Frame, Trace};
use crate::watch::fingerprint::{Fingerprinted, Fingerprinter};
use crate::watch::join::{Joiner, Limits};

/// Ways of reading one output, besides as it is: with what a runner puts before each line taken off.
const MAX_PREFIXES: usize = 6;

/// Bytes of output looked at, half from each end.
const MAX_BYTES: usize = 512 << 10;

/// The error that a test must show.
#[derive(Debug, Clone)]
pub(super) struct Suspect {
    fingerprinter: Fingerprinter,
    template: String,
    /// Type and place of the root cause.
    trace: Option<(String, Option<Place>)>,
}

/// Where an error comes from, as far as it is the same on two machines.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    function: String,
    /// Name of the file, without folders.
    file: String,
}

impl Suspect {
    /// The error of an issue.
    pub(super) fn new(fingerprinter: Fingerprinter, issue: &Fingerprinted) -> Self {
        let trace = issue.trace.as_ref().and_then(root_of);
        Self { fingerprinter, template: issue.levels.template.clone(), trace }
    }

    /// Whether the output of a failed run shows it.
    pub(super) fn is_in(&self, output: &Clean) -> bool {
        let text = super::output::capped(output.as_str(), MAX_BYTES);
        let lines: Vec<&str> = text.lines().collect();
        self.is_among(&lines)
            || self.prefixes(&lines).iter().any(|prefix| {
                let bare: Vec<&str> = lines.iter().map(|line| without(line, prefix)).collect();
                self.is_among(&bare)
            })
    }

    fn is_among(&self, lines: &[&str]) -> bool {
        let mut joiner = Joiner::new(Limits { timeout: Duration::from_secs(3600), ..Limits::default() });
        let mut records = Vec::new();
        for line in lines {
            joiner.push(line, true, None, &mut records);
        }
        joiner.flush(&mut records);
        records.iter().any(|record| self.is_it(&record.text))
    }

    fn is_it(&self, text: &str) -> bool {
        // Cut out of a text that was redacted as a whole.
        let found = self.fingerprinter.fingerprint(&Clean::trusted(text));
        match &self.trace {
            None => self.has_template(text, &found),
            Some((kind, place)) => found.trace.as_ref().is_some_and(|trace| {
                trace.exceptions.iter().any(|exception| {
                    is_same_kind(kind, &exception.kind)
                        && match (place, place_of(&exception.frames)) {
                            (Some(place), Some(other)) => place.is_same(&other),
                            (Some(_), None) => false,
                            (None, _) => found.levels.template == self.template,
                        }
                })
            }),
        }
    }

    /// A runner shows a logged message behind words of its own, and without those of the log's form: what was logged as
    /// `billing: no rate for CHF` is shown as `ERROR    billing:orders.py:12 no rate for CHF`.
    fn has_template(&self, text: &str, found: &Fingerprinted) -> bool {
        if found.levels.template == self.template {
            return true;
        }
        let bare = match self.template.split_once(": ") {
            Some((logger, rest)) if !logger.contains(' ') && rest.contains(' ') => rest,
            _ => self.template.as_str(),
        };
        let Some(line) = text.lines().next() else { return false };
        let starts = line.char_indices().filter(|(_, c)| *c == ' ').map(|(at, _)| at + 1);
        starts.take(16).any(|start| {
            self.fingerprinter.fingerprint(&Clean::trusted(&line[start..])).levels.template == bare
        })
    }

    /// What stands before the lines that name the error, each kind once.
    fn prefixes(&self, lines: &[&str]) -> Vec<String> {
        let needle = match &self.trace {
            Some((kind, _)) => last_part(kind),
            None => self.template.split_whitespace().max_by_key(|word| word.len()).unwrap_or_default(),
        };
        let mut prefixes: Vec<String> = Vec::new();
        if needle.is_empty() {
            return prefixes;
        }
        for line in
            lines.iter().filter(|line| line.contains(needle) || line.contains("Traceback (most recent"))
        {
            let rest = line.trim_start_matches(|c: char| c.is_whitespace() || "#|>*│E".contains(c));
            let prefix = &line[..line.len() - rest.len()];
            if !prefix.is_empty() && !prefixes.iter().any(|it| it == prefix) {
                prefixes.push(prefix.to_owned());
            }
            if prefixes.len() == MAX_PREFIXES {
                break;
            }
        }
        prefixes
    }
}

/// The line without the prefix, or without as much white space as the prefix is long.
fn without<'a>(line: &'a str, prefix: &str) -> &'a str {
    if let Some(rest) = line.strip_prefix(prefix) {
        return rest;
    }
    let blank = line.len() - line.trim_start().len();
    &line[blank.min(prefix.len())..]
}

fn root_of(trace: &Trace) -> Option<(String, Option<Place>)> {
    trace.root().map(|root| (root.kind.clone(), place_of(&root.frames)))
}

/// The innermost frame of the service's own code; tests do not count, as they stand around it.
fn place_of(frames: &[Frame]) -> Option<Place> {
    let own = frames.iter().find(|frame| {
        frame.in_app && !frame.file.as_deref().is_some_and(|file| is_test_path(in_repository(file)))
    })?;
    let file = own.file.as_deref().unwrap_or_default().rsplit(['/', '\\']).next().unwrap_or_default();
    Some(Place { function: own.function.clone(), file: file.to_owned() })
}

/// A path as the repository knows it, so that a folder above it (`/home/test/app`) makes no test of everything.
fn in_repository(file: &str) -> &str {
    let file = file.strip_prefix("file://").unwrap_or(file);
    match file.strip_prefix(super::room::ROOT) {
        Some(rest) => rest.trim_start_matches('/'),
        None if file.starts_with('/') => {
            // Of a foreign absolute path only the last two parts say anything about its kind.
            let parts: Vec<_> = file.rmatch_indices('/').map(|(at, _)| at + 1).take(2).collect();
            &file[parts.last().copied().unwrap_or(0)..]
        }
        None => file,
    }
}

impl Place {
    /// Two machines agree on the file's name and on the function's last word: folders, packages (`main` for a Go program,
    /// its module for its tests) and receivers (`Object.rate`, `exports.rate`) differ.
    fn is_same(&self, other: &Self) -> bool {
        let is_same_file = self.file == other.file || self.file.is_empty() || other.file.is_empty();
        let (one, two) = (last_part(&self.function), last_part(&other.function));
        let is_same_function = one == two || ((one.is_empty() || two.is_empty()) && !self.file.is_empty());
        is_same_file && is_same_function
    }
}

/// `json.decoder.JSONDecodeError` and `JSONDecodeError` are one, and so are `TypeError` and `TypeError [Error]`.
fn is_same_kind(one: &str, other: &str) -> bool {
    let bare = |kind: &str| kind.split([' ', '[']).next().unwrap_or_default().to_owned();
    let (one, other) = (bare(one), bare(other));
    one == other || (last_part(&one) == last_part(&other) && !last_part(&one).is_empty())
}

fn last_part(name: &str) -> &str {
    name.rsplit(['.', ':', '/', '\\', '$', '#']).next().unwrap_or_default()
}

#[cfg(test)]
mod tests;
