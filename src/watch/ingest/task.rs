//! The ingest task: lanes in, commits out.
//!
//! It grants a lane with the stream's committed cursor, runs one task per stream, and commits what they report together
//! with their cursors. While the store is away the batch is kept, the reports wait in a bounded channel, the streams
//! wait for the channel and the sources for their lanes: nothing is lost and nothing grows.
//!
//! **Invariant:** a cursor is committed only together with everything read before it.

use std::collections::{HashMap, VecDeque};
use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::mixed::MixedTask;
use super::pending::{Answer, IssueKey, Pending, count_stored, decide};
use super::pipeline::{Found, Pipeline};
use super::rival::Rivals;
use super::services::ServiceMap;
use super::stream::{Report, Source, StreamTask};
use crate::base::backoff::Backoff;
use crate::base::chain::Chain;
use crate::base::clock::SharedClock;
use crate::base::metrics;
use crate::base::shutdown::Shutdown;
use crate::model::cursor::{Cursor, StreamKey};
use crate::model::fingerprint::Fingerprint;
use crate::store::types::IssueBrief;
use crate::store::{Store, StoreError};
use crate::watch::source::lane::{Opening, Thing};
use crate::watch::triage::{self, Storms};

/// Reports that may wait for the committer.
const REPORTS: usize = 64;
/// Occurrences are committed at this age, so that those of one moment share a commit …
const COALESCE: Duration = Duration::from_millis(10);
/// … but not so often that committing takes more than its share: the pause after a commit is this many times as long as it took …
const REST: u32 = 6;
/// … no shorter than this, because a commit costs much the same however little it takes with it, and no longer than that …
const MIN_REST: Duration = Duration::from_millis(50);
const MAX_REST: Duration = Duration::from_millis(250);
/// … or when the batch has so many groups. Cursors alone can wait: without them a little is read again after a crash.
const MAX_GROUPS: usize = 500;
const CURSORS_EVERY: Duration = Duration::from_secs(1);
/// How long triage believes what it knows of an issue. The store checks again when it queues jobs.
const BELIEVE: Duration = Duration::from_secs(10);
/// Issues that are remembered.
const MAX_KNOWN: u64 = 100_000;

/// What the ingest task works with.
#[derive(Debug, Clone)]
pub struct IngestParts {
    pub store: Arc<dyn Store>,
    pub pipeline: Pipeline,
    pub services: Arc<ServiceMap>,
    pub triage: triage::Settings,
    pub clock: SharedClock,
}

/// Why the watching half cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    #[error("failed to {action}: the store will never take it")]
    Store {
        action: &'static str,
        #[source]
        source: StoreError,
    },
}

/// Runs until `shutdown`; then takes what the streams have reported, commits it, and ends. Records that are open then are
/// not flushed: their lines are read again by the next run.
///
/// # Errors
/// The store refuses a batch for good (a broken schema); an unavailable store is waited for.
pub async fn run(
    parts: IngestParts,
    mut openings: mpsc::Receiver<Opening>,
    shutdown: Shutdown,
) -> Result<(), IngestError> {
    let (reports_tx, mut reports) = mpsc::channel(REPORTS);
    let mut ingest = Ingest::new(parts, reports_tx, shutdown.clone());
    loop {
        let due = ingest.commit_due();
        tokio::select! {
            () = shutdown.requested() => break,
            () = sleep_until(due) => ingest.commit().await?,
            Some(report) = reports.recv() => ingest.take(report).await?,
            Some(opening) = openings.recv() => ingest.open(opening).await?,
        }
    }
    drop(openings);
    ingest.close();
    while let Some(report) = reports.recv().await {
        ingest.take(report).await?;
    }
    ingest.last_commit().await
}

/// What a look into the store brought.
#[derive(Debug, Clone, Copy)]
struct Looked {
    brief: Option<IssueBrief>,
    /// By which the issue was looked for where it is not known by its own identity.
    former: Option<Fingerprint>,
}

struct Ingest {
    parts: IngestParts,
    /// `None` once no more streams are started.
    reports_tx: Option<mpsc::Sender<Report>>,
    shutdown: Shutdown,
    /// Of those who read a backlog: one for each core.
    turns: Arc<Semaphore>,
    streams: JoinSet<()>,
    /// Streams with a lane, and the openings that wait for its end.
    live: HashMap<StreamKey, VecDeque<Opening>>,
    pending: Pending,
    oldest: Option<Instant>,
    /// No sooner than this the next batch is committed, but for what people wait for.
    rest_until: Option<Instant>,
    known: moka::future::Cache<IssueKey, Looked>,
    storms: Storms,
    rivals: Rivals,
    backoff: Backoff,
    /// Since when the database is away, as far as it was told.
    away_since: Option<Instant>,
    /// A batch was given up on a stop: a later cursor must not be committed without it.
    has_given_up: bool,
}

