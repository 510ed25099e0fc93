//! Money: reserved within limits, settled once, never forgotten.

#![expect(clippy::unwrap_used, reason = "stories are functions, not `#[test]`s themselves")]

use homeostat::base::id::JobId;
use homeostat::base::id::{AttemptId, IssueId, ReservationId};
use homeostat::model::attempt::Attempt;
use homeostat::model::job::{JobKind, NewJob};
use homeostat::model::money::NanoUsd;
use homeostat::model::stage::StageOutcome;
use homeostat::store::types::{
    NewReservation, OpenSpend, Reserved, SpendBy, SpendLimits, SpendRow, SpendSpan, SpendTotals, Usage,
};

use super::given::{Db, at, commit_one, group, stories};

stories! {
    each_limit_is_kept,
    a_reservation_is_settled_once,
    what_was_cut_off_counts_in_full,
    the_same_reservation_again_is_the_same,
    reservers_at_the_same_time_never_pass_a_limit,
    a_call_a_service_and_a_month_have_limits_too,
    spending_is_summed_up_by_anything,
    what_a_job_leaves_open_is_unsettled_when_it_is_over,
}

fn reservation(attempt: AttemptId, issue: IssueId, amount: i64, second: i64) -> NewReservation {
    NewReservation {
        id: ReservationId::new(),
        attempt,
        issue,
        service: "shop".to_owned(),
        model: "a-model".to_owned(),
        amount: NanoUsd(amount),
        at: at(second),
    }
}

const fn limits(per_attempt: i64, per_issue: i64, per_day: i64) -> SpendLimits {
    SpendLimits {
        per_attempt: NanoUsd(per_attempt),
        per_issue: NanoUsd(per_issue),
        per_day: NanoUsd(per_day),
        ..SpendLimits::NONE
    }
}

const DAY: i64 = 86_400;
const USAGE: Usage =
    Usage { input_tokens: 10, cache_write_tokens: 20, cache_read_tokens: 30, output_tokens: 40 };

fn totals(settled: i64, reserved: i64, unsettled: i64, n_calls: u64) -> SpendTotals {
    SpendTotals {
        settled: NanoUsd(settled),
        reserved: NanoUsd(reserved),
        unsettled: NanoUsd(unsettled),
        n_calls,
    }
}

async fn each_limit_is_kept(db: Db) {
    let limits = limits(100, 150, 200);
    let issues = [IssueId::new(), IssueId::new()];
    let attempts = [AttemptId::new(), AttemptId::new(), AttemptId::new()];
    let refused = |limit, limit_amount, spent| Reserved::Refused {
        limit,
        limit_amount: NanoUsd(limit_amount),
        spent: NanoUsd(spent),
    };
    // (attempt, issue, amount, second, answer), in order: midnight is at 0.
    let cases = [
        (0, 0, 101, 1, refused("attempt", 100, 0)),
        (0, 0, 60, 1, Reserved::Granted),
        (0, 0, 41, 2, refused("attempt", 100, 60)),
        (0, 0, 40, 3, Reserved::Granted),
        (1, 0, 51, 4, refused("issue", 150, 100)),
        (1, 0, 50, 5, Reserved::Granted),
        (2, 1, 51, 6, refused("day", 200, 150)),
        (2, 1, 50, DAY - 1, Reserved::Granted),
        (2, 1, 1, DAY - 1, refused("day", 200, 200)),
        (2, 1, 50, DAY, Reserved::Granted),
    ];
    for (attempt, issue, amount, second, expected) in cases {
        let new = reservation(attempts[attempt], issues[issue], amount, second);
        let told = db.store.reserve(new, limits).await.unwrap();
        assert_eq!(told, expected, "attempt {attempt}, issue {issue}, {amount} at {second}");
    }
    assert_eq!(db.store.spend_of_attempt(attempts[2]).await.unwrap(), totals(0, 100, 0, 2));
    assert_eq!(db.store.spend_since(at(0)).await.unwrap(), totals(0, 250, 0, 5));
    assert_eq!(db.store.overview(at(DAY + 5)).await.unwrap().spend_today, totals(0, 50, 0, 1));
}

