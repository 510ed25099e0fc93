//! What every source gives and takes: one [`Lane`] per stream, on which whole lines travel in blocks with the places they came from.
//!
//! A source knows no store: it opens a lane through the [`Outlet`], is told the committed cursor of the stream, and sends what
//! comes after it. The lanes are bounded, so a reader that falls behind makes its sources wait; nothing is dropped here.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use crate::base::clock::Timestamp;
use crate::model::cursor::{Cursor, FilePlace, MixedPlace, StreamKey};

/// Blocks that may wait in one lane. With [`MAX_BLOCK_BYTES`] this bounds what a stream holds in memory.
const LANE_CAPACITY: usize = 2;

/// Openings that may wait for an answer.
const OUTLET_CAPACITY: usize = 64;

/// A block is sent when it has grown to this; one longer line makes a block of its own.
pub const MAX_BLOCK_BYTES: usize = 256 << 10;

/// How long nothing may come before a source calls its stream quiet: longer than a program pauses within one trace, shorter than
/// people wait. The same as `join::Limits::timeout`, which parts lines by their own times.
pub const QUIET: Duration = Duration::from_secs(2);

/// Where a stream comes from, as far as the mapping to a service needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    pub stream: StreamKey,
    /// What people know it by: the container's name, or the file's path.
    pub label: String,
    pub thing: Thing,
}

/// What writes the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Thing {
    Container {
        /// Without the leading `/`.
        name: String,
        /// As it was given when the container was created.
        image: String,
        /// The image's labels under the container's own, as the engine merges them.
        labels: BTreeMap<String, String>,
    },
    File {
        path: PathBuf,
    },
    /// What says itself which service it is: a label in Loki, a resource's `service.name`, a syslog's tag, a unit.
    Named {
        name: String,
    },
    /// Many writers, told apart by the [`Entry`]s on the lane. Such a lane carries no [`Block`]s.
    Mixed,
}

/// One of the writers of a [`Thing::Mixed`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Writer {
    /// Hash of what names it in its source; the same for ever.
    pub key: u64,
    /// What people know it by.
    pub label: String,
    pub thing: Thing,
}

impl Writer {
    /// The key of what calls itself `service` and is known as `label`: the same on every run.
    pub fn key_of(service: &str, label: &str) -> u64 {
        let mut hasher = blake3::Hasher::new();
        hasher.update(service.as_bytes()).update(&[0]).update(label.as_bytes());
        let mut key = [0; 8];
        hasher.finalize_xof().fill(&mut key);
        u64::from_le_bytes(key)
    }
}

/// One text of one writer, in the order of the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub writer: Arc<Writer>,
    /// When it was logged, where that is known.
    pub at: Option<Timestamp>,
    /// Time by which silence is measured, in nanoseconds: grows within a lane, and is the same when it is read again.
    pub tick: i64,
    /// Without a line break at its end. One with several lines is whole: no other entry adds to its records.
    pub text: Bytes,
    pub mark: Mark,
}

/// What moves the place of a mixed lane past an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mark {
    Loki {
        nanos: i64,
        hash: u64,
    },
    /// Where the next entry begins.
    Spool {
        offset: u64,
    },
    Journal {
        cursor: String,
    },
}

/// Whole lines in the order of their stream, or of the two streams of a pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Each line ends in `\n`, but for the last one, which lacks it where the source holds it to be whole all the same.
    pub text: Bytes,
    pub places: Places,
}

/// Blocks that are there and not read yet: each is read, and may be waited for, when it is taken. What is not taken comes again.
pub struct Backlog(Box<dyn Iterator<Item = Block> + Send>);

impl Backlog {
    /// What these blocks are read from learns when it is dropped how far it was taken.
    pub fn new(blocks: impl Iterator<Item = Block> + Send + 'static) -> Self {
        Self(Box::new(blocks))
    }
}

impl Iterator for Backlog {
    type Item = Block;

    fn next(&mut self) -> Option<Block> {
        self.0.next()
    }
}