impl Ingest {
    fn new(parts: IngestParts, reports_tx: mpsc::Sender<Report>, shutdown: Shutdown) -> Self {
        let every = parts.pipeline.around().every;
        let fingerprinter = parts.pipeline.fingerprinter().clone();
        Self {
            parts,
            reports_tx: Some(reports_tx),
            shutdown,
            turns: Arc::new(Semaphore::new(std::thread::available_parallelism().map_or(1, NonZero::get))),
            streams: JoinSet::new(),
            live: HashMap::new(),
            pending: Pending::new(every, fingerprinter),
            oldest: None,
            rest_until: None,
            known: moka::future::Cache::builder().max_capacity(MAX_KNOWN).time_to_live(BELIEVE).build(),
            storms: Storms::default(),
            rivals: Rivals::default(),
            backoff: Backoff::new(Duration::from_millis(100), Duration::from_secs(10)),
            away_since: None,
            has_given_up: false,
        }
    }

    /// When the batch in the making should be committed.
    fn commit_due(&self) -> Option<Instant> {
        let oldest = self.oldest?;
        let is_full = self.pending.n_groups() >= MAX_GROUPS;
        if is_full || self.pending.is_urgent() {
            return Some(Instant::now());
        }
        let due = if self.pending.is_awaited() { oldest + COALESCE } else { oldest + CURSORS_EVERY };
        Some(self.rest_until.map_or(due, |rest_until| due.max(rest_until)))
    }

    /// Grants a lane, now or when the stream's last one is done with.
    async fn open(&mut self, opening: Opening) -> Result<(), IngestError> {
        let live = opening.streams().find(|stream| self.live.contains_key(*stream)).cloned();
        if let Some(waiting) = live.and_then(|stream| self.live.get_mut(&stream)) {
            waiting.push_back(opening);
            return Ok(());
        }
        let Some(mut first) = self.committed(&opening.origin.stream).await? else { return Ok(()) };
        if let (None, Some(former)) = (&first, &opening.former) {
            let Some(of_former) = self.committed(former).await? else { return Ok(()) };
            first = of_former;
        }
        let second = match &opening.second {
            Some(second) => self.committed(second).await?,
            None => Some(None),
        };
        let Some(second) = second else { return Ok(()) };
        let committed = [first.clone(), second.clone()];
        let service = self.parts.services.of(&opening.origin);
        let second_stream = opening.second.clone();
        let source =
            Arc::new(Source { second: second_stream, ..Source::new(opening.origin.clone(), service) });
        let is_mixed = opening.origin.thing == Thing::Mixed;
        let cursor = first.clone();
        let (Some(parcels), Some(reports)) = (opening.grant_pair(first, second), self.reports_tx.clone())
        else {
            return Ok(());
        };
        for stream in source.streams() {
            self.live.insert(stream.clone(), VecDeque::new());
        }
        let shutdown = self.shutdown.clone();
        if is_mixed {
            let (services, pipeline) = (Arc::clone(&self.parts.services), self.parts.pipeline.clone());
            let task = MixedTask { source, pipeline, services, cursor, parcels, reports, shutdown };
            self.streams.spawn(task.run());
        } else {
            let pipeline = self.parts.pipeline.for_service(&source.service.name);
            let turns = Arc::clone(&self.turns);
            let task = StreamTask { source, pipeline, committed, parcels, reports, turns, shutdown };
            self.streams.spawn(task.run());
        }
        // Ended tasks have said so in their last report; here only their memory is given back.
        while self.streams.try_join_next().is_some() {}
        Ok(())
    }

    /// The committed cursor of a stream; the outer `None` when a stop was asked for while the store was away.
    async fn committed(&mut self, stream: &StreamKey) -> Result<Option<Option<Cursor>>, IngestError> {
        // What the last lane of this stream reported may still wait for its commit. Other streams wait for their own time: thousands of
        // lanes may be opened at once.
        if self.pending.has_cursor(stream) {
            self.commit().await?;
        }
        let mut n_failures = 0;
        loop {
            match self.parts.store.cursor(stream).await {
                Ok(cursor) => {
                    self.is_back();
                    return Ok(Some(cursor));
                }
                Err(error) => {
                    if !self.wait_out("read a cursor", error, &mut n_failures).await? {
                        return Ok(None);
                    }
                }
            }
        }
    }

    async fn take(&mut self, mut report: Report) -> Result<(), IngestError> {
        let now = self.parts.clock.now();
        for found in std::mem::take(&mut report.found) {
            self.add(&report.source, found).await?;
        }
        for (source, found) in std::mem::take(&mut report.of_writers) {
            self.add(&source, found).await?;
        }
        self.pending.note(&mut report, now);
        if !self.pending.is_empty() {
            self.oldest.get_or_insert_with(Instant::now);
        }
        if report.is_end {
            let waiting: Vec<_> =
                report.source.streams().filter_map(|stream| self.live.remove(stream)).flatten().collect();
            for opening in waiting {
                self.open(opening).await?;
            }
        }
        Ok(())
    }