async fn a_reservation_is_settled_once(db: Db) {
    let attempt = AttemptId::new();
    let new = reservation(attempt, IssueId::new(), 100, 1);
    let id = new.id;
    db.store.reserve(new, limits(100, 100, 100)).await.unwrap();
    db.store.settle(id, USAGE, NanoUsd(30), at(2)).await.unwrap();
    db.store.settle(id, Usage::default(), NanoUsd(99), at(3)).await.unwrap();
    assert_eq!(db.store.spend_of_attempt(attempt).await.unwrap(), totals(30, 0, 0, 1));
    // What was settled makes room for what was reserved too much.
    let next = reservation(attempt, IssueId::new(), 70, 4);
    assert_eq!(db.store.reserve(next, limits(100, 100, 100)).await.unwrap(), Reserved::Granted);
    let missing = ReservationId::new();
    let error = db.store.settle(missing, USAGE, NanoUsd(1), at(5)).await.unwrap_err();
    assert_eq!(error.to_string(), format!("there is no reservation `{missing}`"));
}

async fn what_was_cut_off_counts_in_full(db: Db) {
    let (attempt, other) = (AttemptId::new(), AttemptId::new());
    let issue = IssueId::new();
    let wide = limits(1000, 1000, 1000);
    let reservations: Vec<_> = (0..3).map(|second| reservation(attempt, issue, 100, second)).collect();
    for new in &reservations {
        db.store.reserve(new.clone(), wide).await.unwrap();
    }
    db.store.reserve(reservation(other, issue, 5, 3), wide).await.unwrap();
    db.store.settle(reservations[0].id, USAGE, NanoUsd(10), at(4)).await.unwrap();
    assert_eq!(db.store.settle_cut_off(attempt, at(5)).await.unwrap(), 2);
    assert_eq!(db.store.settle_cut_off(attempt, at(6)).await.unwrap(), 0);
    let spent = db.store.spend_of_attempt(attempt).await.unwrap();
    assert_eq!((spent, spent.total()), (totals(10, 0, 200, 3), NanoUsd(210)));
    db.store.settle(reservations[1].id, USAGE, NanoUsd(1), at(7)).await.unwrap();
    assert_eq!(db.store.spend_of_attempt(attempt).await.unwrap(), spent);
    assert_eq!(db.store.spend_since(at(0)).await.unwrap(), totals(10, 5, 200, 4));
}

async fn the_same_reservation_again_is_the_same(db: Db) {
    let attempt = AttemptId::new();
    let new = reservation(attempt, IssueId::new(), 100, 1);
    for _ in 0..2 {
        let told = db.store.reserve(new.clone(), limits(100, 100, 100)).await.unwrap();
        assert_eq!(told, Reserved::Granted);
    }
    assert_eq!(db.store.spend_of_attempt(attempt).await.unwrap(), totals(0, 100, 0, 1));
}

async fn reservers_at_the_same_time_never_pass_a_limit(db: Db) {
    let stores = [db.opened_again().await, db.opened_again().await];
    let tasks = (0..8).map(|worker| {
        let store = std::sync::Arc::clone(&stores[worker % 2]);
        tokio::spawn(async move {
            let mut n_granted = 0;
            for second in 0..10 {
                let new = reservation(AttemptId::new(), IssueId::new(), 30, second);
                match store.reserve(new, limits(100, 100, 1000)).await.unwrap() {
                    Reserved::Granted => n_granted += 1,
                    Reserved::Refused { limit, .. } => assert_eq!(limit, "day"),
                }
            }
            n_granted
        })
    });
    let granted = futures_util::future::join_all(tasks).await;
    let n_granted: u64 = granted.into_iter().map(Result::unwrap).sum();
    assert_eq!(n_granted, 33);
    assert_eq!(db.store.spend_since(at(0)).await.unwrap(), totals(0, 990, 0, 33));
}

