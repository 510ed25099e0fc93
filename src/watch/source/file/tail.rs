//! Follows one path through everything that can happen to its file: growth, rotation, truncation, removal.
//!
//! A file that has lost its name is read until its writer has gone on to the next one; only then the next one is begun, so the lines of a
//! path stay in order. Work on the disk happens on the blocking pool, a block at a time.

use std::collections::VecDeque;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::{Notify, OwnedSemaphorePermit};
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use super::budget::Budget;
use super::name::{Name, name_of};
use super::reader::{Place, Reader};
use super::rotation::{self, Plan, ReadSoFar, copied_unread, plan};
use crate::base::backoff::Backoff;
use crate::base::clock::{Clock, SystemClock};
use crate::base::lag::Lag;
use crate::base::metrics;
use crate::model::cursor::StreamKey;
use crate::watch::source::ahead::hand_over;
use crate::watch::source::bell::Bells;
use crate::watch::source::blocking::{Heat, blocking, work};
use crate::watch::source::lane::{Block, Lane, Loss, Origin, Outlet, Parcel, QUIET, ReaderGone, Thing};
use crate::watch::source::pace::{BUSY_PAUSE, Pace};

/// A file whose bell hangs is looked at less often by this.
const LISTENING: u32 = 10;

/// While a name has just lost its file, or a line has no end, it is looked at so often.
const UNSETTLED: Duration = Duration::from_millis(200);

/// A writer is held to have gone on to the new file when it has written to that one and was silent on the old one for so long …
const SETTLE: Duration = Duration::from_secs(1);

/// … or, if the new one stays empty, for so long.
const SETTLE_EMPTY: Duration = Duration::from_secs(10);

/// A path without a file is forgotten after so long.
const FORGET: Duration = Duration::from_secs(60);

/// A line that is not ended for so long is given as it is.
const LINE_PATIENCE: Duration = Duration::from_secs(5);

const RETRY: Backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(30));

/// Where a file without a cursor is begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begin {
    AtStart,
    AtEnd,
}

/// A path to follow.
#[derive(Debug)]
pub(super) struct Tail {
    pub(super) path: PathBuf,
    /// The machine, where others keep their cursors in the same place.
    pub(super) machine: Option<Arc<str>>,
    pub(super) begin: Begin,
    pub(super) outlet: Outlet,
    /// Something happened in the path's folder.
    pub(super) wake: Arc<Notify>,
    /// How many files may be open.
    pub(super) budget: Arc<Budget>,
    /// Where a change of the file is told, if the system does that.
    pub(super) bells: Option<Bells>,
    /// The longest wait without being woken.
    pub(super) poll_every: Duration,
}

/// Follows the path until its file is gone for long, or nobody takes the lines any more. Gives the path back.
pub(super) async fn follow(tail: Tail) -> (PathBuf, Result<(), ReaderGone>) {
    let path = tail.path.clone();
    let result = Following::run(tail).await;
    (path, result)
}

#[derive(Debug)]
struct Following {
    tail: Tail,
    lane: Lane,
    /// What is to be read, in this order. The last one has the name, or had it when last seen.
    readers: VecDeque<Reader>,
    /// Everything before it was given.
    place: Place,
    /// When the file last grew, or changed, and what was told of it.
    pace: Pace,
    /// The bell hangs, and everything was read since.
    is_armed: bool,
    /// The name has its file, and that ends with a whole line.
    is_settled: bool,
    /// The system tells of everything that is written to the file.
    is_local: bool,
    /// When the file that had the name was last written to.
    written_at: Option<SystemTime>,
    /// The right to have files open; without it there are no readers.
    permit: Option<OwnedSemaphorePermit>,
    /// Read to its end, and closed for others; its place says where to go on.
    is_closed: bool,
    heat: Heat,
    lag: Lag,
}

/// What one read gave.
struct Read {
    reader: Reader,
    block: Option<Block>,
    has_grown: bool,
    /// Of the last file only, and where there is no block.
    name: Option<Name>,
    /// The block is nothing to give: there are these to read first, then the file again from its beginning.
    copied: Option<Plan>,
}

