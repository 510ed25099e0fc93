//! The decision for one occurrence, and the jobs it asks for.

use std::time::Duration;

use super::storm::StormWindow;
use crate::base::clock::Timestamp;
use crate::model::decision::Decision;
use crate::model::detection::{Action, Course};
use crate::model::issue::IssueState;
use crate::model::job::NewJob;
use crate::model::service::{Route, Service};

/// Settings of triage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// After a fix has landed the old version may still run for so long: what it logs does not reopen the issue.
    pub landing_grace: Duration,
    /// More new fingerprints of one service than this within `storm_window` are one storm.
    pub storm_fingerprints: u32,
    pub storm_window: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            landing_grace: Duration::from_secs(600),
            storm_fingerprints: 20,
            storm_window: Duration::from_secs(300),
        }
    }
}

/// What the decision rests on.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    pub action: Action,
    /// What its rule wants of it.
    pub course: Course,
    pub service: &'a Service,
    /// The issue, if there is one: its state, since when, and whether a ticket or fix was ever queued for it.
    pub known: Option<Known>,
    pub now: Timestamp,
}

/// What is known of the issue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    pub state: IssueState,
    pub state_since: Timestamp,
    pub is_acted_on: bool,
}

/// The decision and the jobs that follow.
#[derive(Debug, Clone, PartialEq)]
pub struct Triaged {
    pub decision: Decision,
    pub jobs: Vec<NewJob>,
}

/// What an occurrence means. `storm` is the service's own window and is told of new fingerprints.
pub fn decide(settings: &Settings, facts: Facts<'_>, storm: &mut StormWindow) -> Triaged {
    let count = |reason| Triaged { decision: Decision::Count { reason }, jobs: Vec::new() };
    if facts.action == Action::Count {
        return count("its rule only counts");
    }
    let route = facts.course.route.map_or(facts.service.route, |route| route.min(facts.service.route));
    if route == Route::Ignore {
        return count("the route of its rule or service is ignore");
    }
    let then_fix = route == Route::Fix && facts.service.fixable().is_some();
    let Some(known) = facts.known else {
        let started_at = storm.note(facts.now, settings.storm_fingerprints, settings.storm_window);
        return match started_at {
            Some(started_at) => Triaged {
                decision: Decision::Storm { reason: "too many new fingerprints at once" },
                // Told with the occurrence that began it: people wait for that commit, and for none that follows.
                jobs: if started_at == facts.now {
                    vec![NewJob::announce_storm(started_at)]
                } else {
                    Vec::new()
                },
            },
            None => act(then_fix, "new"),
        };
    };
    match known.state {
        IssueState::Muted { until } if until.is_none_or(|until| until > facts.now) => count("muted"),
        IssueState::Landed | IssueState::Resolved
            if facts.course.cooldown.is_some_and(|it| is_within(known.state_since, it, facts.now)) =>
        {
            count("it was held to be over just now, its rule gives it time")
        }
        IssueState::Landed
            if facts.course.cooldown.is_none()
                && is_within(known.state_since, settings.landing_grace, facts.now) =>
        {
            count("its fix has just landed, the old version may still run")
        }
        IssueState::Landed | IssueState::Resolved => Triaged {
            decision: Decision::Reopen { reason: "it was held to be over and is back" },
            jobs: vec![NewJob::report_reopened(then_fix, facts.now)],
        },
        IssueState::Open if !known.is_acted_on => act(then_fix, "known, but nothing was done about it yet"),
        IssueState::Open
        | IssueState::Fixing
        | IssueState::Proposed
        | IssueState::NeedsPerson
        | IssueState::Muted { .. }
        | IssueState::Merged { .. } => count("known"),
    }
}

fn act(then_fix: bool, reason: &'static str) -> Triaged {
    let decision = if then_fix { Decision::Fix { reason } } else { Decision::Ticket { reason } };
    Triaged { decision, jobs: vec![NewJob::open_ticket(then_fix)] }
}

