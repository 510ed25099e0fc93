//! Read a trace, normalise it, hash it.
//!
//! [`Fingerprinter`] turns the text of one record into the levels at which two errors can be the same. It is
//! stateless: the same text gives the same fingerprint on any machine, in any order. It knows no service, no rule and
//! no store. The way of a text: `unwrap` (envelope and prefixes off) → `parse` (trace) → `frames` (whose frames) →
//! `canon` (names without what changes) and `template` (message without what changes) → `key` (preimage) → `hash`.

mod canon;
mod explain;
mod former;
mod frames;
mod hash;
mod identities;
mod key;
mod numbers;
mod parse;
mod slots;
mod template;
#[cfg(test)]
mod tests;
mod unwrap;

use crate::base::redact::Clean;
use crate::model::fingerprint::{Fingerprint, Levels};
use crate::model::trace::{Runtime, Trace};

pub use explain::Explanation;
pub use former::{FORMER, Former};
pub use identities::{Identities, LineId, Numbered};
pub use slots::{MIN_SLOT, SlotGroup, slots};

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

/// What a record is counted under: enough of its fingerprints for an error that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// The identity of [`Levels`].
    pub fingerprint: Fingerprint,
    pub runtime: Runtime,
}

/// Makes fingerprints. Cheap to clone, safe to share.
#[derive(Debug, Clone, Copy)]
pub struct Fingerprinter(());

impl Fingerprinter {
    /// The fingerprinter with the embedded rules.
    pub const fn builtin() -> Self {
        Self(())
    }

    /// Reads and hashes one record. `text` is the whole record as logged, prefixes and envelope included, redacted.
    pub fn fingerprint(&self, text: &Clean) -> Fingerprinted {
        self.explain(text).fingerprinted
    }

    /// Every step from the text to its fingerprint, for people.
    pub fn explain(&self, text: &Clean) -> Explanation {
        let unwrap::Unwrapped { prefix, envelope, lines, is_of_shape: _ } = unwrap::unwrap(text.as_str());
        let as_logged: Vec<&str> = lines.iter().map(String::as_str).collect();
        let Read { trace, template, key, title } = read(&as_logged);
        let alike = read_alike(&as_logged);
        let (identity, runtime) = (hash::hash(&alike.key.identity), alike.runtime());
        let fingerprinted = Fingerprinted {
            levels: Levels {
                exact: if key.exact == alike.key.identity { identity } else { hash::hash(&key.exact) },
                identity,
                place: key.place.as_deref().map(hash::hash),
                template: template.text,
            },
            preimage: alike.key.identity,
            title: Clean::trusted(title),
            runtime,
            trace,
        };
        let has_template = alike.key.has_template;
        Explanation { prefix, envelope, masked: template.masked, has_template, fingerprinted }
    }
}

/// What stands in the lines of a record.
struct Read {
    trace: Option<Trace>,
    template: template::Template,
    key: key::Preimages,
    title: String,
}

impl Read {
    fn runtime(&self) -> Runtime {
        self.trace.as_ref().map_or(Runtime::Message, |it| it.runtime)
    }
}

fn read(lines: &[&str]) -> Read {
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
    let title = title(trace.as_ref(), message);
    Read { trace, template, key, title }
}

/// The lines with their numbers made alike: what the identity is read from.
fn read_alike(lines: &[&str]) -> Read {
    let masked: Vec<String> = lines.iter().map(|line| numbers::masked(line)).collect();
    read(&masked.iter().map(String::as_str).collect::<Vec<_>>())
}

/// The identity of lines whose numbers are alike already.
fn identity(lines: &[&str]) -> Identity {
    let read = read(lines);
    Identity { fingerprint: hash::hash(&read.key.identity), runtime: read.runtime() }
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
