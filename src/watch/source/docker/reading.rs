//! One answer of the log API, read into the lanes of a container: frames to lines, past what is known already, in blocks.
//!
//! The engine takes whole seconds for `since`, and one request gives both streams; each stream skips up to its own place. What the engine
//! itself cannot read is told by the way the answer ends.

use std::pin::{Pin, pin};
use std::time::Duration;

use bollard::Docker;
use bollard::container::LogOutput;
use bollard::errors::Error as EngineError;
use bollard::query_parameters::LogsOptionsBuilder;
use bytes::Bytes;
use futures_util::{FutureExt, Stream, StreamExt};
use tokio::time::{Instant, timeout};
use tracing::warn;

use super::lines::{Joiner, Line, TerminalSplitter, stamp_of};
use super::log_plan::time;
use crate::base::clock::SharedClock;
use crate::base::metrics;
use crate::model::cursor::Cursor;
use crate::watch::source::lane::{
    Block, DockerPlace, Lane, Loss, MAX_BLOCK_BYTES, Parcel, Places, QUIET, ReaderGone,
};
use crate::watch::source::pace::Pace;

/// The frames of an answer.
type Frames = Pin<Box<dyn Stream<Item = Result<LogOutput, EngineError>> + Send>>;

/// How an answer ended.
#[derive(Debug)]
pub(super) enum AnswerEnd {
    /// All that the engine had, or all until the container stopped. `n_lines` were new.
    Clean { n_lines: u64 },
    /// The engine does not know the container any more.
    Gone,
    /// The container's log driver cannot be read.
    Unreadable,
    /// The engine has lines that it did not send: its follower was lost on a rotation, or with the engine's own restart.
    Stalled,
    /// The engine found a place in its own log that it cannot read.
    Damaged,
    /// The connection broke, or the engine refused for now.
    Failed(EngineError),
}

/// Says what an error of the engine means for the container it was asked about.
pub(super) fn meaning(error: EngineError) -> AnswerEnd {
    if let EngineError::DockerResponseServerError { status_code, .. } = &error {
        match status_code {
            // 409: it is being removed.
            404 | 409 => return AnswerEnd::Gone,
            501 => return AnswerEnd::Unreadable,
            _ => {}
        }
    }
    AnswerEnd::Failed(error)
}

/// The open lanes of one container.
#[derive(Debug)]
pub(super) struct Lanes {
    /// With a terminal: the one stream.
    stdout: Reading,
    /// `None` with a terminal.
    stderr: Option<Reading>,
    terminal: Option<TerminalSplitter>,
    clock: SharedClock,
    /// A follower that hears nothing for so long is compared with what the engine has.
    stall_check: Duration,
    /// Time of the line that came last.
    newest: i64,
    /// Since when nothing came although it was listened for.
    silent_since: Instant,
}

impl Lanes {
    /// Lanes that read on from the given places. Without one for stderr the container has a terminal.
    pub(super) fn new(
        stdout: (Lane, DockerPlace),
        stderr: Option<(Lane, DockerPlace)>,
        clock: SharedClock,
        stall_check: Duration,
    ) -> Self {
        let is_terminal = stderr.is_none();
        Self {
            stdout: Reading::new(stdout, is_terminal),
            stderr: stderr.map(|it| Reading::new(it, is_terminal)),
            terminal: is_terminal.then(TerminalSplitter::default),
            clock,
            stall_check,
            newest: 0,
            silent_since: Instant::now(),
        }
    }

    /// Reads one answer to its end. With `is_follow` that is the container's end, or the engine's.
    pub(super) async fn read(
        &mut self,
        docker: &Docker,
        id: &str,
        is_follow: bool,
    ) -> Result<AnswerEnd, ReaderGone> {
        let options = LogsOptionsBuilder::new()
            .stdout(true)
            .stderr(true)
            .timestamps(true)
            .follow(is_follow)
            .since(self.since())
            .build();
        self.terminal = self.terminal.take().map(|_| TerminalSplitter::default());
        let n_lines_before = self.n_lines();
        for reading in self.readings() {
            reading.begin();
        }
        let mut frames: Frames = Box::pin(docker.logs(id, Some(options)));
        loop {
            let frame = match frames.next().now_or_never() {
                Some(frame) => frame,
                // Nothing more at once: what there is must not wait.
                None => {
                    self.send().await?;
                    match self.wait(&mut frames, docker, id, is_follow).await? {
                        Some(frame) => frame,
                        None => return Ok(AnswerEnd::Stalled),
                    }
                }
            };
            match frame {
                Some(Ok(output)) => {
                    if !self.take(output) {
                        self.send().await?;
                        return Ok(AnswerEnd::Damaged);
                    }
                }
                Some(Err(error)) => {
                    self.send().await?;
                    return Ok(meaning(error));
                }
                None => break,
            }
            if self.readings().any(|reading| reading.text.len() >= MAX_BLOCK_BYTES) {
                self.send().await?;
            }
        }
        self.send().await?;
        Ok(AnswerEnd::Clean { n_lines: self.n_lines() - n_lines_before })
    }

