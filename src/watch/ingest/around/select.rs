//! Which records of a stream are told with the lines around them.
//!
//! A few of each fingerprint in every turn, so that a storm of errors is told like a handful. The caller says when a turn begins: no clock.

use std::collections::HashMap;
use std::time::Duration;

use foldhash::fast::RandomState;

use crate::model::fingerprint::Fingerprint;

/// Records of one fingerprint in a turn …
const OF_EACH: u8 = 3;
/// … and of all fingerprints.
const OF_ALL: usize = 64;

/// What is kept of records, and how much of the lines around them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Lines before it and behind it; 0 for none.
    pub before: usize,
    pub after: usize,
    /// Bytes of either.
    pub max_bytes: usize,
    /// How long no text of an issue is kept after one was, but for its first few.
    pub every: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { before: 5, after: 5, max_bytes: 2 << 10, every: Duration::from_secs(60) }
    }
}

impl Settings {
    /// Whether nothing is kept.
    pub const fn is_off(&self) -> bool {
        self.before == 0 && self.after == 0
    }
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(in crate::watch::ingest) struct Select {
    chosen: HashMap<Fingerprint, u8, RandomState>,
    n_chosen: usize,
}

impl Select {
    /// Whether a record of this fingerprint is one of those.
    pub(in crate::watch::ingest) fn takes(&mut self, fingerprint: Fingerprint) -> bool {
        if self.n_chosen >= OF_ALL {
            return false;
        }
        let n = self.chosen.entry(fingerprint).or_default();
        let is_chosen = *n < OF_EACH;
        *n += u8::from(is_chosen);
        self.n_chosen += usize::from(is_chosen);
        is_chosen
    }

    /// Begins a turn.
    pub(in crate::watch::ingest) fn renew(&mut self) {
        if self.n_chosen > 0 {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_of_each_and_some_of_all_until_the_next_turn() {
        let fingerprint = |n: u8| Fingerprint::from_bytes([n; 32]);
        let mut select = Select::default();
        let first: Vec<bool> = (0..5).map(|_| select.takes(fingerprint(0))).collect();
        assert_eq!(first, [true, true, true, false, false]);
        assert_eq!((1..200).filter(|n| select.takes(fingerprint(*n))).count(), OF_ALL - 3);
        assert!(select.chosen.len() <= OF_ALL, "what is remembered is bounded");
        select.renew();
        assert!(select.takes(fingerprint(0)));
    }
}
