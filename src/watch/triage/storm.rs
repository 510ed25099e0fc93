//! Too many new fingerprints at once: a deployment gone wrong, not so many bugs.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::base::clock::Timestamp;

/// What the canonical form of a storm issue is made of; the service is its key beside it.
pub const STORM_TITLE: &str = "storm of new errors";

/// Services whose windows are kept. Names of services may come from outside: from labels, from syslog's tags.
const MAX_SERVICES: usize = 10_000;

/// The windows of all services.
#[derive(Debug, Default)]
pub struct Storms {
    windows: HashMap<String, StormWindow>,
    /// When windows were last taken away.
    swept_at: Option<Timestamp>,
}

impl Storms {
    /// The window of a service. Where too many services have one, those without a new fingerprint for `keep` before `now` lose theirs;
    /// where all have had one, services that come new share a window.
    pub fn of(&mut self, service: &str, now: Timestamp, keep: Duration) -> &mut StormWindow {
        let is_new = !self.windows.contains_key(service);
        let was_just_swept = self.swept_at.is_some_and(|at| at <= now && is_within(at, keep, now));
        if is_new && self.windows.len() >= MAX_SERVICES && !was_just_swept {
            self.windows.retain(|_, window| window.is_recent(now, keep));
            self.swept_at = Some(now);
        }
        let service = if is_new && self.windows.len() >= MAX_SERVICES { "" } else { service };
        self.windows.entry(service.to_owned()).or_default()
    }
}

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
        // A clock that was set back: what it has not reached again yet says nothing.
        self.seen.retain(|at| *at <= now);
        let keep = usize::try_from(threshold).unwrap_or(usize::MAX).saturating_add(1);
        self.seen.push_back(now);
        while self.seen.len() > keep {
            self.seen.pop_front();
        }
        let is_full = self.seen.len() == keep;
        if is_full && self.seen.front().is_some_and(|at| is_within(*at, window, now)) {
            Some(*self.started_at.get_or_insert(now))
        } else {
            self.started_at = None;
            None
        }
    }

    fn is_recent(&self, now: Timestamp, window: Duration) -> bool {
        self.seen.back().is_some_and(|at| is_within(*at, window, now))
    }
}

fn is_within(at: Timestamp, window: Duration, now: Timestamp) -> bool {
    at.saturating_add(window).is_ok_and(|end| end >= now)
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

    #[test]
    fn a_clock_that_is_set_back_makes_no_storm() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut storm = StormWindow::default();
        let mut note = |second| storm.note(at(second), 2, Duration::from_secs(10)).map(Timestamp::as_second);
        let answers: Vec<Option<i64>> = [100, 101, 0, 20, 40, 41, 42].into_iter().map(&mut note).collect();
        assert_eq!(answers, [None, None, None, None, None, None, Some(42)]);
    }

    #[test]
    fn services_without_number_have_a_bounded_number_of_windows() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let keep = Duration::from_secs(10);
        let mut storms = Storms::default();
        for n in 0..20_000 {
            storms.of(&format!("service-{n}"), at(0), keep).note(at(0), 2, keep);
        }
        assert_eq!(storms.windows.len(), MAX_SERVICES + 1, "one is for all that came late");
        storms.of("later", at(60), keep).note(at(60), 2, keep);
        assert_eq!(storms.windows.len(), 1);
    }
}