    /// Waits for the next frame, and says meanwhile that the streams are silent; `None` if the engine has lines that do not come.
    async fn wait(
        &mut self,
        frames: &mut Frames,
        docker: &Docker,
        id: &str,
        is_follow: bool,
    ) -> Result<Option<Option<Result<LogOutput, EngineError>>>, ReaderGone> {
        loop {
            self.tell_silence().await?;
            let until_told = self.until_told();
            match timeout(until_told.unwrap_or(self.stall_check), frames.next()).await {
                Ok(frame) => {
                    self.silent_since = Instant::now();
                    return Ok(Some(frame));
                }
                Err(_) if until_told.is_some() => {}
                Err(_) if is_follow && self.is_behind(docker, id).await => return Ok(None),
                Err(_) => {}
            }
        }
    }

    /// Whether the engine has a line that is newer than all that was read.
    async fn is_behind(&self, docker: &Docker, id: &str) -> bool {
        let options = LogsOptionsBuilder::new().stdout(true).stderr(true).timestamps(true).tail("1").build();
        let mut last = pin!(docker.logs(id, Some(options)));
        let read = [Some(&self.stdout), self.stderr.as_ref()].into_iter().flatten();
        let newest = read.map(|reading| reading.place.nanos).max().unwrap_or(0);
        // What the follower waits for comes now or was lost: a line that was written in this moment is no proof.
        let settled = self.now_nanos().saturating_sub(i64::try_from(QUIET.as_nanos()).unwrap_or(i64::MAX));
        while let Ok(Some(Ok(output))) = timeout(self.stall_check.max(QUIET), last.next()).await {
            let nanos = stamp_of(&output.into_bytes());
            if nanos.is_some_and(|nanos| nanos > newest && nanos < settled) {
                return true;
            }
        }
        false
    }

    /// The container has stopped and its log was read to the end: a line without a line break is whole.
    pub(super) async fn finish(mut self) -> Result<(), ReaderGone> {
        let now_nanos = self.now_nanos();
        if let Some(mut splitter) = self.terminal.take() {
            for message in splitter.finish(now_nanos) {
                self.stdout.take(&message);
            }
        }
        for reading in self.readings() {
            if let Some(line) = reading.joiner.finish() {
                reading.add(&line);
            }
        }
        self.send().await?;
        for reading in self.readings() {
            reading.lane.send(Parcel::End).await?;
        }
        Ok(())
    }

    /// Notes lines as lost, on each stream.
    pub(super) async fn lose(&mut self, reason: &str) -> Result<(), ReaderGone> {
        for reading in self.readings() {
            let from = match reading.place {
                DockerPlace { nanos: 0, .. } => "its beginning".to_owned(),
                DockerPlace { nanos, .. } => time(nanos),
            };
            let loss = Loss { from, to: "unknown".to_owned(), reason: reason.to_owned() };
            reading.lane.send(Parcel::Loss(loss)).await?;
        }
        Ok(())
    }

    /// Takes one frame; `false` if it is the engine's own complaint and not output.
    fn take(&mut self, output: LogOutput) -> bool {
        let n_lines_before = self.n_lines();
        let is_stderr = matches!(output, LogOutput::StdErr { .. });
        match (output, &mut self.terminal) {
            (LogOutput::Console { message }, Some(splitter)) => {
                let now_nanos = i64::try_from(self.clock.now().as_nanosecond()).unwrap_or(i64::MAX);
                for message in splitter.push(&message, now_nanos) {
                    self.stdout.take(&message);
                }
            }
            // A frame of the kind "system error", which the client does not know.
            (LogOutput::Console { .. }, None) => return false,
            (LogOutput::StdErr { message }, _) => match &mut self.stderr {
                Some(stderr) => stderr.take(&message),
                None => self.stdout.take(&message),
            },
            (LogOutput::StdOut { message } | LogOutput::StdIn { message }, _) => self.stdout.take(&message),
        }
        if self.n_lines() > n_lines_before {
            let taken_by = self.stderr.as_ref().filter(|_| is_stderr).unwrap_or(&self.stdout);
            self.newest = taken_by.place.nanos;
        }
        true
    }

    async fn send(&mut self) -> Result<(), ReaderGone> {
        for reading in self.readings() {
            reading.send().await?;
        }
        // While a lane was full nobody listened.
        self.silent_since = Instant::now();
        self.tell_silence().await
    }

    /// Tells the readers of streams that pause, or are quiet.
    async fn tell_silence(&mut self) -> Result<(), ReaderGone> {
        let (newest, silent) = (self.newest, self.silent_since.elapsed());
        for reading in self.readings() {
            let silent = reading.silent(newest, silent);
            reading.pace.tell(silent, &reading.lane).await?;
        }
        Ok(())
    }

    /// When the next such word is due.
    fn until_told(&mut self) -> Option<Duration> {
        let (newest, silent) = (self.newest, self.silent_since.elapsed());
        self.readings().filter_map(|it| it.pace.until_told(it.silent(newest, silent))).min()
    }

