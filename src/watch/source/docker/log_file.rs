//! Reads the engine's own file of a container, of the json-file log driver, through its rotations.
//!
//! Its lines travel as they stand there, with both streams on one lane; the reader of the lane knows stream, time and place of each. The
//! engine renames a full file and begins the next one between two lines, so the old one is whole as soon as the name has another.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tracing::warn;

use super::log_plan::{Part, plan};
use crate::base::lag::Lag;
use crate::base::metrics;
use crate::model::cursor::{Cursor, FilePlace};
use crate::watch::source::ahead::hand_over;
use crate::watch::source::bell::Bells;
use crate::watch::source::blocking::{Heat, blocking, work};
use crate::watch::source::file::name::{Name, name_of};
use crate::watch::source::file::reader::Reader;
use crate::watch::source::file::rotation::{self, ReadSoFar};
use crate::watch::source::lane::{Block, Lane, Loss, Parcel, Places, ReaderGone};
use crate::watch::source::pace::Pace;

/// A file whose bell hangs is looked at this often all the same.
const POLL: Duration = Duration::from_secs(10);

/// One that has no bell is looked at this often, and one whose name has no file.
const POLL_WITHOUT_BELL: Duration = Duration::from_millis(100);

/// Blocks of one look: between looks the follower hears what became of the container.
const MAX_BLOCKS: usize = 256;

/// What a look at the log found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Looked {
    /// There is more to read.
    More,
    /// All that was there when it was read last; the engine may have written on since.
    CaughtUp,
    /// Nothing behind what was read.
    All,
}

/// The log of one container, open.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    lane: Lane,
    /// What is to be read, in this order; the last one has the name, or had it when last seen.
    parts: VecDeque<Part>,
    bells: Option<Bells>,
    wake: Arc<Notify>,
    is_armed: bool,
    pace: Pace,
    /// The name has no file just now.
    is_nameless: bool,
    /// The end was told, and nothing came since.
    is_ended: bool,
    heat: Heat,
    lag: Lag,
}

impl LogFile {
    /// Opens the log behind the places of both streams. An error says that the file cannot be read: then the lane was not used.
    pub(super) async fn open(
        path: &Path,
        lane: Lane,
        cursors: [Cursor; 2],
        bells: Option<Bells>,
    ) -> Result<io::Result<Self>, ReaderGone> {
        let path_of_plan = path.to_owned();
        let planned = blocking(move || plan(&path_of_plan, &cursors)).await;
        let planned = match planned {
            Ok(planned) => planned,
            Err(error) => return Ok(Err(error)),
        };
        for loss in planned.losses.into_iter().flatten() {
            lane.send(Parcel::Loss(loss)).await?;
        }
        Ok(Ok(Self {
            path: path.to_owned(),
            lane,
            parts: planned.parts,
            bells,
            wake: Arc::new(Notify::new()),
            is_armed: false,
            pace: Pace::new(),
            is_nameless: false,
            is_ended: false,
            heat: Heat::default(),
            lag: Lag::of("docker"),
        }))
    }

    /// Reads what there is.
    pub(super) async fn look(&mut self) -> Result<io::Result<Looked>, ReaderGone> {
        for _ in 0..MAX_BLOCKS {
            match self.step().await? {
                Ok(Looked::More) => {}
                Ok(Looked::All) => {
                    self.pace.tell(self.pace.silent(), &self.lane).await?;
                    return Ok(Ok(Looked::All));
                }
                other => return Ok(other),
            }
        }
        Ok(Ok(Looked::More))
    }

    /// Sends one block or many, or goes on to the next file.
    async fn step(&mut self) -> Result<io::Result<Looked>, ReaderGone> {
        let Some((reader, taken_to)) = self.parts.pop_front() else {
            return self.replan(None).await;
        };
        let is_last = self.parts.is_empty();
        if !self.heat.is_hot() && reader.has_more() && reader.is_local() {
            return self.step_ahead(reader, taken_to).await.map(Ok);
        }
        let path = self.path.clone();
        let read = work(self.heat.is_hot(), move || {
            let mut reader = reader;
            let block = reader.next_block()?;
            let name = match &block {
                None if is_last => name_of(&path, &reader)?,
                Some(_) | None => Name::Same,
            };
            // The name is asked for after the end was seen: what was written between the two is read first.
            let block = match block {
                None if name != Name::Same => reader.next_block()?,
                other => other,
            };
            Ok((reader, block, name))
        });
        let (mut reader, block, name) = match read.await {
            Ok(read) => read,
            Err(error) => return Ok(Err(error)),
        };
        self.heat.note(!reader.has_more(), is_last);
        if let Some(block) = block {
            self.send(block, taken_to).await?;
            return Ok(Ok(self.keep(reader, taken_to)));
        }
        if is_last {
            self.lag.note(0);
        }
        if !is_last || matches!(name, Name::Replaced { .. }) {
            if let Some(rest) = reader.give_rest() {
                self.send(rest, taken_to).await?;
            }
            if is_last {
                let written_at = reader.metadata().and_then(|it| it.modified()).ok();
                return self.replan(Some((reader.place(), ReadSoFar::ToEnd { written_at }))).await;
            }
            return Ok(Ok(Looked::More));
        }
        // The engine keeps one file only, and cuts it.
        if name == Name::Truncated {
            let so_far = ReadSoFar::ToEndWhenLastSeen { is_quiet: false };
            return self.replan(Some((reader.place(), so_far))).await;
        }
        self.is_nameless = name == Name::Missing;
        self.parts.push_front((reader, taken_to));
        Ok(Ok(Looked::All))
    }

