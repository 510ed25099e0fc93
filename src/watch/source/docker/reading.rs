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
use futures_util::{FutureExt, Stream, StreamExt};
use tokio::time::{Instant, timeout};

use stream::{Newest, Reading};

use super::lines::{TerminalSplitter, stamp_of};
use super::log_plan::time;
use crate::base::clock::SharedClock;
use crate::model::cursor::Cursor;
use crate::watch::source::lane::{DockerPlace, Lane, Loss, MAX_BLOCK_BYTES, Parcel, QUIET, ReaderGone};

mod rotated;
mod stream;

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

impl AnswerEnd {
    const fn is_clean(&self) -> bool {
        matches!(self, Self::Clean { .. })
    }

    /// The same, if it was clean with so many lines in all.
    fn of_lines(self, n_lines: u64) -> Self {
        if self.is_clean() { Self::Clean { n_lines } } else { self }
    }
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
    /// The line that came last.
    newest: Option<Newest>,
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
            newest: None,
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
        self.begin();
        self.read_since(docker, id, self.since(), is_follow).await
    }

    /// The same since this second. How far it is skipped is told before.
    async fn read_since(
        &mut self,
        docker: &Docker,
        id: &str,
        since: i32,
        is_follow: bool,
    ) -> Result<AnswerEnd, ReaderGone> {
        let options = LogsOptionsBuilder::new()
            .stdout(true)
            .stderr(true)
            .timestamps(true)
            .follow(is_follow)
            .since(since)
            .build();
        let n_lines_before = self.n_lines();
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

    /// An answer begins: each stream skips up to its own place.
    fn begin(&mut self) {
        self.terminal = self.terminal.take().map(|_| TerminalSplitter::default());
        for reading in self.readings() {
            reading.begin();
        }
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
            let loss = Loss { from, to: "unknown".to_owned(), reason: reason.to_owned(), of_stream: None };
            reading.lane.send(Parcel::Loss(loss)).await?;
        }
        Ok(())
    }

    /// Takes one frame; `false` if it is the engine's own complaint and not output.
    fn take(&mut self, output: LogOutput) -> bool {
        let is_stderr = matches!(output, LogOutput::StdErr { .. }) && self.stderr.is_some();
        let seen_before = self.reading(is_stderr).seen;
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
        let reading = self.reading(is_stderr);
        if reading.is_skipping_all() {
            return true;
        }
        let place = reading.seen;
        if place != seen_before {
            self.newest = Some(Newest { is_stderr, place });
        }
        // Behind the line that came last of both streams all is new, of the other one too.
        for reading in self.readings().filter(|reading| reading.is_skipping_all()) {
            reading.skip = None;
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
        self.tell_silent(self.silent_since.elapsed()).await
    }

    /// The same when nothing came for so long.
    async fn tell_silent(&mut self, silent: Duration) -> Result<(), ReaderGone> {
        let newest = self.newest_nanos();
        for reading in self.readings() {
            let silent = reading.silent(newest, silent);
            reading.pace.tell(silent, &reading.lane).await?;
        }
        Ok(())
    }

    fn newest_nanos(&self) -> i64 {
        self.newest.map_or(0, |newest| newest.place.nanos)
    }

    /// When the next such word is due.
    fn until_told(&mut self) -> Option<Duration> {
        let (newest, silent) = (self.newest_nanos(), self.silent_since.elapsed());
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
        second_of(nanos)
    }

    fn n_lines(&self) -> u64 {
        self.stdout.n_lines + self.stderr.as_ref().map_or(0, |stderr| stderr.n_lines)
    }

    fn now_nanos(&self) -> i64 {
        i64::try_from(self.clock.now().as_nanosecond()).unwrap_or(i64::MAX)
    }

    fn reading(&mut self, is_stderr: bool) -> &mut Reading {
        self.stderr.as_mut().filter(|_| is_stderr).unwrap_or(&mut self.stdout)
    }

    fn readings(&mut self) -> impl Iterator<Item = &mut Reading> {
        std::iter::once(&mut self.stdout).chain(self.stderr.as_mut())
    }
}

fn second_of(nanos: i64) -> i32 {
    i32::try_from(nanos.max(0) / 1_000_000_000).unwrap_or(i32::MAX)
}

/// The place that a committed cursor stands for.
pub(super) fn place_of(cursor: &Cursor) -> Option<DockerPlace> {
    match *cursor {
        Cursor::Docker { nanos, n_at_nanos, log: _ } => Some(DockerPlace { nanos, n_at_nanos }),
        Cursor::File { .. } | Cursor::Mixed { .. } => None,
    }
}
