//! The writing end of a spool: what senders append is gathered, written, and answered when it is durable.

use std::io;

use tokio::sync::{mpsc, oneshot, watch};
use tracing::{info, warn};

use super::batch::{Batch, Head, Taken};
use super::feed::{Settings, SpoolError};
use super::files;
use super::record::{Item, Record};
use crate::base::clock::SharedClock;
use crate::base::metrics;
use crate::base::shutdown::Shutdown;
use crate::watch::source::blocking::blocking;
use crate::watch::source::own;

/// Bytes made durable at once.
const BATCH_BYTES: usize = 4 << 20;

/// Some items, and who waits for them.
#[derive(Debug)]
pub(super) struct Append {
    pub(super) items: Vec<Item>,
    pub(super) batch: Option<Batch>,
    pub(super) done: oneshot::Sender<Result<(), SpoolError>>,
}

/// See the module's documentation.
pub(super) struct Sink {
    pub(super) settings: Settings,
    /// `None` while the disk works.
    pub(super) writer: Option<files::Writer>,
    pub(super) tick: i64,
    pub(super) end: watch::Sender<(u64, i64)>,
    pub(super) committed: watch::Receiver<u64>,
    pub(super) clock: SharedClock,
    pub(super) is_full: bool,
    pub(super) taken: Taken,
}

impl Sink {
    /// Writes until a stop is asked for; then what is in the making is ended and answered.
    pub(super) async fn run(mut self, mut appends: mpsc::Receiver<Append>, stop: Shutdown) {
        loop {
            let first = tokio::select! {
                biased;
                () = stop.requested() => return,
                first = appends.recv() => first,
            };
            let (mut bytes, mut done, mut batches) = (Vec::new(), Vec::new(), Vec::new());
            let Some(mut append) = first else { return };
            // All that wait share one write to the disk.
            loop {
                self.gather(append, &mut bytes, &mut done, &mut batches);
                let next = if bytes.len() < BATCH_BYTES { appends.try_recv().ok() } else { None };
                let Some(next) = next else { break };
                append = next;
            }
            let n_bytes = bytes.len();
            let result = self.store(self.with_head(bytes, &batches)).await;
            if result.is_ok() {
                metrics::source_bytes(self.settings.source, n_bytes);
                self.taken.extend(batches);
            }
            for done in done {
                // A sender that has gone will send again.
                let _ = done.send(match &result {
                    Ok(()) => Ok(()),
                    Err(SpoolError::Write(error)) => Err(SpoolError::Write(io::Error::from(error.kind()))),
                    Err(SpoolError::Full) => Err(SpoolError::Full),
                    Err(SpoolError::Closed) => Err(SpoolError::Closed),
                });
            }
        }
    }

    /// Adds what one sender waits for to the next write.
    fn gather(
        &mut self,
        append: Append,
        bytes: &mut Vec<u8>,
        all_done: &mut Vec<oneshot::Sender<Result<(), SpoolError>>>,
        batches: &mut Vec<Batch>,
    ) {
        let Append { items, batch, done } = append;
        // Who has given up was told nothing and will send again.
        if done.is_closed() {
            return;
        }
        if batch.as_ref().is_some_and(|batch| self.taken.has(batch.id)) {
            metrics::source_drop(self.settings.source, "repeated", items.len() as u64);
            let _ = done.send(Ok(()));
            return;
        }
        self.write(items, bytes);
        all_done.push(done);
        batches.extend(batch);
    }

    /// The write with its head, if batches are in it.
    fn with_head(&self, bytes: Vec<u8>, batches: &[Batch]) -> Vec<u8> {
        if bytes.is_empty() || batches.is_empty() {
            return bytes;
        }
        let ids = batches.iter().filter(|batch| batch.is_unique).map(|batch| batch.id).collect();
        let mut all = Vec::with_capacity(bytes.len() + 1024);
        Head { ids, n_bytes: bytes.len() as u64 }.record(self.tick).write(&mut all);
        all.extend(bytes);
        all
    }

    fn write(&mut self, items: Vec<Item>, bytes: &mut Vec<u8>) {
        let now = i64::try_from(self.clock.now().as_nanosecond()).unwrap_or(i64::MAX);
        self.tick = self.tick.max(now);
        for item in items {
            if own::is_own(&item.service) {
                metrics::source_drop(self.settings.source, "own log", 1);
            } else {
                Record { tick: self.tick, item }.write(bytes);
            }
        }
    }

    async fn store(&mut self, bytes: Vec<u8>) -> Result<(), SpoolError> {
        let waiting = self.end.borrow().0.saturating_sub(*self.committed.borrow());
        let is_full = waiting > self.settings.max_bytes;
        if is_full != self.is_full {
            self.is_full = is_full;
            let (source, max_bytes) = (self.settings.source, self.settings.max_bytes);
            if is_full {
                warn!(source, max_bytes, "the spool is full, nothing is taken until it is stored");
            } else {
                info!(source, "the spool has room again");
            }
        }
        if is_full {
            return Err(SpoolError::Full);
        }
        let Some(mut writer) = self.writer.take() else { return Err(SpoolError::Closed) };
        let written = blocking(move || {
            let end = writer.append(&bytes);
            Ok((writer, end))
        });
        let (writer, end) = written.await.map_err(|_| SpoolError::Closed)?;
        self.writer = Some(writer);
        let end = end.map_err(|error| {
            warn!(source = self.settings.source, %error, "failed to write to the spool");
            SpoolError::Write(error)
        })?;
        self.end.send_replace((end, self.tick));
        Ok(())
    }
}
