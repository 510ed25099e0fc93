//! Both ends of a spool as others see them: senders append and are told when it is durable; the lane gets it in order.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, timeout};
use tracing::{error, warn};

use super::batch::{Batch, BatchId, Head, Taken};
use super::files::{self, Opened, Portion};
use super::record::{Item, Record};
use super::sink::{Append, Sink};
use crate::base::backoff::Backoff;
use crate::base::clock::{SharedClock, Timestamp};
use crate::base::shutdown::Shutdown;
use crate::model::cursor::{Cursor, MixedPlace, StreamKey};
use crate::watch::source::blocking::blocking;
use crate::watch::source::lane::{
    Entry, Lane, Loss, Mark, Origin, Outlet, Parcel, QUIET, ReaderGone, Settled, Thing, Writer,
};
use crate::watch::source::writers::Writers;

/// Batches that may wait for the disk.
const WAITING: usize = 64;

const RETRY: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(10));

/// Where a spool is and how large it may get.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Name of the source that it serves.
    pub source: &'static str,
    pub folder: PathBuf,
    /// Nothing more is taken while so much is not committed yet.
    pub max_bytes: u64,
    pub while_away: WhileAway,
}

/// What becomes of what is sent between two runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhileAway {
    /// Senders keep what was not taken, and send it again.
    Kept,
    /// Senders learn that nobody listens. Who was connected when the run before ended, or was killed, may not have.
    Refused,
    /// Senders learn nothing.
    Lost,
}

/// Why something was not taken. The sender may send it again.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    #[error("the spool is full: what came before is not stored yet")]
    Full,
    #[error("failed to write to the spool")]
    Write(#[source] io::Error),
    #[error("the spool is not open")]
    Closed,
}

/// Where senders put what came. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Spool {
    appends: mpsc::Sender<Append>,
    losses: mpsc::Sender<Loss>,
}

impl Spool {
    /// Returns when the items are durable.
    ///
    /// # Errors
    /// They are not.
    pub async fn append(&self, items: Vec<Item>) -> Result<(), SpoolError> {
        self.put(items, None).await
    }

    /// The same for a batch that is sent again when its sender does not hear of it: it is not taken twice. One without times may be like
    /// another: it is taken for a repetition only if this was dropped before it ended, and not after a crash.
    ///
    /// # Errors
    /// They are not.
    pub async fn append_batch(&self, id: BatchId, items: Vec<Item>) -> Result<(), SpoolError> {
        let batch = Batch::new(id, &items);
        let result = self.put(items, Some(batch.clone())).await;
        batch.hear();
        result
    }

    async fn put(&self, items: Vec<Item>, batch: Option<Batch>) -> Result<(), SpoolError> {
        if items.is_empty() {
            return Ok(());
        }
        let (done, is_done) = oneshot::channel();
        self.appends.send(Append { items, batch, done }).await.map_err(|_| SpoolError::Closed)?;
        is_done.await.unwrap_or(Err(SpoolError::Closed))
    }

    /// Notes that a sender which cannot send again has lost something. One that finds no room is in the counters only.
    pub fn lost(&self, loss: Loss) {
        let _ = self.losses.try_send(loss);
    }
}

