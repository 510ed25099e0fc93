//! The source: each query is read up to some seconds ago, again and again.
//!
//! What is stamped later than `now - lag` is left for the next time: entries come late, and what was read is not asked for again. `now` is
//! the earlier one of this machine's clock and of Loki's own, as its answers tell it. The
//! streams of a query share one lane; a stream is a writer of its own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::SignedDuration;
use tokio::task::JoinSet;
use tracing::{info, warn};

use super::answer::LokiEntry;
use super::client::{Client, LokiError, Range, Remedy, Server};
use super::pages::{Page, Pages};
use super::selector;
use super::tail::{self, Hints};
use crate::base::backoff::Backoff;
use crate::base::chain::Chain;
use crate::base::clock::{SharedClock, Timestamp};
use crate::base::metrics;
use crate::base::shutdown::Shutdown;
use crate::model::cursor::{Cursor, MixedPlace, StreamKey};
use crate::watch::source::lane::{Entry, Lane, Mark, Origin, Outlet, Parcel, ReaderGone, Thing, Writer};
use crate::watch::source::own;
use crate::watch::source::writers::Writers;

/// A client needs a limit of its own: an answer that is too big for Loki itself never comes.
const TIMEOUT: Duration = Duration::from_secs(45);

const RETRY: Backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(10));

/// What a person must mend is tried again so often.
const MEND_PAUSE: Duration = Duration::from_secs(60);

/// By how much this machine's clock may be ahead of Loki's before that is told.
const CLOCK_PATIENCE: Duration = Duration::from_secs(60);

/// Entries on the lane at a time, and their bytes.
const PARCEL_ENTRIES: usize = 512;
const PARCEL_BYTES: usize = 256 << 10;

/// The queries to follow.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    pub queries: Vec<Query>,
}

/// One query of one Loki.
#[derive(Debug, Clone)]
pub struct Query {
    /// What its cursor is kept by.
    pub name: String,
    pub server: Server,
    /// A log query of LogQL.
    pub query: String,
    /// Labels that name the service; the first that is there counts.
    pub service_labels: Vec<String>,
    /// How late entries may come.
    pub lag: Duration,
    pub poll_every: Duration,
    /// Whether Loki is listened to, to ask at once when something came.
    pub has_tail: bool,
    /// How far back to begin when there is no cursor.
    pub look_back: Duration,
    /// The longest time asked for at once.
    pub max_range: Duration,
}

/// Follows all queries until a shutdown is asked for, or nobody takes the lines any more.
pub async fn run(settings: Settings, outlet: Outlet, clock: SharedClock, shutdown: Shutdown) {
    let mut tasks = JoinSet::new();
    for query in settings.queries {
        let client = match Client::new(query.server.clone(), TIMEOUT) {
            Ok(client) => client,
            Err(error) => {
                warn!(query = query.name, error = %Chain(&error), "a query cannot be followed");
                continue;
            }
        };
        let following = follow(query, client, outlet.clone(), Arc::clone(&clock), shutdown.clone());
        tasks.spawn(following);
    }
    let is_over = async { while tasks.join_next().await.is_some() {} };
    tokio::select! {
        () = shutdown.requested() => {}
        () = is_over => shutdown.requested().await,
    }
    tasks.shutdown().await;
}

/// Who writes a stream: its service is named by the first of `service_labels` that it has. `None` for homeostat's own log.
pub fn writer(stream: u64, labels: &BTreeMap<String, String>, service_labels: &[String]) -> Option<Writer> {
    let named = service_labels.iter().find_map(|name| labels.get(name));
    let label = selector::written(labels);
    let name = named.filter(|name| !name.is_empty()).unwrap_or(&label).clone();
    let is_own = own::is_own(&name) || labels.get("unit").is_some_and(|unit| own::is_own(unit));
    (!is_own).then_some(Writer { key: stream, label, thing: Thing::Named { name } })
}