impl std::fmt::Debug for Backlog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Backlog").finish_non_exhaustive()
    }
}

/// Where the lines of a block stand in their source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Places {
    /// One for each line.
    Docker(Vec<DockerPlace>),
    /// Of the first byte; the rest follows without a hole.
    File { device: u64, inode: u64, prefix_hash: u64, prefix_len: u32, offset: u64, before: u64 },
    /// Lines of the engine's own file, as they stand there: JSON, with both streams of a pair mixed. Of the first byte; the rest follows
    /// without a hole. What of stdout and of stderr begins before `taken_to` was taken earlier.
    DockerFile { place: FilePlace, taken_to: [u64; 2] },
}

/// Time of a line as the engine gave it, and its number (from 1) among the lines of the stream with that very time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DockerPlace {
    pub nanos: i64,
    pub n_at_nanos: u32,
}

impl Block {
    /// The place before line number `line_idx` (from 0) of the block; for its number of lines or more, the place after the block.
    pub fn cursor_before(&self, line_idx: usize) -> Cursor {
        let offset = match line_idx {
            0 => 0,
            n => memchr::memchr_iter(b'\n', &self.text)
                .nth(n - 1)
                .map_or(self.text.len(), |newline| newline + 1),
        };
        self.places.cursor_at(line_idx, offset)
    }

    /// The place after the last line.
    pub fn cursor_after(&self) -> Cursor {
        self.cursor_before(usize::MAX)
    }
}

impl Places {
    /// The place before line number `line_idx` (from 0) of the block, which begins at its byte `offset`; for the number of lines or more,
    /// the place after the block. Of a pair's lines only the engine of blocks knows the places: this gives that in the file.
    pub fn cursor_at(&self, line_idx: usize, offset: usize) -> Cursor {
        match self {
            // Named by the line before, where there is one: that it was there tells, when it is not found again, that something is lost.
            Self::Docker(places) => match (line_idx.min(places.len()).checked_sub(1), places.first()) {
                (Some(last_idx), _) => places[last_idx].cursor_after(),
                (None, Some(first)) => first.cursor_before(),
                (None, None) => DockerPlace { nanos: 0, n_at_nanos: 0 }.cursor_after(),
            },
            &Self::File { device, inode, prefix_hash, prefix_len, offset: start, before } => {
                Cursor::File { device, inode, prefix_hash, prefix_len, offset: start + offset as u64, before }
            }
            Self::DockerFile { place, .. } => {
                FilePlace { offset: place.offset + offset as u64, ..*place }.cursor()
            }
        }
    }

    /// When line number `line_idx` (from 0) was logged, where the source says so beside the line.
    pub fn at(&self, line_idx: usize) -> Option<Timestamp> {
        match self {
            Self::Docker(places) => {
                places.get(line_idx).and_then(|place| Timestamp::from_nanosecond(place.nanos.into()).ok())
            }
            Self::File { .. } | Self::DockerFile { .. } => None,
        }
    }
}

impl DockerPlace {
    /// The place of a line of this time that comes next.
    pub fn then(self, nanos: i64) -> Self {
        let n_before = if self.nanos == nanos { self.n_at_nanos } else { 0 };
        Self { nanos, n_at_nanos: n_before + 1 }
    }

    /// The cursor with the line still to come.
    pub fn cursor_before(self) -> Cursor {
        Cursor::Docker { nanos: self.nanos, n_at_nanos: self.n_at_nanos - 1, log: None }
    }

    /// The cursor with the line taken.
    pub fn cursor_after(self) -> Cursor {
        Cursor::Docker { nanos: self.nanos, n_at_nanos: self.n_at_nanos, log: None }
    }
}

/// Lines that a source knows to be lost. The reader adds stream, service and time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// From where to where, in words of the source.
    pub from: String,
    pub to: String,
    /// Why, for example `rotated away unread`.
    pub reason: String,
    /// Of a pair: which of the two streams it is of, where it is not of both.
    pub of_stream: Option<usize>,
}

