//! How far sources are behind: what they have that nobody has read yet.
//!
//! Each stream notes its own share when it knows it; the sums are told when the metrics are asked for, so that the age of what waits
//! grows also while nothing moves.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::metrics;

/// Shares by source and number, and the sources that ever had one.
static SHARES: Mutex<BTreeMap<&'static str, BTreeMap<u64, Share>>> = Mutex::new(BTreeMap::new());

#[derive(Debug, Clone, Copy)]
struct Share {
    n_bytes: u64,
    since: Instant,
}

/// What one stream adds to the lag of its source; nothing any more when it is dropped.
#[derive(Debug)]
pub struct Lag {
    source: &'static str,
    number: u64,
    is_behind: bool,
}

impl Lag {
    /// Of a stream that is not behind. `source` is the label of the source's metrics.
    pub fn of(source: &'static str) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        with(source, |_| ());
        Self { source, number: NEXT.fetch_add(1, Ordering::Relaxed), is_behind: false }
    }

    /// So many bytes are there and not read. The age counts from when the first of them were noted.
    pub fn note(&mut self, n_bytes: u64) {
        if n_bytes == 0 && !self.is_behind {
            return;
        }
        self.is_behind = n_bytes > 0;
        let (number, is_behind) = (self.number, self.is_behind);
        with(self.source, |shares| {
            if is_behind {
                shares.entry(number).or_insert_with(|| Share { n_bytes, since: Instant::now() }).n_bytes =
                    n_bytes;
            } else {
                shares.remove(&number);
            }
        });
    }
}

impl Drop for Lag {
    fn drop(&mut self) {
        self.note(0);
    }
}

/// Sets the gauges of all sources whose streams note their lag.
pub fn tell() {
    let shares = SHARES.lock().unwrap_or_else(PoisonError::into_inner);
    for (source, shares) in &*shares {
        let (n_bytes, age) = sum(shares.values(), Instant::now());
        metrics::source_lag(source, n_bytes, age);
    }
}

fn sum<'s>(shares: impl Iterator<Item = &'s Share>, now: Instant) -> (u64, Duration) {
    shares.fold((0, Duration::ZERO), |(n_bytes, age), share| {
        (n_bytes + share.n_bytes, age.max(now.saturating_duration_since(share.since)))
    })
}

fn with(source: &'static str, change: impl FnOnce(&mut BTreeMap<u64, Share>)) {
    change(SHARES.lock().unwrap_or_else(PoisonError::into_inner).entry(source).or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noted(source: &'static str) -> Vec<u64> {
        SHARES.lock().unwrap()[source].values().map(|it| it.n_bytes).collect()
    }

    #[test]
    fn a_source_is_as_far_behind_as_its_streams_together() {
        let (mut one, mut other) = (Lag::of("test"), Lag::of("test"));
        assert_eq!(noted("test"), [0; 0]);
        one.note(7);
        other.note(0);
        one.note(5);
        other.note(3);
        assert_eq!(noted("test"), [5, 3]);
        other.note(0);
        assert_eq!(noted("test"), [5]);
        drop(one);
        assert_eq!(noted("test"), [0; 0]);
    }

    #[test]
    fn the_age_is_that_of_the_stream_that_waits_longest() {
        let now = Instant::now();
        let share = |n_bytes, secs| Share { n_bytes, since: now - Duration::from_secs(secs) };
        assert_eq!(sum([share(1, 5), share(2, 9)].iter(), now), (3, Duration::from_secs(9)));
        assert_eq!(sum([].iter(), now), (0, Duration::ZERO));
    }
}