impl Read {
    /// Reads on. Blocking. `path` is the name of the file, if it is the last one.
    fn of(mut reader: Reader, path: Option<&Path>) -> io::Result<Self> {
        let n_before = reader.n_read();
        let untouched = path.filter(|_| reader.place().offset == 0);
        let block = reader.next_block()?;
        let has_grown = reader.n_read() > n_before;
        // Asked after reading: what was read is from before the cut then, or from behind it and the copy is there.
        let copied = untouched.map(|path| copied_unread(path, &reader)).transpose()?.flatten();
        if copied.is_some() {
            reader.begin_anew()?;
        }
        let name = path.filter(|_| block.is_none()).map(|path| name_of(path, &reader)).transpose()?;
        Ok(Self { reader, block, has_grown, name, copied })
    }
}

impl Following {
    async fn run(tail: Tail) -> Result<(), ReaderGone> {
        let lane = open(&tail).await?;
        let place = lane.cursor.as_ref().and_then(Place::of);
        let mut following = Self {
            tail,
            lane,
            readers: VecDeque::new(),
            place: place.unwrap_or(Place::NOWHERE),
            pace: Pace::new(),
            is_armed: false,
            is_settled: true,
            is_local: false,
            written_at: None,
            permit: None,
            is_closed: false,
            heat: Heat::default(),
            lag: Lag::of("file"),
        };
        let mut n_failures = 0;
        let mut is_begun = false;
        loop {
            let step =
                if is_begun { following.look().await? } else { following.begin(place.is_none()).await? };
            match step {
                Ok(true) => return following.leave().await,
                Ok(false) => {
                    is_begun = true;
                    n_failures = 0;
                    following.wait().await?;
                }
                Err(error) => {
                    n_failures += 1;
                    let path = following.tail.path.display();
                    if n_failures == 1 {
                        warn!(%path, %error, "a file cannot be read, will try again");
                    } else {
                        debug!(%path, %error, "a file still cannot be read");
                    }
                    sleep(RETRY.delay(n_failures)).await;
                }
            }
        }
    }

    /// Finds the first readers. Like [`Following::look`] it says whether to leave.
    async fn begin(&mut self, is_new: bool) -> Result<io::Result<bool>, ReaderGone> {
        if !is_new {
            return self.replan(ReadSoFar::Partly).await;
        }
        self.permit = self.tail.budget.one().await;
        let (path, begin) = (self.tail.path.clone(), self.tail.begin);
        let opened = blocking(move || {
            // Asked first: what comes beside it from now on is newer than it.
            let before = rotation::before(&path)?;
            let mut reader = Reader::open(&path)?;
            reader.set_before(before);
            if begin == Begin::AtEnd {
                reader.go_to(reader.len()?);
            }
            Ok(reader)
        });
        match opened.await {
            Ok(reader) => {
                self.place = reader.place();
                self.lane.send(Parcel::Start(self.place.cursor())).await?;
                self.readers.push_back(reader);
                self.look().await
            }
            // Gone already: then there is nothing to begin with.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Ok(true)),
            Err(error) => Ok(Err(error)),
        }
    }

    /// Reads all there is, then looks what became of the name. `true` if the path can be left.
    async fn look(&mut self) -> Result<io::Result<bool>, ReaderGone> {
        if self.is_closed {
            return self.look_at_closed().await;
        }
        let name = match self.drain().await? {
            Ok(name) => name,
            // A reader may be lost with the error: the place says where to go on.
            Err(error) => return self.replan(ReadSoFar::Partly).await.map(|planned| planned.and(Err(error))),
        };
        let (Some(name), Some(reader)) = (name, self.readers.back()) else {
            return self.look_without_file().await;
        };
        let is_within_line = reader.is_within_line();
        self.is_local = reader.is_local();
        let silent = self.pace.silent();
        self.is_settled = name == Name::Same && !is_within_line;
        if !is_within_line {
            self.pace.tell(silent, &self.lane).await?;
        }
        match name {
            Name::Same if is_within_line && silent >= LINE_PATIENCE => {
                self.give_rest().await.map(|()| Ok(false))
            }
            Name::Same => Ok(Ok(false)),
            Name::Truncated => self.replan(ReadSoFar::ToEndWhenLastSeen { is_quiet: silent >= QUIET }).await,
            Name::Replaced { is_empty } if silent < if is_empty { SETTLE_EMPTY } else { SETTLE } => {
                Ok(Ok(false))
            }
            Name::Replaced { .. } => {
                self.give_rest().await?;
                self.note_written();
                self.replan(ReadSoFar::ToEnd { written_at: self.written_at }).await
            }
            Name::Missing if silent < SETTLE_EMPTY => Ok(Ok(false)),
            Name::Missing => {
                self.give_rest().await?;
                self.note_written();
                self.readers.clear();
                self.permit = None;
                self.lane.send(Parcel::End).await?;
                Ok(Ok(false))
            }
        }
    }