/// What travels on a lane.
#[derive(Debug)]
pub enum Parcel {
    /// Reading begins here; sent first when there was no cursor, so that a restart before the first line begins here again.
    Start(Cursor),
    /// The same for the two streams of a pair.
    StartPair([Cursor; 2]),
    Block(Block),
    /// The next blocks, as many as are taken.
    Backlog(Backlog),
    Loss(Loss),
    /// All that was logged so far is sent, and nothing came for [`QUIET`] although the source was listening: a record that is open is whole.
    /// Only the source can tell this from lines that are late: it may have waited for another stream's lane, for the engine, for the disk.
    Quiet,
    /// All that was written so far is sent, and the writer paused: a record that nothing is likely to follow need not wait for [`QUIET`].
    Pause,
    /// Of mixed lanes only, as the two below: what many wrote, in the order of their source.
    Entries(Vec<Entry>),
    /// Everything before the place is sent, and nothing can come any more with a tick before `until`.
    Read {
        place: MixedPlace,
        until: i64,
    },
    /// Answered when everything sent before it is committed and the cursor is past it.
    Settle(Settled),
    /// No line can follow soon (the container stopped, the file was replaced): a record that is still open is whole.
    End,
}

/// The way to tell a source that what it sent is committed.
#[derive(Debug)]
pub struct Settled(pub oneshot::Sender<()>);

/// A request for a lane, answered by the reader.
#[derive(Debug)]
pub struct Opening {
    pub origin: Origin,
    /// The other stream of a pair: both come on one lane, each with a cursor of its own.
    pub second: Option<StreamKey>,
    /// The key that the stream had in earlier versions: its cursor counts where there is none yet.
    pub former: Option<StreamKey>,
    pub reply: oneshot::Sender<Opened>,
}

/// The reader's answer.
#[derive(Debug)]
pub struct Opened {
    /// Everything before it is committed; `None` for a stream never seen.
    pub cursor: Option<Cursor>,
    /// The same for the other stream of a pair.
    pub second: Option<Cursor>,
    pub parcels: mpsc::Sender<Parcel>,
}

impl Opening {
    /// Grants the lane; the reader's end, or `None` if the source has gone meanwhile.
    pub fn grant(self, cursor: Option<Cursor>) -> Option<mpsc::Receiver<Parcel>> {
        self.grant_pair(cursor, None)
    }

    /// The same for a pair.
    pub fn grant_pair(
        self,
        cursor: Option<Cursor>,
        second: Option<Cursor>,
    ) -> Option<mpsc::Receiver<Parcel>> {
        let (tx, rx) = mpsc::channel(LANE_CAPACITY);
        self.reply.send(Opened { cursor, second, parcels: tx }).ok().map(|()| rx)
    }

    /// The streams it asks for.
    pub fn streams(&self) -> impl Iterator<Item = &StreamKey> {
        std::iter::once(&self.origin.stream).chain(&self.second)
    }
}

/// The reader has stopped: nothing can be sent any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the reader of the sources has stopped")]
pub struct ReaderGone;

/// Where sources open their lanes.
#[derive(Debug, Clone)]
pub struct Outlet(mpsc::Sender<Opening>);

impl Outlet {
    /// An outlet, and the end of it that answers.
    pub fn new() -> (Self, mpsc::Receiver<Opening>) {
        let (tx, rx) = mpsc::channel(OUTLET_CAPACITY);
        (Self(tx), rx)
    }

    /// Opens the lane of a stream. A stream whose last lane is not committed yet waits for that.
    pub async fn open(&self, origin: Origin) -> Result<Lane, ReaderGone> {
        self.ask(origin, None, None).await
    }

    /// The same for a stream that had another key in earlier versions.
    pub async fn open_renamed(&self, origin: Origin, former: Option<StreamKey>) -> Result<Lane, ReaderGone> {
        self.ask(origin, None, former).await
    }

