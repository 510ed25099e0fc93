//! What fixing costs besides the model: time before its first call, and the daemon's memory while many attempts run.

#![expect(clippy::unwrap_used, reason = "a test that measures tells what it found")]

use std::time::{Duration, Instant};

use homeostat::model::attempt::Outcome;

use super::given::{Desk, Given, RECORD, SHOP, model};
use super::play::{always, right_fix, run};
use crate::support::wait::{PATIENCE, eventually};

/// Attempts at once.
const N_ATTEMPTS: usize = 8;

/// Of the repository that each of them works on.
const N_MEBIBYTES: usize = 12;

/// Most that so many may add to a process, which runs their scripted models and git servers as well: with it the daemon, which is small
/// when it does nothing, stays below 200 MiB.
const MAX_ADDED: u64 = 150 << 20;

/// From the lease to the first call, with a mirror that is there and the image's layers read before.
const MAX_WAIT: Duration = Duration::from_secs(3);

/// How long it takes from the lease to the first model call, and what was done in between.
async fn first_call() -> (Duration, Vec<String>) {
    let mut given = Given::new(SHOP).await;
    let model = model(always(right_fix())).await;
    let leased = given.lease_fix_of(RECORD).await;
    // A first lease that ends before the agent leaves the mirror behind.
    let desk = Desk::stopping_at("clone");
    given.run_until(&leased, &model, &desk).await;
    given.release(&leased).await;

    let leased = given.lease().await;
    let desk = Desk::stopping_at("model call");
    let start = Instant::now();
    let called = async {
        eventually("the first call", PATIENCE, async || {
            desk.steps().iter().any(|step| step.starts_with("model call")).then_some(start.elapsed())
        })
        .await
    };
    let (_, took) = tokio::join!(given.run_until(&leased, &model, &desk), called);
    (took, desk.steps())
}

#[tokio::test]
async fn alone_the_first_model_call_comes_soon_after_the_lease() {
    // The best of three: what else the machine does is none of ours.
    let mut runs = Vec::new();
    for _ in 0..3 {
        runs.push(first_call().await);
    }
    let times: Vec<Duration> = runs.iter().map(|(took, _)| *took).collect();
    let best = times.iter().min().copied().unwrap();
    assert!(best <= MAX_WAIT, "{times:?}: {:#?}", runs[0].1);
    eprintln!("from lease to first model call: {times:?}");
}

/// Bytes of this process that are in memory now, from `/proc/self/statm`.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alone_eight_attempts_at_once_take_little_memory() {
    // Text that does not compress to nothing, so that what is held anywhere is as large as it would be.
    let mut chance = fastrand::Rng::with_seed(7);
    let data: Vec<String> = (0..N_MEBIBYTES)
        .map(|_| (0..1 << 15).map(|_| format!("{:032x}", chance.u128(..))).collect())
        .collect();
    let names: Vec<String> = (0..N_MEBIBYTES).map(|n| format!("data/{n}.txt")).collect();
    let mut files = SHOP.to_vec();
    files.extend(names.iter().map(String::as_str).zip(data.iter().map(String::as_str)));
    let mut all = Vec::new();
    for _ in 0..N_ATTEMPTS {
        let mut turns = right_fix();
        turns.insert(4, run("sleep 2; yes | head -c 3M"));
        let mut given = Given::new(&files).await;
        given.settings.sandbox.workspace_bytes = 256 << 20;
        given.settings.sandbox.memory_bytes = 256 << 20;
        let leased = given.lease_fix_of(RECORD).await;
        all.push((given, leased, model(always(turns)).await));
    }
    drop(files);
    drop(data);
    let before = resident();
    let peak = std::sync::atomic::AtomicU64::new(0);
    let watch = async {
        loop {
            peak.fetch_max(resident(), std::sync::atomic::Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let attempts = futures_util::future::join_all(
        all.iter().map(|(given, leased, model)| async { given.run(leased, model).await }),
    );
    tokio::select! {
        _ = attempts => {}
        () = watch => {}
    }
    let peak = peak.into_inner();
    eprintln!("{N_ATTEMPTS} attempts: {} MiB, {} MiB before them", peak >> 20, before >> 20);
    for (given, ..) in &all {
        assert_eq!(given.attempt().await.outcome, Some(Outcome::Fixed));
    }
    assert!(peak.saturating_sub(before) <= MAX_ADDED, "{} MiB, {} MiB before", peak >> 20, before >> 20);
}
