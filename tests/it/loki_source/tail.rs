//! Loki's tail is a hint: with it lines come at once, without it they come all the same.

use std::sync::Arc;
use std::time::Duration;

use homeostat::base::clock::{Clock, SharedClock, SystemClock};
use homeostat::base::shutdown::Shutdown;
use homeostat::watch::source::lane::{Outlet, Parcel};
use homeostat::watch::source::loki::{self, Query, Settings};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::query;
use crate::support::loki::Loki;
use crate::support::loki_tail::{TailEnd, TailMode};
use crate::support::wait::eventually;

const LONG: Duration = Duration::from_secs(30);

/// A followed query.
struct Following {
    parcels: mpsc::Receiver<Parcel>,
    shutdown: Shutdown,
}

impl Drop for Following {
    fn drop(&mut self) {
        self.shutdown.request();
    }
}

impl Following {
    async fn start(query: Query) -> Self {
        let (outlet, mut openings) = Outlet::new();
        let shutdown = Shutdown::new();
        let clock = Arc::new(SystemClock) as SharedClock;
        let settings = Settings { queries: vec![query] };
        tokio::spawn(loki::run(settings, outlet, clock, shutdown.clone()));
        let opening = openings.recv().await.expect("the lane is opened");
        let mut parcels = opening.grant(None).expect("the source waits");
        assert!(matches!(parcels.recv().await, Some(Parcel::Start(_))));
        Self { parcels, shutdown }
    }

    /// The texts of the next entries.
    async fn texts(&mut self) -> Vec<String> {
        loop {
            match timeout(LONG, self.parcels.recv()).await.expect("lines come in time") {
                Some(Parcel::Entries(entries)) => {
                    return entries.iter().map(|it| String::from_utf8_lossy(&it.text).into_owned()).collect();
                }
                Some(_) => {}
                None => panic!("the source ended"),
            }
        }
    }
}

fn now() -> i64 {
    i64::try_from(SystemClock.now().as_nanosecond()).expect("a time of this age")
}

async fn listened(loki: &Loki, n: usize) {
    eventually("the tail", LONG, async || {
        loki.with(|state| state.tails.n_listening() == 1 && state.tails.n_listened() >= n).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_line_is_asked_for_when_the_tail_says_that_something_came() {
    let loki = Loki::start().await;
    // A poll alone would come too late.
    let query =
        Query { poll_every: Duration::from_secs(3600), lag: Duration::from_millis(50), ..query(&loki) };
    let mut following = Following::start(query).await;
    listened(&loki, 1).await;
    loki.push(&[("app", "a")], now(), "one");
    assert_eq!(following.texts().await, ["one"]);
    // The tail names one of two, and the line of another query: what came is what `query_range` says.
    loki.with(|state| state.tails.is_lossy = true);
    let at = now();
    for line in ["two", "three"] {
        loki.push(&[("app", "a")], at, line);
    }
    assert_eq!(following.texts().await, ["two", "three"]);
    loki.with(|state| state.tails.is_lossy = false);
    for (n, end) in [(2, TailEnd::Close("reached tail max duration limit")), (3, TailEnd::Cut)] {
        loki.with(|state| state.tails.end(end));
        listened(&loki, n).await;
        loki.push(&[("app", "a")], now(), "again");
        assert_eq!(following.texts().await, ["again"], "{end:?}");
    }
    // While nobody listened; found as soon as somebody does.
    loki.with(|state| state.tails.mode = TailMode::IsFull);
    loki.with(|state| state.tails.end(TailEnd::Close("all ingesters closed the connection")));
    loki.push(&[("app", "a")], now(), "meanwhile");
    loki.with(|state| state.tails.mode = TailMode::Serves);
    assert_eq!(following.texts().await, ["meanwhile"]);
}

#[tokio::test]
async fn without_a_tail_lines_come_with_the_next_poll() {
    for mode in [TailMode::Refuses, TailMode::IsFull, TailMode::IsSilent] {
        let loki = Loki::start().await;
        loki.with(|state| state.tails.mode = mode);
        let query = Query { poll_every: Duration::from_millis(20), lag: Duration::ZERO, ..query(&loki) };
        let mut following = Following::start(query).await;
        for line in ["one", "two"] {
            loki.push(&[("app", "a")], now(), line);
            assert_eq!(following.texts().await, [line], "{mode:?}");
        }
    }
}