async fn a_call_a_service_and_a_month_have_limits_too(db: Db) {
    let limits = SpendLimits {
        per_call: NanoUsd(50),
        per_service_day: NanoUsd(70),
        per_month: NanoUsd(160),
        ..SpendLimits::NONE
    };
    let refused = |limit, limit_amount, spent| Reserved::Refused {
        limit,
        limit_amount: NanoUsd(limit_amount),
        spent: NanoUsd(spent),
    };
    // (service, amount, second, answer), in order; the first of a month is at 0.
    let cases = [
        ("shop", 51, 1, refused("call", 50, 0)),
        ("shop", 50, 1, Reserved::Granted),
        ("shop", 21, 2, refused("service", 70, 50)),
        ("bank", 50, 3, Reserved::Granted),
        ("shop", 50, DAY, Reserved::Granted),
        ("shop", 11, 30 * DAY, refused("month", 160, 150)),
        ("shop", 11, 31 * DAY, Reserved::Granted),
    ];
    for (service, amount, second, expected) in cases {
        let new = NewReservation {
            service: service.to_owned(),
            ..reservation(AttemptId::new(), IssueId::new(), amount, second)
        };
        let told = db.store.reserve(new, limits).await.unwrap();
        assert_eq!(told, expected, "{service}, {amount} at {second}");
    }
    let overview = db.store.overview(at(31 * DAY)).await.unwrap();
    assert_eq!((overview.spend_today, overview.spend_month), (totals(0, 11, 0, 1), totals(0, 11, 0, 1)));
    let overview = db.store.overview(at(DAY)).await.unwrap();
    assert_eq!((overview.spend_today, overview.spend_month), (totals(0, 61, 0, 2), totals(0, 161, 0, 4)));
}

async fn spending_is_summed_up_by_anything(db: Db) {
    let (issues, attempts) = ([IssueId::new(), IssueId::new()], [AttemptId::new(), AttemptId::new()]);
    // (attempt, service, model, amount, second, cost)
    let calls = [
        (0, "shop", "small", 100, 1, Some(10)),
        (0, "shop", "large", 200, 2, None),
        (1, "bank", "small", 300, DAY, Some(30)),
        (1, "bank", "small", 400, 31 * DAY, None),
    ];
    let mut ids = Vec::new();
    for (which, service, model, amount, second, cost) in calls {
        let new = NewReservation {
            service: service.to_owned(),
            model: model.to_owned(),
            ..reservation(attempts[which], issues[which], amount, second)
        };
        ids.push(new.id);
        db.store.reserve(new, SpendLimits::NONE).await.unwrap();
        if let Some(cost) = cost {
            db.store.settle(*ids.last().unwrap(), USAGE, NanoUsd(cost), at(second + 1)).await.unwrap();
        }
    }
    db.store.settle_cut_off(attempts[0], at(3)).await.unwrap();
    let used = |n: u64| Usage {
        input_tokens: 10 * n,
        cache_write_tokens: 20 * n,
        cache_read_tokens: 30 * n,
        output_tokens: 40 * n,
    };
    let row = |key: &str, totals, n_used| SpendRow { key: key.to_owned(), totals, usage: used(n_used) };
    let by = async |by, span| db.store.spend_by(by, span).await.unwrap();
    let all = SpendSpan::ALL;
    let first = totals(10, 0, 200, 2);
    let later = totals(30, 400, 0, 2);
    let month = row("2026-01", totals(40, 0, 200, 3), 2);
    assert_eq!(by(SpendBy::Month, all).await, [month, row("2026-02", totals(0, 400, 0, 1), 0)]);
    assert_eq!(by(SpendBy::Service, all).await, [row("bank", later, 1), row("shop", first, 1)]);
    let large = row("large", totals(0, 0, 200, 1), 0);
    assert_eq!(by(SpendBy::Model, all).await, [large, row("small", totals(40, 400, 0, 3), 2)]);
    let mut expected =
        [row(&issues[0].to_string(), first, 1), row(&issues[1].to_string(), later, 1)].to_vec();
    expected.sort_by(|a, b| a.key.cmp(&b.key));
    assert_eq!(by(SpendBy::Issue, all).await, expected);
    expected[0].key = attempts[usize::from(expected[0].totals != first)].to_string();
    expected[1].key = attempts[usize::from(expected[1].totals != first)].to_string();
    expected.sort_by(|a, b| a.key.cmp(&b.key));
    assert_eq!(by(SpendBy::Attempt, all).await, expected);
    let span = SpendSpan { since: at(2), until: at(31 * DAY) };
    let days = [row("2026-01-01", totals(0, 0, 200, 1), 0), row("2026-01-02", totals(30, 0, 0, 1), 1)];
    assert_eq!(by(SpendBy::Day, span).await, days);

    let open = |call: usize, which: usize, is_cut_off| OpenSpend {
        id: ids[call],
        attempt: attempts[which],
        issue: issues[which],
        service: calls[call].1.to_owned(),
        model: calls[call].2.to_owned(),
        amount: NanoUsd(calls[call].3),
        at: at(calls[call].4),
        is_cut_off,
    };
    assert_eq!(db.store.open_spend(all, 9).await.unwrap(), [open(3, 1, false), open(1, 0, true)]);
    assert_eq!(db.store.open_spend(all, 1).await.unwrap(), [open(3, 1, false)]);
    assert_eq!(db.store.open_spend(span, 9).await.unwrap(), [open(1, 0, true)]);
}