    /// Adds one occurrence; triage is asked once per issue and batch.
    async fn add(&mut self, source: &Source, found: Found) -> Result<(), IngestError> {
        if found.is_ignored {
            metrics::dropped("ignored", 1);
            return Ok(());
        }
        let now = self.parts.clock.now();
        let key = (source.service.name.clone(), found.identity.fingerprint);
        if self.pending.has(&key) {
            self.pending.add(key, source, found, None, now);
            return Ok(());
        }
        let answer = self.decide(&key, source, &found).await?;
        self.pending.add(key, source, found, Some(answer), now);
        Ok(())
    }

    async fn decide(
        &mut self,
        key: &IssueKey,
        source: &Source,
        found: &Found,
    ) -> Result<Answer, IngestError> {
        let looked = match self.known.get(key).await {
            Some(looked) => looked,
            None => {
                let looked = self.look(key, found).await?;
                self.known.insert(key.clone(), looked).await;
                looked
            }
        };
        let now = self.parts.clock.now();
        let storm = self.storms.of(&source.service.name, now, self.parts.triage.storm_window);
        let triaged = decide(&self.parts.triage, looked.brief, &source.service, found, now, storm);
        Ok(Answer { triaged, former: looked.former })
    }

    /// What is known of an issue, by its own identity or by the one that another version of the algorithm gave it.
    async fn look(&mut self, key: &IssueKey, found: &Found) -> Result<Looked, IngestError> {
        let brief = self.brief(key).await?;
        let former = if brief.is_none() { self.parts.pipeline.former(&key.0, &found.text) } else { None };
        match former {
            None => Ok(Looked { brief, former }),
            Some(by) => Ok(Looked { brief: self.brief(&(key.0.clone(), by)).await?, former }),
        }
    }

    async fn brief(&mut self, key: &IssueKey) -> Result<Option<IssueBrief>, IngestError> {
        let mut n_failures = 0;
        loop {
            match self.parts.store.issue_brief(&key.0, &key.1).await {
                Ok(brief) => {
                    self.is_back();
                    return Ok(brief);
                }
                Err(error) => {
                    // On a stop the issue is taken for unknown: unique keys keep a second ticket away.
                    if !self.wait_out("look up an issue", error, &mut n_failures).await? {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// Commits what is pending; waits while the store is away, keeps it on a stop.
    async fn commit(&mut self) -> Result<(), IngestError> {
        self.oldest = None;
        if self.pending.is_empty() || self.has_given_up {
            return Ok(());
        }
        let settled = self.pending.take_settled();
        if self.pending.has_no_rows() {
            Pending::settle(settled);
            return Ok(());
        }
        let batch = self.pending.take();
        self.rivals.look(&*self.parts.store, &batch.cursors).await;
        let mut n_failures = 0;
        loop {
            let started = Instant::now();
            match self.parts.store.commit(batch.clone(), self.parts.clock.now()).await {
                Ok(receipt) => {
                    self.is_back();
                    let took = started.elapsed();
                    metrics::commit("ok", took);
                    if !batch.groups.is_empty() {
                        self.rest_until = Some(Instant::now() + (took * REST).clamp(MIN_REST, MAX_REST));
                    }
                    count_stored(&batch.groups);
                    Pending::settle(settled);
                    self.rivals.note(batch.cursors);
                    // What was new or acted upon is asked for again; the rest is as it was.
                    for group in receipt.groups {
                        if group.is_new || group.n_jobs_queued > 0 {
                            self.known.invalidate(&(group.service, group.identity)).await;
                        }
                    }
                    return Ok(());
                }
                Err(error) => {
                    metrics::commit("failed", started.elapsed());
                    if !self.wait_out("commit occurrences", error, &mut n_failures).await? {
                        self.has_given_up = true;
                        tracing::warn!(
                            "stopped while the database was away: what was not committed is read again"
                        );
                        return Ok(());
                    }
                }
            }
        }
    }

    /// No more streams; those there are end by the stop.
    fn close(&mut self) {
        self.reports_tx = None;
        self.live.clear();
    }

    async fn last_commit(mut self) -> Result<(), IngestError> {
        self.commit().await?;
        while self.streams.join_next().await.is_some() {}
        Ok(())
    }

    /// The database has answered.
    fn is_back(&mut self) {
        if let Some(since) = self.away_since.take() {
            tracing::info!(seconds = since.elapsed().as_secs(), "the database is back, sources go on");
        }
    }

    /// Waits before the next try; `false` when a stop was asked for.
    async fn wait_out(
        &mut self,
        action: &'static str,
        error: StoreError,
        n_failures: &mut u32,
    ) -> Result<bool, IngestError> {
        if !error.is_transient() {
            return Err(IngestError::Store { action, source: error });
        }
        *n_failures += 1;
        if self.away_since.is_none() {
            self.away_since = Some(Instant::now());
            tracing::error!(error = %Chain(&error), "the database is away, sources wait until it is back");
        }
        Ok(self.shutdown.sleep(self.backoff.delay(*n_failures)).await)
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
