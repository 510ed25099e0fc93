//! Read a trace, normalise it, hash it.
//!
//! [`Fingerprinter`] turns the text of one record into the levels at which two errors can be the same. It is
//! stateless: the same text gives the same fingerprint on any machine, in any order. It knows no service, no rule and
//! no store.

mod explain;
mod hash;

use crate::base::redact::Clean;
use crate::model::fingerprint::Levels;
use crate::model::trace::{Runtime, Trace};

pub use explain::Explanation;

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
pub struct Fingerprinter {}

impl Fingerprinter {
    /// The fingerprinter with the embedded rules.
    pub fn builtin() -> Self {
        Self {}
    }

    /// Reads and hashes one record. `text` is the whole record as logged, prefixes and envelope included, redacted.
    pub fn fingerprint(&self, text: &Clean) -> Fingerprinted {
        let text = text.as_str();
        let preimage = hash::preimage(&[text]);
        let identity = hash::hash(&preimage);
        let title: String = text.lines().next().unwrap_or_default().chars().take(200).collect();
        Fingerprinted {
            levels: Levels { exact: identity, identity, place: None, template: text.to_owned() },
            preimage,
            title: Clean::trusted(title),
            runtime: Runtime::Message,
            trace: None,
        }
    }

    /// Every step from the text to its fingerprint, for people.
    pub fn explain(&self, text: &Clean) -> Explanation {
        Explanation { fingerprinted: self.fingerprint(text) }
    }
}
