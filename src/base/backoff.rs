//! How long to wait before trying again: exponential, capped, with full jitter.
//!
//! One type for reconnects, outside calls and job retries. It only computes; the caller waits.

use std::time::Duration;

/// Delays that double from `base` to `cap`, each drawn from `[delay/2, delay]` so that many waiters spread out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    base: Duration,
    cap: Duration,
}

impl Backoff {
    /// A schedule that starts at `base` and never passes `cap`. A `base` of zero is raised to one millisecond,
    /// a `cap` under `base` is raised to `base`: a retry loop must never spin.
    pub const fn new(base: Duration, cap: Duration) -> Self {
        let base = if base.is_zero() { Duration::from_millis(1) } else { base };
        let cap = if cap.as_nanos() < base.as_nanos() { base } else { cap };
        Self { base, cap }
    }

    /// The longest delay before the retry that follows failure number `n_failures` (1 for the first).
    pub fn ceiling(&self, n_failures: u32) -> Duration {
        let doublings = n_failures.saturating_sub(1).min(31);
        self.base.saturating_mul(1 << doublings).min(self.cap)
    }

    /// The delay before the retry that follows failure number `n_failures`, with jitter.
    pub fn delay(&self, n_failures: u32) -> Duration {
        let ceiling = self.ceiling(n_failures);
        ceiling.mul_f64(0.5 + fastrand::f64() / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_cap() {
        let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(10));
        let ceilings: Vec<u64> = (0..7).map(|n| backoff.ceiling(n).as_secs()).collect();
        assert_eq!(ceilings, [1, 1, 2, 4, 8, 10, 10]);
        assert_eq!(backoff.ceiling(u32::MAX).as_secs(), 10);
    }

    #[test]
    fn jitter_stays_in_the_upper_half() {
        let backoff = Backoff::new(Duration::from_secs(4), Duration::from_secs(4));
        for _ in 0..1000 {
            let delay = backoff.delay(1);
            assert!((Duration::from_secs(2)..=Duration::from_secs(4)).contains(&delay), "{delay:?}");
        }
    }

    #[test]
    fn never_spins() {
        assert!(!Backoff::new(Duration::ZERO, Duration::ZERO).delay(1).is_zero());
    }
}