/// A spool, and what must run for it: until a shutdown, or until nobody takes the lines any more.
pub fn start(
    settings: Settings,
    outlet: Outlet,
    clock: SharedClock,
    shutdown: Shutdown,
) -> (Spool, impl Future<Output = ()>) {
    let (appends_tx, appends) = mpsc::channel(WAITING);
    let (losses_tx, losses) = mpsc::channel(WAITING);
    let run = async move {
        let mut n_failures = 0;
        let folder = settings.folder.clone();
        let Opened { id, writer, tick, batches, stop: last } = loop {
            let path = folder.clone();
            match blocking(move || files::open(&path)).await {
                Ok(opened) => break opened,
                Err(error) => {
                    n_failures += 1;
                    if n_failures == 1 {
                        error!(source = settings.source, folder = %folder.display(), %error, "the spool cannot be opened, nothing is taken");
                    }
                    if !shutdown.sleep(RETRY.delay(n_failures)).await {
                        return;
                    }
                }
            }
        };
        let is_sure = match settings.while_away {
            WhileAway::Kept => true,
            WhileAway::Refused => last.is_some_and(|last| last.is_quiet),
            WhileAway::Lost => false,
        };
        let away = (!is_sure).then(|| (tick, away(last.map_or(tick, |last| last.at), &clock)));
        let (end_tx, end) = watch::channel((writer.end(), tick));
        let (committed_tx, committed) = watch::channel(0);
        let sink = Sink {
            settings: settings.clone(),
            writer: Some(writer),
            tick,
            end: end_tx,
            committed,
            clock,
            is_full: false,
            taken: Taken::after_start(batches),
        };
        let feed = Feed {
            settings,
            outlet,
            id,
            end,
            committed: committed_tx,
            away,
            losses,
            writers: Writers::default(),
        };
        let stop = shutdown.child();
        let feeding = async {
            tokio::select! {
                () = stop.requested() => {}
                Err(ReaderGone) = feed.run() => stop.request(),
            }
        };
        // What the disk works on is answered first: who hears nothing sends it again.
        tokio::join!(feeding, sink.run(appends, stop.clone()));
    };
    (Spool { appends: appends_tx, losses: losses_tx }, run)
}

/// What was sent while nobody listened, if anything was; and what was on the way when the run before was killed. `tick`: its end, or if
/// it was killed the last that it took.
fn away(tick: i64, clock: &SharedClock) -> Loss {
    // Where nothing is left of that run, nothing tells when it ended.
    let from = Timestamp::from_nanosecond(tick.into()).ok().filter(|_| tick > 0);
    let from = from.map_or_else(|| "the last message before".to_owned(), |it| it.to_string());
    Loss { from, to: clock.now().to_string(), reason: "homeostat did not listen".to_owned(), of_stream: None }
}

/// The reading end.
struct Feed {
    settings: Settings,
    outlet: Outlet,
    id: String,
    end: watch::Receiver<(u64, i64)>,
    committed: watch::Sender<u64>,
    /// The last tick of the run before, and the time from it to the start of this one.
    away: Option<(i64, Loss)>,
    losses: mpsc::Receiver<Loss>,
    writers: Writers,
}

impl Feed {
    async fn run(mut self) -> Result<(), ReaderGone> {
        let source = self.settings.source;
        let origin = Origin {
            stream: StreamKey(format!("{source}:{}", self.id)),
            label: source.to_owned(),
            thing: Thing::Mixed,
        };
        let lane = self.outlet.open(origin).await?;
        let mut place = match &lane.cursor {
            Some(Cursor::Mixed { place: MixedPlace::Spool { offset }, .. }) => *offset,
            Some(_) | None => {
                let folder = self.settings.folder.clone();
                let offset = blocking(move || files::first_place(&folder)).await.unwrap_or(0);
                let place = MixedPlace::Spool { offset };
                lane.send(Parcel::Start(Cursor::Mixed { place, ahead: Vec::new() })).await?;
                offset
            }
        };
        if let Some((tick, loss)) = self.away.take()
            && (tick > 0 || lane.cursor.is_some())
        {
            lane.send(Parcel::Loss(loss)).await?;
        }
        self.remove_before(place).await;
        let mut settling: Option<(u64, oneshot::Receiver<()>)> = None;
        let mut n_failures = 0;
        loop {
            let (end, tick) = *self.end.borrow_and_update();
            if let Some((at, told)) = &mut settling
                && told.try_recv().is_ok()
            {
                let at = *at;
                settling = None;
                self.committed.send_replace(at);
                self.remove_before(at).await;
            }
            if settling.is_none() && place > *self.committed.borrow() {
                let (told, is_told) = oneshot::channel();
                lane.send(Parcel::Settle(Settled(told))).await?;
                settling = Some((place, is_told));
            }
            if place >= end {
                self.wait(&lane, place, tick, &mut settling).await?;
                continue;
            }
            let folder = self.settings.folder.clone();
            match blocking(move || files::read(&folder, place, end)).await {
                Ok(read) => {
                    n_failures = 0;
                    place = read.place;
                    self.send(&lane, read).await?;
                }
                Err(error) => {
                    n_failures += 1;
                    if n_failures == 1 {
                        warn!(source, %error, "the spool cannot be read, will try again");
                    }
                    tokio::time::sleep(RETRY.delay(n_failures)).await;
                }
            }
        }
    }

