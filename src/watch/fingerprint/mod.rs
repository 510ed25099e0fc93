//! Read a trace, normalise it, hash it.
//!
//! [`Fingerprinter`] turns the text of one record into the levels at which two errors can be the same. It is
//! stateless: the same text gives the same fingerprint on any machine, in any order. It knows no service, no rule and
//! no store. The way of a text: `unwrap` (envelope and prefixes off) → `parse` (trace) → `frames` (whose frames) →
//! `canon` (names without what changes) and `template` (message without what changes) → `key` (preimage) → `hash`.

mod canon;
mod explain;
mod frames;
mod hash;
mod key;
mod memo;
mod parse;
mod template;
#[cfg(test)]
mod tests;
mod unwrap;

use std::sync::Arc;

use crate::base::redact::Clean;
use crate::model::fingerprint::Levels;
use crate::model::trace::{Runtime, Trace};

pub use explain::Explanation;

/// Longest title, in characters.
const MAX_TITLE: usize = 200;

/// A record's fingerprints and what was read from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprinted {
    pub levels: Levels,
    /// What was hashed for the identity: length-prefixed parts.
    pub preimage: String,
    /// One line such as `ValueError: bad amount`, at most 200 characters.
    pub title: Clean,
    pub runtime: Runtime,
    /// `None` for a record without a trace.
    pub trace: Option<Trace>,
}

/// Makes fingerprints. Cheap to clone, safe to share.
#[derive(Debug, Clone)]
pub struct Fingerprinter {
    memo: Arc<memo::Memo>,
}

impl Fingerprinter {
    /// The fingerprinter with the embedded rules.
    pub fn builtin() -> Self {
        Self { memo: Arc::default() }
    }

    /// Reads and hashes one record. `text` is the whole record as logged, prefixes and envelope included, redacted.
    pub fn fingerprint(&self, text: &Clean) -> Fingerprinted {
        let unwrapped = unwrap::unwrap(text.as_str());
        let lines: Vec<&str> = unwrapped.lines.iter().map(String::as_str).collect();
        self.memo.get(&lines, || read(&lines).0)
    }

    /// Every step from the text to its fingerprint, for people.
    pub fn explain(&self, text: &Clean) -> Explanation {
        let unwrapped = unwrap::unwrap(text.as_str());
        let lines: Vec<&str> = unwrapped.lines.iter().map(String::as_str).collect();
        let (fingerprinted, masked, has_template) = read(&lines);
        let unwrap::Unwrapped { prefix, envelope, lines: _ } = unwrapped;
        Explanation { prefix, envelope, masked, has_template, fingerprinted }
    }
}

/// What stands in the lines; what was masked in the message and as what; and whether the template is part of the identity.
fn read(lines: &[&str]) -> (Fingerprinted, Vec<(String, &'static str)>, bool) {
    let mut trace = parse::parse(lines);
    if let Some(trace) = &mut trace {
        frames::mark(trace);
    }
    let message = match trace.as_ref().and_then(Trace::root) {
        Some(root) => root.message.as_str(),
        None => lines.iter().find(|it| !it.trim().is_empty()).copied().unwrap_or(""),
    };
    let template = template::template(message);
    let key = key::key(trace.as_ref(), &template);
    let runtime = trace.as_ref().map_or(Runtime::Message, |it| it.runtime);
    let title = title(trace.as_ref(), message);
    let identity = hash::hash(&key.identity);
    let fingerprinted = Fingerprinted {
        levels: Levels {
            exact: if key.exact == key.identity { identity } else { hash::hash(&key.exact) },
            identity,
            place: key.place.as_deref().map(hash::hash),
            template: template.text,
        },
        preimage: key.identity,
        title: Clean::trusted(title),
        runtime,
        trace,
    };
    (fingerprinted, template.masked, key.has_template)
}

/// `kind: message` of the root cause, or the message.
fn title(trace: Option<&Trace>, message: &str) -> String {
    let line = message.lines().map(str::trim).find(|it| !it.is_empty()).unwrap_or("");
    let kind = trace.and_then(Trace::root).map_or("", |it| it.kind.as_str());
    let title = match (kind, line) {
        ("", line) => line.to_owned(),
        (kind, "") => kind.to_owned(),
        (kind, line) => format!("{kind}: {line}"),
    };
    title.chars().take(MAX_TITLE).collect()
}
