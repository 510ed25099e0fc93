//! What `homeostat explain` shows.

use std::fmt;

use super::Fingerprinted;

/// Every step from a record's text to its fingerprint; shown as plain text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    pub fingerprinted: Fingerprinted,
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "runtime   {}", self.fingerprinted.runtime)?;
        writeln!(f, "title     {}", self.fingerprinted.title)?;
        writeln!(f, "template  {}", self.fingerprinted.levels.template)?;
        writeln!(f, "preimage  {}", self.fingerprinted.preimage)?;
        write!(f, "identity  {}", self.fingerprinted.levels.identity.full())
    }
}
