//! Two versions of the algorithm side by side, on an upgrade.
//!
//! A fingerprint carries the version that made it, and what changes an identity makes a new version. The release that brings one keeps
//! the code of the one before as [`FORMER`]: of a record whose issue is not known by its own identity the former one is asked too, and
//! where an issue is known by that, the store makes an alias of it. So an upgrade opens no issue anew. While there is no former version
//! nothing is asked.
//!
//! Daemons of both versions can work beside each other; an error that neither knew may then become an issue of each.

use super::UserRules;
use crate::base::redact::Clean;
use crate::model::fingerprint::Fingerprint;

/// The version before this one.
#[derive(Debug, Clone, Copy)]
pub struct Former {
    identity: fn(&UserRules, &Clean) -> Fingerprint,
}

/// None: this is the first.
pub const FORMER: Option<Former> = None;

impl Former {
    /// The version that gives these identities; they name it as theirs. It is given people's own rules for the service too.
    pub const fn new(identity: fn(&UserRules, &Clean) -> Fingerprint) -> Self {
        Self { identity }
    }

    /// The identity of a record. `text` is all of it as logged, redacted.
    pub fn identity(&self, rules: &UserRules, text: &Clean) -> Fingerprint {
        (self.identity)(rules, text)
    }
}
