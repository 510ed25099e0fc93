//! Money: reserved within limits, settled once, never forgotten.

#![expect(clippy::unwrap_used, reason = "stories are functions, not `#[test]`s themselves")]

use homeostat::base::id::{AttemptId, IssueId, ReservationId};
use homeostat::model::money::NanoUsd;
use homeostat::store::types::{NewReservation, Reserved, SpendLimits, SpendTotals, Usage};

use super::given::{Db, at, stories};

stories! {
    each_limit_is_kept,
    a_reservation_is_settled_once,
    what_was_cut_off_counts_in_full,
    the_same_reservation_again_is_the_same,
    reservers_at_the_same_time_never_pass_a_limit,
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
