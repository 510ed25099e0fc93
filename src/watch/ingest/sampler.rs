//! Which occurrences of an issue keep their text: the first few, then one in a while.
//!
//! Nothing is counted here; a storm costs rows by the minute and not by the commit. Bounded: what is forgotten is kept a few more times.

use std::collections::HashMap;
use std::time::Duration;

use foldhash::fast::RandomState;

use super::pending::IssueKey;
use super::stream::RENEW_EVERY;
use crate::base::clock::Timestamp;

/// Texts kept before time counts.
const FIRST: u32 = 3;
/// Issues that are remembered.
const MAX_ISSUES: usize = 20_000;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Sampler {
    every: Duration,
    kept: HashMap<IssueKey, Kept, RandomState>,
}

/// What was kept of an issue.
#[derive(Debug, Clone, Copy)]
struct Kept {
    n: u32,
    last: Timestamp,
}

impl Sampler {
    /// Keeps one text of an issue in so much time.
    pub(super) fn new(every: Duration) -> Self {
        Self { every, kept: HashMap::default() }
    }

    /// Whether the text of an occurrence is kept. One that is told without the lines around it gives way for a while to one that has them.
    pub(super) fn keeps(&mut self, key: &IssueKey, has_around: bool, now: Timestamp) -> bool {
        if let Some(kept) = self.kept.get_mut(key) {
            // A clock that was set back makes it no longer than one that goes on.
            let passed = now.duration_since(kept.last).unsigned_abs();
            let due = if has_around { self.every } else { self.every + RENEW_EVERY };
            let keeps = kept.n < FIRST || passed >= due;
            if keeps {
                *kept = Kept { n: kept.n.saturating_add(1), last: now };
            }
            return keeps;
        }
        if self.kept.len() >= MAX_ISSUES {
            self.kept.clear();
        }
        self.kept.insert(key.clone(), Kept { n: 1, last: now });
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fingerprint::Fingerprint;

    #[test]
    fn the_first_few_then_one_in_a_while() {
        let key = |n: u8| ("shop".to_owned(), Fingerprint::from_bytes([n; 32]));
        let mut sampler = Sampler::new(Duration::from_secs(60));
        let mut keeps = |n, has_around, second| {
            sampler.keeps(&key(n), has_around, Timestamp::from_second(1_000_000 + i64::from(second)).unwrap())
        };
        let cases = [
            (1, true, 0, true),
            (1, false, 0, true),
            (2, true, 0, true),
            (1, true, 1, true),
            (1, true, 1, false),
            (1, true, 60, false),
            (1, false, 61, false),
            (1, true, 62, true),
            (1, false, 130, false),
            (1, false, 152, true),
            (1, true, 153, false),
            (1, true, 10, true),
        ];
        for (n, has_around, second, expected) in cases {
            assert_eq!(keeps(n, has_around, second), expected, "{n} at {second}");
        }
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut sampler = Sampler::new(Duration::from_secs(60));
        for n in 0..MAX_ISSUES * 3 {
            sampler.keeps(&(n.to_string(), Fingerprint::from_bytes([0; 32])), false, Timestamp::UNIX_EPOCH);
            assert!(sampler.kept.len() <= MAX_ISSUES);
        }
    }
}