    /// The second from which all streams find what they have not read.
    fn since(&self) -> i32 {
        let nanos = [Some(&self.stdout), self.stderr.as_ref()]
            .into_iter()
            .flatten()
            .map(|reading| reading.place.nanos)
            .min()
            .unwrap_or(0);
        i32::try_from(nanos.max(0) / 1_000_000_000).unwrap_or(i32::MAX)
    }

    fn n_lines(&self) -> u64 {
        self.stdout.n_lines + self.stderr.as_ref().map_or(0, |stderr| stderr.n_lines)
    }

    fn now_nanos(&self) -> i64 {
        i64::try_from(self.clock.now().as_nanosecond()).unwrap_or(i64::MAX)
    }

    fn readings(&mut self) -> impl Iterator<Item = &mut Reading> {
        std::iter::once(&mut self.stdout).chain(self.stderr.as_mut())
    }
}

/// One stream of a container.
#[derive(Debug)]
struct Reading {
    lane: Lane,
    joiner: Joiner,
    is_terminal: bool,
    /// Of the last line taken; everything up to it was sent or is in `text`.
    place: DockerPlace,
    /// What the present answer repeats.
    skip: Option<DockerPlace>,
    text: Vec<u8>,
    places: Vec<DockerPlace>,
    /// What came before `text` and is not there any more.
    loss: Option<Loss>,
    /// Lines taken so far.
    n_lines: u64,
    pace: Pace,
}

impl Reading {
    fn new((lane, place): (Lane, DockerPlace), is_terminal: bool) -> Self {
        Self {
            lane,
            joiner: Joiner::new(is_terminal),
            is_terminal,
            place,
            skip: None,
            text: Vec::new(),
            places: Vec::new(),
            loss: None,
            n_lines: 0,
            pace: Pace::new(),
        }
    }

    /// An answer begins: what was left open of the last one comes again.
    fn begin(&mut self) {
        self.joiner = Joiner::new(self.is_terminal);
        self.skip = Some(self.place);
    }

    fn take(&mut self, message: &[u8]) {
        let n_cut_before = self.joiner.n_cut_bytes;
        match self.joiner.push(message) {
            Some((before, own)) => {
                for line in [before, own].into_iter().flatten() {
                    self.add(&line);
                }
            }
            None => metrics::odd_message("docker", "without a time"),
        }
        metrics::cut_bytes("docker", self.joiner.n_cut_bytes - n_cut_before);
    }

    fn add(&mut self, line: &Line) {
        if !self.is_new(line.nanos) {
            return;
        }
        let n_before = if self.place.nanos == line.nanos { self.place.n_at_nanos } else { 0 };
        self.place = DockerPlace { nanos: line.nanos, n_at_nanos: n_before + 1 };
        self.places.push(self.place);
        self.text.extend_from_slice(&line.text);
        self.text.push(b'\n');
        self.n_lines += 1;
    }

    /// Whether a line of this time comes after the place from which the answer was asked for. Once it is reached all that follows is new,
    /// whatever its time: a clock may be set back.
    fn is_new(&mut self, nanos: i64) -> bool {
        let Some(skip) = &mut self.skip else {
            return true;
        };
        if nanos < skip.nanos {
            return false;
        }
        let is_repeated = nanos == skip.nanos && skip.n_at_nanos > 0;
        if is_repeated {
            skip.n_at_nanos -= 1;
        }
        if !is_repeated && skip.n_at_nanos > 0 {
            // The engine has not even that line any more.
            let reason = "rotated away before it was read".to_owned();
            self.loss = Some(Loss { from: time(skip.nanos), to: time(nanos), reason });
        }
        if !is_repeated || skip.n_at_nanos == 0 {
            self.skip = None;
        }
        !is_repeated
    }

    /// How long it was silent, when nothing came at all for `silent` and the container's last line is of this time: what it wrote before
    /// would have come before that one.
    fn silent(&self, newest: i64, silent: Duration) -> Duration {
        let behind = u64::try_from(newest.saturating_sub(self.place.nanos)).unwrap_or(0);
        silent.max(Duration::from_nanos(behind))
    }

    async fn send(&mut self) -> Result<(), ReaderGone> {
        if self.places.is_empty() {
            return Ok(());
        }
        if let Some(loss) = self.loss.take() {
            warn!(
                from = loss.from,
                to = loss.to,
                "the log of a container was rotated away before it was read"
            );
            self.lane.send(Parcel::Loss(loss)).await?;
        }
        let text = Bytes::from(std::mem::take(&mut self.text));
        let places = Places::Docker(std::mem::take(&mut self.places));
        metrics::source_bytes("docker", text.len());
        self.pace.sent();
        self.lane.send(Parcel::Block(Block { text, places })).await
    }
}

/// The place that a committed cursor stands for.
pub(super) fn place_of(cursor: &Cursor) -> Option<DockerPlace> {
    match *cursor {
        Cursor::Docker { nanos, n_at_nanos, log: _ } => Some(DockerPlace { nanos, n_at_nanos }),
        Cursor::File { .. } | Cursor::Mixed { .. } => None,
    }
}