fn is_within(since: Timestamp, span: Duration, now: Timestamp) -> bool {
    since.saturating_add(span).is_ok_and(|end| end > now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::service::Repository;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn service(route: Route, has_repository: bool) -> Service {
        let repository = has_repository.then(|| Repository {
            url: "/srv/git/shop.git".to_owned(),
            base_branch: "main".to_owned(),
            revision: None,
            folder: String::new(),
        });
        Service { name: "shop".to_owned(), repository, route }
    }

    fn known(state: IssueState, since: i64) -> Option<Known> {
        Some(Known { state, state_since: at(since), is_acted_on: true })
    }

    fn name(action: Action, service: &Service, known: Option<Known>) -> (&'static str, usize) {
        let facts = Facts { action, course: Course::default(), service, known, now: at(10_000) };
        let triaged = decide(&Settings::default(), facts, &mut StormWindow::default());
        (triaged.decision.name(), triaged.jobs.len())
    }

    #[test]
    fn never_does_more_than_rule_and_route_allow() {
        use Action::{Count, Issue};
        let cases = [
            (Count, Route::Fix, true, ("count", 0)),
            (Issue, Route::Ignore, true, ("count", 0)),
            (Issue, Route::Ticket, true, ("ticket", 1)),
            (Issue, Route::Fix, false, ("ticket", 1)),
            (Issue, Route::Fix, true, ("fix", 1)),
        ];
        for (action, route, has_repository, expected) in cases {
            assert_eq!(name(action, &service(route, has_repository), None), expected, "{action:?} {route:?}");
        }
    }

    #[test]
    fn a_known_issue_is_counted_unless_it_is_back() {
        let shop = service(Route::Fix, true);
        let cases = [
            (known(IssueState::Open, 0), "count"),
            (known(IssueState::Fixing, 0), "count"),
            (known(IssueState::Proposed, 0), "count"),
            (known(IssueState::NeedsPerson, 0), "count"),
            (known(IssueState::Landed, 9_900), "count"),
            (known(IssueState::Landed, 9_000), "reopen"),
            (known(IssueState::Resolved, 9_999), "reopen"),
            (known(IssueState::Muted { until: None }, 0), "count"),
            (known(IssueState::Muted { until: Some(at(9_000)) }, 0), "count"),
            (Some(Known { state: IssueState::Open, state_since: at(0), is_acted_on: false }), "fix"),
        ];
        for (known, expected) in cases {
            assert_eq!(name(Action::Issue, &shop, known).0, expected, "{known:?}");
        }
    }

    #[test]
    fn a_rule_has_a_course_of_its_own_within_the_services() {
        let of = |route, cooldown: Option<u64>, service: &Service, known| {
            let course = Course { route, cooldown: cooldown.map(Duration::from_secs) };
            let facts = Facts { action: Action::Issue, course, service, known, now: at(10_000) };
            let triaged = decide(&Settings::default(), facts, &mut StormWindow::default());
            (triaged.decision.name(), triaged.jobs.len())
        };
        let (fixed, ticketed) = (service(Route::Fix, true), service(Route::Ticket, true));
        let cases = [
            (Some(Route::Ticket), None, &fixed, None, ("ticket", 1)),
            (Some(Route::Ignore), None, &fixed, None, ("count", 0)),
            (Some(Route::Fix), None, &fixed, None, ("fix", 1)),
            (Some(Route::Fix), None, &ticketed, None, ("ticket", 1)),
            (None, Some(3600), &fixed, None, ("fix", 1)),
            (None, Some(3600), &fixed, known(IssueState::Resolved, 9_000), ("count", 0)),
            (None, Some(900), &fixed, known(IssueState::Resolved, 9_000), ("reopen", 1)),
            (None, Some(3600), &fixed, known(IssueState::Landed, 9_000), ("count", 0)),
            (None, Some(0), &fixed, known(IssueState::Landed, 9_999), ("reopen", 1)),
        ];
        for (route, cooldown, service, known, expected) in cases {
            assert_eq!(of(route, cooldown, service, known), expected, "{route:?} {cooldown:?} {known:?}");
        }
    }

    #[test]
    fn many_new_fingerprints_are_one_storm_with_one_notice() {
        let shop = service(Route::Fix, true);
        let mut storm = StormWindow::default();
        let course = Course::default();
        let facts =
            |second| Facts { action: Action::Issue, course, service: &shop, known: None, now: at(second) };
        let settings = Settings { storm_fingerprints: 3, ..Settings::default() };
        let all: Vec<Triaged> = (50..56).map(|second| decide(&settings, facts(second), &mut storm)).collect();
        let names: Vec<&str> = all.iter().map(|it| it.decision.name()).collect();
        assert_eq!(names, ["fix", "fix", "fix", "storm", "storm", "storm"]);
        assert_eq!(all[3..].iter().map(|it| it.jobs.len()).collect::<Vec<_>>(), [1, 0, 0]);
    }
}