    /// Has many blocks read where they are looked at.
    async fn step_ahead(&mut self, reader: Reader, taken_to: [u64; 2]) -> Result<Looked, ReaderGone> {
        let reader = hand_over(&self.lane, reader, move |block| of_engine(block, taken_to)).await?;
        self.heat.note(reader.is_caught_up(), self.parts.is_empty());
        self.has_grown();
        Ok(self.keep(reader, taken_to))
    }

    /// Puts a file back of which something was read.
    fn keep(&mut self, reader: Reader, taken_to: [u64; 2]) -> Looked {
        let is_all = self.parts.is_empty() && reader.is_caught_up();
        self.parts.push_front((reader, taken_to));
        let n_left = if is_all { 0 } else { self.parts.iter().map(|(reader, _)| reader.n_left()).sum() };
        self.lag.note(n_left);
        if is_all { Looked::CaughtUp } else { Looked::More }
    }

    /// Plans anew: after a place, or where the name had no file so far.
    async fn replan(
        &mut self,
        after: Option<(rotation::Place, ReadSoFar)>,
    ) -> Result<io::Result<Looked>, ReaderGone> {
        let path = self.path.clone();
        let (place, so_far) = after.unwrap_or((rotation::Place::NOWHERE, ReadSoFar::Partly));
        let mut planned = match blocking(move || rotation::plan(&path, &place, so_far)).await {
            Ok(planned) => planned,
            Err(error) => return Ok(Err(error)),
        };
        if let Some(loss) = planned.loss.take() {
            warn!(path = %self.path.display(), "the log of a container was rotated away before it was read");
            self.lose(loss).await?;
        }
        self.is_armed = false;
        self.is_nameless = planned.readers.is_empty();
        self.parts = planned.readers.into_iter().map(|reader| (reader, [0, 0])).collect();
        Ok(Ok(if self.parts.is_empty() { Looked::All } else { Looked::More }))
    }

    /// Waits until there may be more.
    pub(super) async fn wait(&mut self) {
        let is_busy = self.pace.is_busy();
        if !is_busy {
            self.heat.cool();
        }
        if is_busy {
            self.is_armed = false;
            sleep(self.pace.rest()).await;
            return;
        }
        if !self.is_armed && !self.is_nameless {
            let hung = self.bells.as_ref().map(|bells| bells.arm(&self.path, &self.wake));
            self.is_armed = hung.is_some_and(|it| it.is_ok());
            if self.is_armed {
                // What was written before the bell hung is not told.
                return;
            }
        }
        let longest = if self.is_armed { POLL } else { POLL_WITHOUT_BELL };
        let until_told = self.pace.until_told(self.pace.silent()).unwrap_or(longest);
        if timeout(until_told.min(longest), self.wake.notified()).await.is_ok() {
            self.is_armed = false;
        }
    }

    /// The container has stopped, and everything was read: a line without an end is whole.
    pub(super) async fn finish(&mut self) -> Result<(), ReaderGone> {
        if let Some((mut reader, taken_to)) = self.parts.pop_back() {
            // Half a line of JSON: the engine was killed within it.
            if let Some(rest) = reader.give_rest() {
                self.send(rest, taken_to).await?;
            }
            self.parts.push_back((reader, taken_to));
        }
        self.pace.settle();
        if std::mem::replace(&mut self.is_ended, true) {
            return Ok(());
        }
        self.lane.send(Parcel::End).await
    }

    /// Notes lines as lost.
    pub(super) async fn lose(&mut self, loss: Loss) -> Result<(), ReaderGone> {
        self.lane.send(Parcel::Loss(loss)).await
    }

    async fn send(&mut self, block: Block, taken_to: [u64; 2]) -> Result<(), ReaderGone> {
        self.has_grown();
        self.lane.send(Parcel::Block(of_engine(block, taken_to))).await
    }

    fn has_grown(&mut self) {
        self.pace.grown();
        self.pace.sent();
        self.is_ended = false;
    }
}

/// A block of the engine's file, counted: `taken_to` says what of each stream was taken earlier.
fn of_engine(block: Block, taken_to: [u64; 2]) -> Block {
    let Block { text, places } = block;
    metrics::source_bytes("docker", text.len());
    let place = places.cursor_at(0, 0);
    let place = FilePlace::of(&place).unwrap_or(FilePlace::NOWHERE);
    Block { text, places: Places::DockerFile { place, taken_to } }
}