/// However a fix ends, nothing stays reserved for it: a cancel while it waits, or a death under its lease.
async fn what_a_job_leaves_open_is_unsettled_when_it_is_over(db: Db) {
    let issue = commit_one(&*db.store, group(1, 0), 0).await.issue;
    let job = db.store.enqueue(NewJob::fix(issue, 0), at(1)).await.unwrap();
    let left_open = async |number: u32| {
        let attempt = attempt(issue, job, number);
        db.store.save_attempt(&attempt).await.unwrap();
        let new = reservation(attempt.id, issue, 100, 2);
        db.store.reserve(new, SpendLimits::NONE).await.unwrap();
        attempt.id
    };
    let first = left_open(1).await;
    let lease = db.store.lease(&[JobKind::Fix], "test", at(3), std::time::Duration::from_secs(60)).await;
    let lease = lease.unwrap().unwrap();
    db.store.complete(job, lease.token, StageOutcome::released(), None, at(4)).await.unwrap();
    assert_eq!(db.store.spend_of_attempt(first).await.unwrap(), totals(0, 100, 0, 1));
    db.store.cancel_job(job, "ada", at(5)).await.unwrap();
    assert_eq!(db.store.spend_of_attempt(first).await.unwrap(), totals(0, 0, 100, 1));

    db.store.requeue_job(job, "ada", at(6)).await.unwrap();
    let second = left_open(2).await;
    let lease = db.store.lease(&[JobKind::Fix], "test", at(7), std::time::Duration::from_secs(60)).await;
    let lease = lease.unwrap().unwrap();
    db.store.complete(job, lease.token, StageOutcome::failed("no"), None, at(8)).await.unwrap();
    assert_eq!(db.store.spend_of_attempt(second).await.unwrap(), totals(0, 0, 100, 1));
}

fn attempt(issue: IssueId, job: JobId, number: u32) -> Attempt {
    Attempt {
        id: AttemptId::new(),
        issue,
        job,
        number,
        model: "a-model".to_owned(),
        base_commit: String::new(),
        started_at: at(1),
        ended_at: None,
        outcome: None,
        report: String::new(),
        patch: String::new(),
        validation: None,
        cost: NanoUsd::ZERO,
        n_model_calls: 0,
        n_tool_calls: 0,
    }
}
