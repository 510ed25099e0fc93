//! Numbered errors and traces pushed to Loki through everything that can happen, into a real store: counts equal the truth.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use homeostat::base::clock::{Clock, ManualClock, SharedClock};
use homeostat::base::shutdown::Shutdown;
use homeostat::model::cursor::{Cursor, MixedPlace, StreamKey};
use homeostat::store::Store;
use homeostat::store::types::IssueFilter;
use homeostat::watch::ingest::pipeline::Pipeline;
use homeostat::watch::ingest::services::{self, ServiceMap};
use homeostat::watch::ingest::{self, IngestParts};
use homeostat::watch::source::lane::Outlet;
use homeostat::watch::source::loki::{self, Query, Server, Settings};
use homeostat::watch::triage;
use tokio::task::JoinSet;

use super::{SECOND, T0, clock_at, query};
use crate::store::given::{Db, stories};
use crate::support::chance::{n_actions, seed};
use crate::support::link::Link;
use crate::support::loki::{Fault, Loki};
use crate::support::wait::eventually;
use crate::support::watching::PIPELINE;

const LONG: Duration = Duration::from_secs(90);

/// The watching half over a store and a Loki, as the daemon runs it.
fn start(
    store: &Arc<dyn Store>,
    query: &Query,
    clock: &Arc<ManualClock>,
    pipeline: &Pipeline,
) -> JoinSet<()> {
    let (outlet, openings) = Outlet::new();
    let clock = Arc::clone(clock) as SharedClock;
    let parts = IngestParts {
        store: Arc::clone(store),
        pipeline: pipeline.clone(),
        services: Arc::new(ServiceMap::new(services::Settings::default())),
        triage: triage::Settings::default(),
        clock: Arc::clone(&clock),
    };
    let mut tasks = JoinSet::new();
    let settings = Settings { queries: vec![query.clone()] };
    tasks.spawn(loki::run(settings, outlet, clock, Shutdown::new()));
    tasks.spawn(
        async move { ingest::run(parts, openings, Shutdown::new()).await.expect("the store takes it") },
    );
    tasks
}

/// What is pushed, and how many records of each service that must give.
struct World<'l> {
    loki: &'l Loki,
    clock: &'l ManualClock,
    random: fastrand::Rng,
    n: u32,
    truth: BTreeMap<String, u64>,
}

impl World<'_> {
    fn now(&self) -> i64 {
        i64::try_from(self.clock.now().as_nanosecond()).expect("a time of this age")
    }

    fn error(&mut self, app: &str, host: &str, nanos: i64) {
        self.n += 1;
        let line = format!("ERROR order {} of a customer failed", self.n);
        self.loki.push(&[("app", app), ("host", host)], nanos, &line);
        *self.truth.entry(app.to_owned()).or_default() += 1;
    }

    /// A trace as one entry for each line, of one time or nearly.
    fn trace(&mut self, step: i64) {
        self.n += 1;
        let nanos = self.now();
        let message = format!("ValueError: {} is no number", self.n);
        let lines = [
            "Traceback (most recent call last):",
            "  File \"/app/bot.py\", line 42, in handle",
            "    reply = parse(text)",
            "  File \"/app/parse.py\", line 7, in parse",
            "    return int(text)",
            &message,
        ];
        for (n, line) in lines.into_iter().enumerate() {
            self.loki.push(&[("app", "traces")], nanos + i64::try_from(n).expect("few") * step, line);
        }
        *self.truth.entry("traces".to_owned()).or_default() += 1;
    }

    fn act(&mut self) {
        let now = self.now();
        match self.random.u8(0..10) {
            0..=2 => self.error("live", "a", now),
            // Late, but not as late as the query waits.
            3 => {
                let late = self.random.i64(0..4 * SECOND);
                self.error("late", "a", now - late);
            }
            // Of one time, of several streams, more than a page.
            4 => {
                for n in 0..self.random.u32(2..80) {
                    self.error("same", ["a", "b", "c", "d"][n as usize % 4], now);
                }
            }
            5 => self.trace(0),
            6 => self.trace(SECOND / 10),
            7 => self.loki.push(&[("app", "live"), ("host", "a")], now, "info: all is well"),
            8 => {
                let fault = match self.random.u8(0..5) {
                    0 => Fault::Status(429, "too many outstanding requests"),
                    1 => Fault::Status(503, "Service Unavailable"),
                    2 => Fault::Status(504, "context deadline exceeded"),
                    3 => Fault::CutWithin,
                    _ => Fault::Cut,
                };
                self.loki.with(|state| {
                    // Not so many in a row that waiting for the next try takes minutes.
                    if state.faults.len() < 2 {
                        state.faults.push_back(fault);
                    }
                });
            }
            _ => {
                let n = self.random.usize(25..200);
                self.loki.with(|state| state.max_limit = n);
            }
        }
        // A trace of this moment is over before the next thing.
        self.clock.advance(Duration::from_millis(self.random.u64(700..3000)));
    }
}

