//! The watching half over one source: a real store, the real pipeline, and counts to compare.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use homeostat::base::clock::{SharedClock, SystemClock};
use homeostat::base::shutdown::Shutdown;
use homeostat::store::Store;
use homeostat::store::types::IssueFilter;
use homeostat::watch::ingest::around;
use homeostat::watch::ingest::pipeline::Pipeline;
use homeostat::watch::ingest::services::{self, ServiceMap};
use homeostat::watch::ingest::{self, IngestParts};
use homeostat::watch::source::lane::Outlet;
use homeostat::watch::triage;
use tokio::task::JoinSet;

use super::wait::{PATIENCE, eventually};

/// Compiled once. With the lines around records, as the daemon has them.
pub(crate) static PIPELINE: LazyLock<Pipeline> =
    LazyLock::new(|| Pipeline::builtin().with_around(around::Settings::default()));

/// Runs `source` into the store. Dropping or shutting down the set drops everything where it stands.
pub(crate) fn watch<F>(store: &Arc<dyn Store>, source: impl FnOnce(Outlet) -> F) -> JoinSet<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    watch_by(store, SystemClock::shared(), source)
}

/// The same by a clock of the test's own.
pub(crate) fn watch_by<F>(
    store: &Arc<dyn Store>,
    clock: SharedClock,
    source: impl FnOnce(Outlet) -> F,
) -> JoinSet<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    let (outlet, openings) = Outlet::new();
    let parts = IngestParts {
        store: Arc::clone(store),
        pipeline: PIPELINE.clone(),
        services: Arc::new(ServiceMap::new(services::Settings::default())),
        triage: triage::Settings { storm_fingerprints: u32::MAX, ..triage::Settings::default() },
        clock,
    };
    let mut tasks = JoinSet::new();
    tasks.spawn(source(outlet));
    tasks.spawn(
        async move { ingest::run(parts, openings, Shutdown::new()).await.expect("the store takes it") },
    );
    tasks
}

/// Occurrences by service.
pub(crate) async fn counts(store: &Arc<dyn Store>) -> BTreeMap<String, u64> {
    let filter = IssueFilter { with_counted: true, limit: 100, ..IssueFilter::default() };
    let mut counts = BTreeMap::new();
    // The first question after the database was away is answered with an error.
    for issue in eventually("the store", PATIENCE, async || store.issues(&filter).await.ok()).await {
        *counts.entry(issue.service).or_default() += issue.count;
    }
    counts
}
