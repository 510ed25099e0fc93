//! Eight workers of the fix stage at once, under one daily limit.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use homeostat::agent::scripted::script::{Instead, Turn};
use homeostat::base::clock::{Clock, SystemClock};
use homeostat::heal::fix::FixStage;
use homeostat::model::attempt::Outcome;
use homeostat::model::money::NanoUsd;
use homeostat::model::stage::{Stage, StageResult};
use serde_json::json;

use super::given::{Desk, Given, RECORD, SHOP, model};
use super::play::always;

const N_WORKERS: usize = 8;

/// Reads on and on, slowly enough that calls of several workers are under way at the same time.
fn reading() -> Vec<Turn> {
    let read = |line: u32| {
        let turn = Turn::tool("read_file", json!({ "path": "shop/stats.py", "first_line": line }));
        turn.after(Instead::Delay { milliseconds: 150 })
    };
    (1..=12).map(read).collect()
}

#[tokio::test]
async fn eight_workers_never_pass_the_daily_limit() {
    let mut given = Given::new(SHOP).await;
    // About three calls can be under way at a time, and each costs a fraction of what is reserved for it.
    let limit = NanoUsd::from_usd(0.62);
    given.settings.spend_per_day = limit;
    given.settings.max_attempts = 1;
    let model = model(always(reading())).await;
    let mut leased = Vec::new();
    let mut issues = Vec::new();
    for n in 0..N_WORKERS {
        let record = RECORD.replace("in mean", &format!("in mean_{n}"));
        leased.push(given.lease_fix_of(&record).await);
        issues.push(given.issue());
    }
    let stage = Arc::new(FixStage::new(given.parts(&model).await));
    let is_over = Arc::new(AtomicBool::new(false));
    let watcher = tokio::spawn({
        let (store, is_over) = (Arc::clone(&given.store), Arc::clone(&is_over));
        async move {
            let mut most = NanoUsd::ZERO;
            while !is_over.load(Ordering::Relaxed) {
                let spent = store.overview(SystemClock.now()).await.unwrap().spend_today.total();
                most = most.max(spent);
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            most
        }
    });
    let runs = leased.iter().map(|leased| {
        let (stage, context) = (Arc::clone(&stage), given.context(leased, &Desk::default()));
        tokio::spawn(async move { stage.run(context).await })
    });
    for outcome in futures_util::future::join_all(runs).await {
        let outcome = outcome.unwrap();
        assert!(matches!(outcome.result, StageResult::Done { .. }), "{outcome:?}");
    }
    is_over.store(true, Ordering::Relaxed);
    let most = watcher.await.unwrap();
    assert_eq!(model.refusals(), Vec::<String>::new());

    let mut n_stopped = 0;
    for issue in issues {
        let attempts = given.store.attempts(issue).await.unwrap();
        assert_eq!(attempts.len(), 1, "{attempts:#?}");
        if attempts[0].outcome == Some(Outcome::OverBudget) {
            assert!(attempts[0].report.contains("day"), "{}", attempts[0].report);
            n_stopped += 1;
        }
    }
    let spent = given.store.overview(SystemClock.now()).await.unwrap().spend_today;
    let books = model.books();
    assert!(most <= limit && spent.total() <= limit, "{most} and {spent:?} of {limit}");
    assert!(n_stopped >= 1 && books.n_answered >= 3, "{n_stopped} stopped, {books:?}");
    assert_eq!((spent.settled, spent.reserved, spent.unsettled), (books.cost, NanoUsd::ZERO, NanoUsd::ZERO));
    assert_eq!(given.containers().await, Vec::<String>::new());
}