async fn counts(store: &Arc<dyn Store>) -> BTreeMap<String, u64> {
    let filter = IssueFilter { with_counted: true, limit: 100, ..IssueFilter::default() };
    let mut counts = BTreeMap::new();
    // The first question after the database was away is answered with an error.
    for issue in eventually("the store", LONG, async || store.issues(&filter).await.ok()).await {
        *counts.entry(issue.service).or_default() += issue.count;
    }
    counts
}

stories!(counts_are_exact_whatever_happens_to_loki_and_to_homeostat);

async fn counts_are_exact_whatever_happens_to_loki_and_to_homeostat(db: Db) {
    let pipeline = PIPELINE.clone();
    let seed = seed();
    let loki = Loki::start().await;
    let (link, at) = Link::tcp(loki.address).await;
    let url = format!("http://{at}").parse().expect("a URL");
    let query = Query { server: Server { url, tenant: None, auth: None }, ..query(&loki) };
    let clock = Arc::new(clock_at(T0));
    let random = fastrand::Rng::with_seed(seed);
    let mut world = World { loki: &loki, clock: &clock, random, n: 0, truth: BTreeMap::new() };
    let mut store = db.opened_again().await;
    let mut tasks = start(&store, &query, &clock, &pipeline);
    // The place to begin must be stored before anything is logged.
    let key = StreamKey("loki:all".to_owned());
    eventually("the first cursor", LONG, async || store.cursor(&key).await.ok()?).await;
    clock.advance(Duration::from_secs(10));
    for _ in 0..n_actions(320) {
        world.act();
        if world.random.u8(0..4) == 0 {
            tokio::time::sleep(Duration::from_millis(world.random.u64(0..60))).await;
        }
        match world.random.u8(0..40) {
            0 => link.cut(true),
            1 => link.cut(false),
            2..20 => link.mend(),
            20 => db.be_away(Duration::from_millis(world.random.u64(0..200))).await,
            _ => {}
        }
        if world.random.u8(0..20) == 0 {
            // Everything is dropped where it stands.
            tasks.shutdown().await;
            store = db.opened_again().await;
            tasks = start(&store, &query, &clock, &pipeline);
        }
    }
    link.mend();
    let end = world.now();
    clock.advance(Duration::from_secs(30));
    eventually("the last entry", LONG, async || match store.cursor(&key).await.ok()?? {
        Cursor::Mixed { place: MixedPlace::Loki { nanos, .. }, .. } => (nanos > end).then_some(()),
        Cursor::Mixed { .. } | Cursor::Docker { .. } | Cursor::File { .. } => None,
    })
    .await;
    assert_eq!(counts(&store).await, world.truth, "seed {seed}");
    assert_eq!(store.gaps(10).await.expect("the store answers"), [], "seed {seed}");
    tasks.shutdown().await;
}
