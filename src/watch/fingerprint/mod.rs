//! Read a trace, normalise it, hash it.
//!
//! [`Fingerprinter`] turns the text of one record into the levels at which two errors can be the same. It is
//! stateless: the same text gives the same fingerprint on any machine, in any order. It knows no service, no rule and
//! no store. The way of a text: `unwrap` (envelope and prefixes off) → `parse` (trace) → `frames` (whose frames) →
//! `canon` (names without what changes) and `template` (message without what changes) → `key` (preimage) → `hash`.

mod canon;
mod diff;
mod explain;
mod former;
mod frames;
#[cfg(test)]
mod golden;
mod hash;
mod identities;
mod key;
mod numbers;
mod parse;
mod slots;
mod structured;
mod template;
#[cfg(test)]
mod tests;
mod unwrap;
mod user_rules;

use crate::base::redact::Clean;
use crate::model::fingerprint::{Fingerprint, Levels};
use crate::model::trace::{Runtime, Trace};
use user_rules::{Asked, Decided};

pub use diff::{Diff, Part as DiffPart};
pub use explain::Explanation;
pub use former::{FORMER, Former};
pub use identities::{Identities, LineId, Numbered};
pub use slots::{MIN_SLOT, SlotGroup, slots};
pub use user_rules::{Effect, Part, UserRule, UserRules, Verdict};

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

/// What is known of a record once it is read: enough for an error that came before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grouped {
    pub identity: Identity,
    /// What a [`UserRule`] decided.
    pub verdict: Verdict,
}

/// What a record is counted under: enough of its fingerprints for an error that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// The identity of [`Levels`].
    pub fingerprint: Fingerprint,
    pub runtime: Runtime,
}

/// Makes fingerprints. Cheap to clone, safe to share.
#[derive(Debug, Clone)]
pub struct Fingerprinter {
    rules: UserRules,
}

impl Fingerprinter {
    /// The fingerprinter with the embedded rules and nobody's own.
    pub const fn builtin() -> Self {
        Self { rules: UserRules::none() }
    }

    /// The same with people's own rules.
    pub const fn with_rules(rules: UserRules) -> Self {
        Self { rules }
    }

    /// The same for the records of one service.
    #[must_use]
    pub fn for_service(&self, service: &str) -> Self {
        Self { rules: self.rules.for_service(service) }
    }

    /// People's own rules in it.
    pub fn into_rules(self) -> UserRules {
        self.rules
    }

    /// Reads and hashes one record. `text` is the whole record as logged, prefixes and envelope included, redacted.
    pub fn fingerprint(&self, text: &Clean) -> Fingerprinted {
        self.explain(text).fingerprinted
    }

    /// Whether the rule matches a record, of whatever service.
    pub fn is_match(rule: &UserRule, text: &Clean) -> bool {
        let lines = unwrap::unwrap(text.as_str()).lines;
        let as_logged: Vec<&str> = lines.iter().map(String::as_str).collect();
        let none = UserRules::none();
        let (logged, alike) = (read(&as_logged, &none), read_alike(&as_logged, &none));
        rule.is_match(&asked(&logged, &alike))
    }

    /// Every step from the text to its fingerprint, for people.
    pub fn explain(&self, text: &Clean) -> Explanation {
        let unwrap::Unwrapped { prefix, envelope, lines, is_of_shape: _ } = unwrap::unwrap(text.as_str());
        let as_logged: Vec<&str> = lines.iter().map(String::as_str).collect();
        let (logged, alike) = (read(&as_logged, &self.rules), read_alike(&as_logged, &self.rules));
        let decided = decide(&self.rules, &logged, &alike);
        let preimage = identity_preimage(&alike, decided.as_ref()).to_owned();
        let Read { trace, message: _, template, key, title } = logged;
        let (identity, runtime) = (hash::hash(&preimage), alike.runtime());
        let fingerprinted = Fingerprinted {
            levels: Levels {
                exact: if key.exact == preimage { identity } else { hash::hash(&key.exact) },
                identity,
                place: key.place.as_deref().map(hash::hash),
                template: template.text,
            },
            preimage,
            title: Clean::trusted(title),
            runtime,
            trace,
        };
        let has_template = alike.key.has_template;
        Explanation { prefix, envelope, masked: template.masked, has_template, decided, fingerprinted }
    }
}

/// What stands in the lines of a record.
struct Read {
    trace: Option<Trace>,
    /// Of the root cause, or the record's.
    message: String,
    template: template::Template,
    key: key::Preimages,
    title: String,
}

impl Read {
    fn runtime(&self) -> Runtime {
        self.trace.as_ref().map_or(Runtime::Message, |it| it.runtime)
    }
}

fn read(lines: &[&str], rules: &UserRules) -> Read {
    let mut trace = parse::parse(lines);
    if let Some(trace) = &mut trace {
        frames::mark(trace);
        rules.mark(trace);
    }
    let message = match trace.as_ref().and_then(Trace::root) {
        Some(root) => root.message.as_str(),
        None => lines.iter().find(|it| !it.trim().is_empty()).copied().unwrap_or(""),
    };
    let template = template::template(message);
    let key = key::key(trace.as_ref(), &template);
    let title = title(trace.as_ref(), message);
    Read { message: message.to_owned(), trace, template, key, title }
}

/// The lines with their numbers made alike: what the identity is read from.
fn read_alike(lines: &[&str], rules: &UserRules) -> Read {
    let masked: Vec<String> = lines.iter().map(|line| numbers::masked(line)).collect();
    read(&masked.iter().map(String::as_str).collect::<Vec<_>>(), rules)
}

/// What people decided about a record, as it was logged and with its numbers made alike. Only messages are looked at as they were logged,
/// so that whatever else holds for a record holds for all that are alike.
fn decide(rules: &UserRules, logged: &Read, alike: &Read) -> Option<Decided> {
    if rules.is_empty() { None } else { rules.decide(&asked(logged, alike)) }
}

fn asked<'r>(logged: &'r Read, alike: &'r Read) -> Asked<'r> {
    Asked {
        trace: alike.trace.as_ref(),
        logged: logged.trace.as_ref(),
        message: &logged.message,
        template: &alike.template.canonical,
        default: &alike.key.identity,
    }
}

fn identity_preimage<'a>(alike: &'a Read, decided: Option<&'a Decided>) -> &'a str {
    decided.and_then(|it| it.identity.as_deref()).unwrap_or(&alike.key.identity)
}

fn grouped(alike: &Read, decided: Option<&Decided>) -> Grouped {
    let fingerprint = hash::hash(identity_preimage(alike, decided));
    let identity = Identity { fingerprint, runtime: alike.runtime() };
    Grouped { identity, verdict: decided.map_or_else(Verdict::default, |it| it.verdict) }
}

/// What lines are whose numbers are alike already, by rules that do not look at messages.
fn group_alike(lines: &[&str], rules: &UserRules) -> Grouped {
    let alike = read(lines, rules);
    grouped(&alike, decide(rules, &alike, &alike).as_ref())
}

/// What lines are, as they were logged.
fn group_logged(lines: &[&str], rules: &UserRules) -> Grouped {
    let (logged, alike) = (read(lines, rules), read_alike(lines, rules));
    grouped(&alike, decide(rules, &logged, &alike).as_ref())
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