    /// Opens one lane for two streams whose lines stand mixed in one place; `origin` names the first.
    pub async fn open_pair(&self, origin: Origin, second: StreamKey) -> Result<Lane, ReaderGone> {
        self.ask(origin, Some(second), None).await
    }

    async fn ask(
        &self,
        origin: Origin,
        second: Option<StreamKey>,
        former: Option<StreamKey>,
    ) -> Result<Lane, ReaderGone> {
        let (reply, opened) = oneshot::channel();
        self.0.send(Opening { origin, second, former, reply }).await.map_err(|_| ReaderGone)?;
        let Opened { cursor, second, parcels } = opened.await.map_err(|_| ReaderGone)?;
        Ok(Lane { cursor, second, parcels })
    }
}

/// The source's end of an open lane. Dropping it without [`Parcel::End`] leaves an open record to be read again.
#[derive(Debug)]
pub struct Lane {
    /// Everything before it is committed; `None` for a stream never seen.
    pub cursor: Option<Cursor>,
    /// The same for the other stream of a pair.
    pub second: Option<Cursor>,
    parcels: mpsc::Sender<Parcel>,
}

impl Lane {
    /// Sends one parcel; waits while the lane is full.
    pub async fn send(&self, parcel: Parcel) -> Result<(), ReaderGone> {
        self.parcels.send(parcel).await.map_err(|_| ReaderGone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_docker_block_knows_the_place_of_each_line() {
        let place = |nanos, n_at_nanos| DockerPlace { nanos, n_at_nanos };
        let block = Block {
            text: Bytes::from_static(b"a\nb\nc\n"),
            places: Places::Docker(vec![place(5, 2), place(5, 3), place(9, 1)]),
        };
        let cursor = |nanos, n_at_nanos| Cursor::Docker { nanos, n_at_nanos, log: None };
        let befores: Vec<Cursor> = (0..4).map(|line_idx| block.cursor_before(line_idx)).collect();
        assert_eq!(befores, [cursor(5, 1), cursor(5, 2), cursor(5, 3), cursor(9, 1)]);
        assert_eq!(block.cursor_after(), cursor(9, 1));
        assert_eq!(block.places.at(2).unwrap().as_nanosecond(), 9);
    }

    #[test]
    fn a_file_block_knows_the_offset_of_each_line() {
        let places =
            Places::File { device: 1, inode: 2, prefix_hash: 3, prefix_len: 4, offset: 100, before: 5 };
        let block = Block { text: Bytes::from_static(b"a\nbcd\n\nx\n"), places };
        let offsets: Vec<u64> = (0..6)
            .map(|line_idx| match block.cursor_before(line_idx) {
                Cursor::File { offset, .. } => offset,
                Cursor::Docker { .. } | Cursor::Mixed { .. } => 0,
            })
            .collect();
        assert_eq!(offsets, [100, 102, 106, 107, 109, 109]);
    }

    #[tokio::test]
    async fn a_lane_carries_what_is_sent_until_the_reader_goes() {
        let (outlet, mut openings) = Outlet::new();
        let origin = Origin {
            stream: StreamKey("file:/x".to_owned()),
            label: "/x".to_owned(),
            thing: Thing::File { path: "/x".into() },
        };
        let reader = tokio::spawn(async move {
            let opening = openings.recv().await.unwrap();
            let cursor = Some(Cursor::Docker { nanos: 1, n_at_nanos: 1, log: None });
            let mut parcels = opening.grant(cursor).unwrap();
            parcels.recv().await
        });
        let lane = outlet.open(origin).await.unwrap();
        assert_eq!(lane.cursor, Some(Cursor::Docker { nanos: 1, n_at_nanos: 1, log: None }));
        lane.send(Parcel::End).await.unwrap();
        assert!(matches!(reader.await.unwrap(), Some(Parcel::End)));
        assert_eq!(lane.send(Parcel::End).await, Err(ReaderGone));
    }
}
