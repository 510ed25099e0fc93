//! Too many new fingerprints at once: a deployment gone wrong, not so many bugs.

use std::collections::VecDeque;
use std::time::Duration;

use crate::base::clock::Timestamp;

/// What the canonical form of a storm issue is made of; the service is its key beside it.
pub const STORM_TITLE: &str = "storm of new errors";

/// New fingerprints of one service within the window.
#[derive(Debug, Clone, Default)]
pub struct StormWindow {
    /// When new fingerprints were seen, oldest first; never longer than the threshold and one.
    seen: VecDeque<Timestamp>,
    started_at: Option<Timestamp>,
}

impl StormWindow {
    /// Notes a new fingerprint at `now`; when the storm began if there is one, that is if more than `threshold` were new
    /// within `window`.
    pub fn note(&mut self, now: Timestamp, threshold: u32, window: Duration) -> Option<Timestamp> {
        let keep = usize::try_from(threshold).unwrap_or(usize::MAX).saturating_add(1);
        self.seen.push_back(now);
        while self.seen.len() > keep {
            self.seen.pop_front();
        }
        let is_full = self.seen.len() == keep;
        let is_recent = |at: &Timestamp| at.saturating_add(window).is_ok_and(|end| end >= now);
        if is_full && self.seen.front().is_some_and(is_recent) {
            Some(*self.started_at.get_or_insert(now))
        } else {
            self.started_at = None;
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn begins_above_the_threshold_and_ends_when_it_is_quiet() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut storm = StormWindow::default();
        let mut note = |second| storm.note(at(second), 2, Duration::from_secs(10)).map(Timestamp::as_second);
        let answers: Vec<Option<i64>> = [0, 1, 2, 3, 9, 30, 31, 32].into_iter().map(&mut note).collect();
        assert_eq!(answers, [None, None, Some(2), Some(2), Some(2), None, None, Some(32)]);
    }
}
