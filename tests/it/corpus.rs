//! The corpus of bugs: small services that log a real error, and recorded models that fix it rightly, wrongly, dishonestly or not at all.
//!
//! Each bug is a folder of `tests/fixtures/bugs`. Its program is run in its container; what it logs goes through the watching half and
//! becomes an issue for each script; a worker with every stage of healing takes it from the ticket to the proposal at the local forge, with
//! real containers and real git. `bug.toml` says how each script must end.

/// `bug.toml` and its folder.
pub(crate) mod bug;
/// A store, a repository, a scripted model and a worker over every stage.
mod given;
/// What a bug's program logs.
pub(crate) mod record;
/// How each script ended, against how it must.
mod verdict;

use std::collections::BTreeSet;

use bug::Bug;
use verdict::check;

#[test]
fn every_kind_of_script_is_played_in_many_languages() {
    let bugs: Vec<Bug> = bug::names().iter().map(|name| Bug::read(name)).collect();
    let languages: BTreeSet<&str> = bugs.iter().map(|bug| bug.language.as_str()).collect();
    assert!(bugs.len() >= 12 && languages.len() >= 6, "{} bugs in {languages:?}", bugs.len());
    for bug in &bugs {
        let names: BTreeSet<&str> = bug.cases.iter().map(|case| case.name.as_str()).collect();
        assert!(names.is_superset(&BTreeSet::from(["bent", "empty", "right", "wrong"])), "{names:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn billing_dates() {
    check("billing-dates").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn feed_import() {
    check("feed-import").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cart_discounts() {
    check("cart-discounts").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn short_links() {
    check("short-links").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn latency_report() {
    check("latency-report").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn quota() {
    check("quota").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subject_lines() {
    check("subject-lines").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn page_links() {
    check("page-links").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders() {
    check("orders").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions() {
    check("sessions").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn feed_titles() {
    check("feed-titles").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn poll_shares() {
    check("poll-shares").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sensor_mean() {
    check("sensor-mean").await;
}