    /// Looks whether a file that was closed must be opened again.
    async fn look_at_closed(&mut self) -> Result<io::Result<bool>, ReaderGone> {
        let (path, place) = (self.tail.path.clone(), self.place);
        let is_same = blocking(move || {
            let metadata = std::fs::metadata(path)?;
            let is_same_file = (metadata.dev(), metadata.ino()) == (place.device, place.inode);
            Ok(is_same_file && metadata.len() == place.offset)
        });
        if is_same.await.unwrap_or(false) {
            self.pace.tell(self.pace.silent(), &self.lane).await?;
            return Ok(Ok(false));
        }
        self.is_closed = false;
        self.replan(ReadSoFar::Partly).await
    }

    /// Nothing has the name: something may come to have it.
    async fn look_without_file(&mut self) -> Result<io::Result<bool>, ReaderGone> {
        if self.pace.silent() >= FORGET {
            return Ok(Ok(true));
        }
        let path = self.tail.path.clone();
        if blocking(move || Ok(path.exists())).await.unwrap_or(false) {
            return self.replan(ReadSoFar::ToEnd { written_at: self.written_at }).await;
        }
        Ok(Ok(false))
    }

    /// Plans anew from the present place, and reads what that gives.
    async fn replan(&mut self, so_far: ReadSoFar) -> Result<io::Result<bool>, ReaderGone> {
        if self.permit.is_none() {
            self.permit = self.tail.budget.one().await;
        }
        let (path, place) = (self.tail.path.clone(), self.place);
        let mut planned = match blocking(move || plan(&path, &place, so_far)).await {
            Ok(planned) => planned,
            Err(error) => return Ok(Err(error)),
        };
        if matches!(so_far, ReadSoFar::ToEndWhenLastSeen { .. }) && planned.readers.len() <= 1 {
            // No copy has it: what was begun is all there will be of it.
            self.give_rest().await?;
        }
        self.tell_loss(planned.loss.take()).await?;
        self.readers = planned.readers;
        self.pace.grown();
        self.drain().await.map(|drained| drained.map(|_| false))
    }

    /// Reads all readers but the last to their end for good, and the last one as far as it goes now; then looks at the name. `None` where
    /// there is no reader.
    async fn drain(&mut self) -> Result<io::Result<Option<Name>>, ReaderGone> {
        while let Some(mut reader) = self.readers.pop_front() {
            let is_last = self.readers.is_empty();
            let (name, copied) = loop {
                // The first block of a file is read alone: it may have been copied and cut before.
                if !self.heat.is_hot() && reader.has_more() && reader.place().offset > 0 && reader.is_local()
                {
                    reader = self.read_ahead(reader).await?;
                    self.heat.note(reader.is_caught_up(), is_last);
                    if is_last && reader.is_caught_up() {
                        break (Some(Name::Same), None);
                    }
                    continue;
                }
                let path = is_last.then(|| self.tail.path.clone());
                let read = work(self.heat.is_hot(), move || Read::of(reader, path.as_deref()));
                let Read { reader: read_on, block, has_grown, name, copied } = match read.await {
                    Ok(read) => read,
                    Err(error) => return Ok(Err(error)),
                };
                reader = read_on;
                if has_grown {
                    self.pace.grown();
                }
                self.heat.note(!reader.has_more(), is_last);
                let Some(block) = block.filter(|_| copied.is_none()) else { break (name, copied) };
                self.note_place(&reader);
                self.send(block).await?;
                if is_last && reader.is_caught_up() {
                    // What is written meanwhile is read at the next look, which also asks for the name.
                    break (Some(Name::Same), None);
                }
            };
            if is_last {
                self.lag.note(0);
            }
            if let Some(copied) = copied {
                self.tell_loss(copied.loss).await?;
                self.readers = copied.readers;
                self.readers.push_back(reader);
                continue;
            }
            if is_last {
                self.readers.push_front(reader);
                return Ok(Ok(name));
            }
            if reader.may_grow(SystemClock.now(), SETTLE) {
                self.readers.push_front(reader);
                sleep(BUSY_PAUSE).await;
                continue;
            }
            if let Some(block) = reader.give_rest() {
                self.send(block).await?;
            }
            self.place = reader.place();
            if let Some(next) = self.readers.front_mut() {
                next.come_after(&self.place);
            }
        }
        Ok(Ok(None))
    }