/// Whether Loki answers and takes the query; for `check`.
///
/// # Errors
/// It does not, or refuses it.
pub async fn check(query: &Query) -> Result<(), LokiError> {
    let client = Client::new(query.server.clone(), Duration::from_secs(10))?;
    // A second of the past: it is the query that is asked about.
    let range = Range { query: &query.query, start: 0, end: 1_000_000_000, limit: 1 };
    client.query_range(range).await.map(drop)
}

async fn follow(
    query: Query,
    client: Client,
    outlet: Outlet,
    clock: SharedClock,
    shutdown: Shutdown,
) -> Result<(), ReaderGone> {
    let origin = Origin {
        stream: StreamKey(format!("loki:{}", query.name)),
        label: query.query.clone(),
        thing: Thing::Mixed,
    };
    let lane = outlet.open(origin).await?;
    let (nanos, seen) = match &lane.cursor {
        Some(Cursor::Mixed { place: MixedPlace::Loki { nanos, seen }, .. }) => (*nanos, seen.clone()),
        Some(_) | None => {
            let nanos = before(clock.now(), query.lag.saturating_add(query.look_back));
            let place = MixedPlace::Loki { nanos, seen: Vec::new() };
            lane.send(Parcel::Start(Cursor::Mixed { place, ahead: Vec::new() })).await?;
            (nanos, Vec::new())
        }
    };
    let mut pages = Pages::new(client, query.query.clone(), (nanos, &seen), nanos, query.max_range);
    pages.heed_clock(query.lag);
    let mut following = Following {
        query,
        pages,
        lane,
        writers: Writers::default(),
        n_failures: 0,
        is_told: false,
        is_clock_told: false,
    };
    let (hinted, hints) = Hints::new(following.query.lag);
    if !following.query.has_tail {
        return following.poll(hints, &clock, &shutdown).await;
    }
    let Query { name, server, query, .. } = following.query.clone();
    let listening = tail::listen(&name, server, &query, &clock, hinted);
    tokio::select! {
        ended = following.poll(hints, &clock, &shutdown) => ended,
        never = listening => match never {},
    }
}

/// Nanoseconds since 1970 at a time so long ago.
fn before(now: Timestamp, by: Duration) -> i64 {
    let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
    let at = now.saturating_sub(by).unwrap_or(Timestamp::UNIX_EPOCH).max(Timestamp::UNIX_EPOCH);
    i64::try_from(at.as_nanosecond()).unwrap_or(i64::MAX)
}

#[derive(Debug)]
struct Following {
    query: Query,
    pages: Pages,
    lane: Lane,
    /// By the hash of their labels; homeostat's own is not watched.
    writers: Writers,
    n_failures: u32,
    is_told: bool,
    is_clock_told: bool,
}

impl Following {
    /// Reads until a stop is asked for.
    async fn poll(
        &mut self,
        mut hints: Hints,
        clock: &SharedClock,
        shutdown: &Shutdown,
    ) -> Result<(), ReaderGone> {
        loop {
            let now = clock.now();
            self.pages.set_end(before(now, self.query.lag));
            let pause = match self.pages.next().await {
                Ok(Some(page)) => {
                    self.note_answer();
                    self.send(page).await?;
                    continue;
                }
                Ok(None) => {
                    self.note_clock(before(now, self.query.lag));
                    let age = before(now, Duration::ZERO).saturating_sub(self.pages.nanos());
                    metrics::source_lag("loki", 0, Duration::from_nanos(u64::try_from(age).unwrap_or(0)));
                    self.query.poll_every
                }
                Err(error) => {
                    // It says when to come again, whatever comes meanwhile.
                    let pause = self.note_error(&error);
                    if !shutdown.sleep(pause).await {
                        return Ok(());
                    }
                    continue;
                }
            };
            let is_on = tokio::select! {
                is_on = shutdown.sleep(pause) => is_on,
                () = hints.due(clock) => true,
            };
            if !is_on {
                return Ok(());
            }
        }
    }