    /// Until there is more; says meanwhile that senders are silent.
    async fn wait(
        &mut self,
        lane: &Lane,
        place: u64,
        tick: i64,
        settling: &mut Option<(u64, oneshot::Receiver<()>)>,
    ) -> Result<(), ReaderGone> {
        let idle = Instant::now();
        let mut is_said = false;
        loop {
            let has_more = async {
                tokio::select! {
                    // The writing end lives as long as this one.
                    _ = self.end.changed() => true,
                    Some(loss) = self.losses.recv() => {
                        let _ = lane.send(Parcel::Loss(loss)).await;
                        false
                    }
                    told = async { match settling.as_mut() { Some((_, told)) => told.await, None => std::future::pending().await } } => {
                        let at = settling.take().map_or(0, |(at, _)| at);
                        if told.is_ok() {
                            self.committed.send_replace(at);
                        }
                        true
                    }
                }
            };
            match timeout(QUIET, has_more).await {
                Ok(true) => {
                    let committed = *self.committed.borrow();
                    self.remove_before(committed).await;
                    return Ok(());
                }
                Ok(false) => {}
                Err(_) if !is_said => {
                    is_said = true;
                    let silent = i64::try_from(idle.elapsed().as_nanos()).unwrap_or(i64::MAX);
                    let place = MixedPlace::Spool { offset: place };
                    lane.send(Parcel::Read { place, until: tick.saturating_add(silent) }).await?;
                }
                Err(_) => {}
            }
        }
    }

    async fn send(&mut self, lane: &Lane, read: Portion) -> Result<(), ReaderGone> {
        if let Some((from, to)) = read.hole {
            error!(source = self.settings.source, from, to, "a part of the spool is lost");
            let reason = "the spool was damaged".to_owned();
            lane.send(Parcel::Loss(Loss {
                from: from.to_string(),
                to: to.to_string(),
                reason,
                of_stream: None,
            }))
            .await?;
            let place = MixedPlace::Spool { offset: to };
            lane.send(Parcel::Read { place, until: 0 }).await?;
        }
        if read.records.is_empty() {
            return Ok(());
        }
        let entries =
            read.records.into_iter().filter_map(|(record, offset)| self.entry(record, offset)).collect();
        lane.send(Parcel::Entries(entries)).await
    }

    fn entry(&mut self, record: Record, offset: u64) -> Option<Entry> {
        if Head::of(&record).is_some() {
            return None;
        }
        let Record { tick, item: Item { service, label, at, text } } = record;
        let key = Writer::key_of(&service, &label);
        let thing = Thing::Named { name: service };
        Some(Entry {
            writer: self.writers.get(key, || Some(Writer { key, label, thing }))?,
            at: at.and_then(|at| Timestamp::from_nanosecond(at.into()).ok()),
            tick,
            text: Bytes::from(text),
            mark: Mark::Spool { offset },
        })
    }

    async fn remove_before(&self, place: u64) {
        let folder = self.settings.folder.clone();
        if let Err(error) = blocking(move || files::remove_before(&folder, place)).await {
            warn!(source = self.settings.source, %error, "a segment of the spool cannot be removed");
        }
    }
}