    /// Has many blocks read where they are looked at.
    async fn read_ahead(&mut self, reader: Reader) -> Result<Reader, ReaderGone> {
        let counted = |block: Block| {
            metrics::source_bytes("file", block.text.len());
            block
        };
        let reader = hand_over(&self.lane, reader, counted).await?;
        self.pace.grown();
        self.pace.sent();
        self.note_place(&reader);
        Ok(reader)
    }

    fn note_place(&mut self, reader: &Reader) {
        self.place = reader.place();
        let n_left = if reader.is_caught_up() { 0 } else { reader.n_left() };
        self.lag.note(n_left + self.readers.iter().map(Reader::n_left).sum::<u64>());
    }

    async fn tell_loss(&self, loss: Option<Loss>) -> Result<(), ReaderGone> {
        let Some(loss) = loss else { return Ok(()) };
        warn!(path = %self.tail.path.display(), "a file was rotated away before it was read to its end");
        self.lane.send(Parcel::Loss(loss)).await
    }

    /// Gives the line that has no end.
    async fn give_rest(&mut self) -> Result<(), ReaderGone> {
        let Some(reader) = self.readers.back_mut() else { return Ok(()) };
        let rest = reader.give_rest();
        self.place = reader.place();
        match rest {
            Some(block) => self.send(block).await,
            None => Ok(()),
        }
    }

    async fn send(&mut self, block: Block) -> Result<(), ReaderGone> {
        self.pace.sent();
        metrics::source_bytes("file", block.text.len());
        self.lane.send(Parcel::Block(block)).await
    }

    /// Notes when the file was last written to that has the name no more.
    fn note_written(&mut self) {
        let metadata = self.readers.back().and_then(|reader| reader.metadata().ok());
        self.written_at = metadata.and_then(|metadata| metadata.modified().ok());
    }

    /// Waits until something may have changed.
    async fn wait(&mut self) -> Result<(), ReaderGone> {
        if self.is_settled && self.readers.len() == 1 && self.tail.budget.is_short() {
            self.readers.clear();
            self.permit = None;
            self.is_closed = true;
        }
        let is_busy = self.pace.is_busy();
        if !is_busy {
            self.heat.cool();
        }
        if is_busy && (!self.readers.is_empty() || self.is_closed) {
            self.is_armed = false;
            sleep(self.pace.rest()).await;
            return Ok(());
        }
        let is_listening = self.is_armed;
        if !self.is_armed && (!self.readers.is_empty() || self.is_closed) {
            let path = self.tail.path.as_path();
            self.is_armed =
                self.tail.bells.as_ref().is_some_and(|bells| bells.arm(path, &self.tail.wake).is_ok());
            if self.is_armed {
                // What was written before the bell hung is not told.
                return Ok(());
            }
        }
        // Not all file systems tell, and some things happen to names and not to files.
        let longest = match self.is_settled {
            true if is_listening && self.is_local => self.tail.poll_every * LISTENING,
            true => self.tail.poll_every,
            false => self.tail.poll_every.min(UNSETTLED),
        };
        let until_told = self.pace.until_told(self.pace.silent()).unwrap_or(longest);
        if timeout(until_told.min(longest), self.tail.wake.notified()).await.is_ok() {
            self.is_armed = false;
        }
        Ok(())
    }

    /// Nothing has had the name for long. Should something have it again it is another file, of which nothing is known.
    async fn leave(self) -> Result<(), ReaderGone> {
        let Self { tail, lane, .. } = self;
        drop(lane);
        let lane = open(&tail).await?;
        lane.send(Parcel::Start(Place::NOWHERE.cursor())).await
    }
}

async fn open(tail: &Tail) -> Result<Lane, ReaderGone> {
    let label = tail.path.display().to_string();
    let alone = StreamKey(format!("file:{label}"));
    let (stream, former) = match &tail.machine {
        None => (alone, None),
        Some(machine) => (StreamKey(format!("file:{machine}:{label}")), Some(alone)),
    };
    let origin = Origin { stream, label, thing: Thing::File { path: tail.path.clone() } };
    tail.outlet.open_renamed(origin, former).await
}