    async fn send(&mut self, page: Page) -> Result<(), ReaderGone> {
        let mut entries = Vec::new();
        let mut n_bytes = 0;
        let mut n_own = 0;
        for entry in page.entries {
            let Some(entry) = self.entry(entry) else {
                n_own += 1;
                continue;
            };
            n_bytes += entry.text.len();
            entries.push(entry);
            if entries.len() >= PARCEL_ENTRIES || n_bytes >= PARCEL_BYTES {
                metrics::source_bytes("loki", std::mem::take(&mut n_bytes));
                self.lane.send(Parcel::Entries(std::mem::take(&mut entries))).await?;
            }
        }
        metrics::source_drop("loki", "own log", n_own);
        metrics::source_bytes("loki", n_bytes);
        if !entries.is_empty() {
            self.lane.send(Parcel::Entries(entries)).await?;
        }
        if let Some(loss) = page.loss {
            warn!(query = self.query.name, at = loss.from, "Loki gives only some of the entries of one time");
            self.lane.send(Parcel::Loss(loss)).await?;
        }
        if let Some(until) = page.read_until {
            let place = MixedPlace::Loki { nanos: until, seen: Vec::new() };
            self.lane.send(Parcel::Read { place, until }).await?;
        }
        Ok(())
    }

    fn entry(&mut self, entry: LokiEntry) -> Option<Entry> {
        let named = || writer(entry.stream, &entry.labels, &self.query.service_labels);
        let writer = self.writers.get(entry.stream, named);
        let mut text = Bytes::from(entry.text);
        while let Some(whole) = text.strip_suffix(b"\n") {
            text.truncate(whole.len());
        }
        Some(Entry {
            writer: writer?,
            at: Timestamp::from_nanosecond(entry.nanos.into()).ok(),
            tick: entry.nanos,
            text,
            mark: Mark::Loki { nanos: entry.nanos, hash: entry.hash },
        })
    }

    /// Tells once that Loki's clock holds reading back, which should be at `end`.
    fn note_clock(&mut self, end: i64) {
        let behind = end.saturating_sub(self.pages.nanos());
        let is_behind = i128::from(behind) > CLOCK_PATIENCE.as_nanos().cast_signed();
        if is_behind && !self.is_clock_told {
            let seconds = behind / 1_000_000_000;
            warn!(
                query = self.query.name,
                seconds, "this machine's clock is ahead of Loki's, entries wait for that"
            );
        }
        self.is_clock_told = is_behind;
    }

    fn note_answer(&mut self) {
        if std::mem::take(&mut self.is_told) {
            info!(query = self.query.name, "Loki answers again");
        }
        self.n_failures = 0;
    }

    /// Tells of an error once; how long to wait.
    fn note_error(&mut self, error: &LokiError) -> Duration {
        self.n_failures = self.n_failures.saturating_add(1);
        metrics::reconnect("loki");
        let name = &self.query.name;
        let remedy = error.remedy();
        match remedy {
            Remedy::Mend if !self.is_told => {
                tracing::error!(query = name, error = %Chain(error), "Loki refuses a query, nothing is read until it is mended");
                self.is_told = true;
            }
            // One that passes by itself is worth no word.
            Remedy::Wait if self.n_failures == 3 => {
                warn!(query = name, error = %Chain(error), "Loki does not answer, will ask again");
                self.is_told = true;
            }
            Remedy::Mend | Remedy::Wait | Remedy::FewerLines | Remedy::AtMost(_) | Remedy::ShorterRange => {
                tracing::debug!(query = name, error = %Chain(error), "Loki gave no lines")
            }
        }
        match remedy {
            Remedy::Mend => MEND_PAUSE,
            Remedy::AtMost(_) => Duration::ZERO,
            Remedy::Wait | Remedy::FewerLines | Remedy::ShorterRange => RETRY.delay(self.n_failures),
        }
    }
}
