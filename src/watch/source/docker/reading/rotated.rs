//! A log that the engine rotates, read over its API.
//!
//! Around a rotation the engine's followers get lines again, or not at all: of 20,000 numbered lines in files of 20 kB, engine 20.10 gave
//! a follower 500 twice, and where the old files are compressed it gave 1,700 in all. What it answers at once was always whole, but for one
//! thing: asked for what came since a time, it gives nothing of any old file if one of them was compressed before that time.
//! So a follower that asks for nothing old is only the bell here; when it rings, the end of the log is asked for, from before the line
//! that came last. An answer that lacks the line which came last was cut short, or the line was rotated away: then all is asked for.

use std::time::Duration;

use bollard::Docker;
use bollard::container::LogOutput;
use bollard::query_parameters::LogsOptionsBuilder;
use futures_util::StreamExt;
use tokio::time::{Instant, timeout_at};

use super::stream::{Newest, Skip};
use super::{AnswerEnd, Frames, Lanes, meaning, second_of};
use crate::watch::source::lane::{MAX_BLOCK_BYTES, QUIET, ReaderGone};

/// Between two questions: at least so long, and so many times as long as the last one took …
const REST: Duration = Duration::from_millis(20);
const REST_TIMES: u32 = 4;
/// … but no longer than this.
const MAX_REST: Duration = Duration::from_millis(200);

/// Asked for besides the messages that were heard.
const MARGIN: usize = 16;

/// Should the line that came last not be among them, so many times more are asked for: seldom often, since for each the engine unpacks all
/// old files …
const MORE: usize = 64;
/// … as long as they are no more than this; then all.
const MAX_TAIL: usize = 1_000_000;

/// What the bell told since the last question, and when questions are due.
struct Bell {
    frames: Frames,
    n_heard: usize,
    /// When something came last, over the bell or in an answer.
    news_at: Instant,
    asked_at: Instant,
    /// How long the last question took.
    took: Duration,
    /// Questions in a row that had lines of which the bell told nothing.
    n_unheard: u32,
}

impl Bell {
    fn new(frames: Frames) -> Self {
        let now = Instant::now();
        // What was written before the bell hung is asked for once more.
        Self { frames, n_heard: 1, news_at: now, asked_at: now, took: Duration::ZERO, n_unheard: 0 }
    }

    /// How long it was silent, as far as is sure: all that was written before the last question has come.
    fn silent(&self) -> Duration {
        self.asked_at.saturating_duration_since(self.news_at)
    }

    /// When to ask next, if a word on the silence is due when it has lasted `until_told` longer.
    fn due(&self, until_told: Option<Duration>, stall_check: Duration) -> Instant {
        let rested = self.asked_at + (self.took * REST_TIMES).clamp(REST, MAX_REST);
        if self.n_heard > 0 {
            return rested;
        }
        let told = until_told.map(|until_told| self.news_at + self.silent() + until_told);
        // The bell may not have told all.
        let quiet = Some(self.news_at + QUIET).filter(|quiet| self.asked_at < *quiet);
        let soonest = told.into_iter().chain(quiet).min();
        soonest.unwrap_or(self.asked_at + stall_check).max(rested)
    }

    /// Listens until it is time to ask. `Some` if the bell has ended.
    async fn listen(&mut self, until_told: Option<Duration>, stall_check: Duration) -> Option<AnswerEnd> {
        loop {
            let due = self.due(until_told, stall_check);
            if due <= Instant::now() {
                return None;
            }
            match timeout_at(due, self.frames.next()).await {
                Ok(Some(Ok(output))) => {
                    self.n_heard += n_messages(&output);
                    self.news_at = Instant::now();
                }
                Ok(Some(Err(error))) => return Some(meaning(error)),
                Ok(None) => return Some(AnswerEnd::Clean { n_lines: 0 }),
                Err(_) => return None,
            }
        }
    }
}

/// With a terminal, messages come without borders; parts of lines are seldom.
fn n_messages(output: &LogOutput) -> usize {
    match output {
        LogOutput::Console { message } => memchr::memchr_iter(b'\n', message).count() + 1,
        LogOutput::StdErr { .. } | LogOutput::StdOut { .. } | LogOutput::StdIn { .. } => 1,
    }
}

impl Lanes {
    /// Reads the log of a running container until that ends, or the engine does.
    pub(in crate::watch::source::docker) async fn read_rotated(
        &mut self,
        docker: &Docker,
        id: &str,
    ) -> Result<AnswerEnd, ReaderGone> {
        let n_lines_before = self.n_lines();
        let options = LogsOptionsBuilder::new().stdout(true).stderr(true).follow(true).tail("0").build();
        let mut bell = Bell::new(Box::pin(docker.logs(id, Some(options))));
        let end = self.read_whole(docker, id).await?;
        if !end.is_clean() {
            return Ok(end);
        }
        loop {
            let silent = bell.silent();
            let until_told = self.readings().filter_map(|it| it.pace.until_told(silent)).min();
            if let Some(end) = bell.listen(until_told, self.stall_check).await {
                return Ok(end.of_lines(self.n_lines() - n_lines_before));
            }
            let end = self.ask(docker, id, &mut bell).await?;
            if !end.is_clean() {
                return Ok(end);
            }
            if bell.n_unheard > 1 {
                return Ok(AnswerEnd::Stalled);
            }
        }
    }

    /// Reads all that is new, and ends.
    pub(in crate::watch::source::docker) async fn read_whole(
        &mut self,
        docker: &Docker,
        id: &str,
    ) -> Result<AnswerEnd, ReaderGone> {
        let n_lines_before = self.n_lines();
        let since = self.since();
        if since > 0 {
            self.begin();
            for reading in self.readings() {
                if reading.place.n_at_nanos > 0 {
                    reading.skip = Some(Skip::ToOwn(reading.place));
                }
            }
            let end = self.read_since(docker, id, since, false).await?;
            let is_short = self.readings().any(|reading| matches!(reading.skip, Some(Skip::ToOwn(_))));
            if !is_short || !end.is_clean() {
                return Ok(end);
            }
        }
        self.begin();
        let end = self.read_since(docker, id, 0, false).await?;
        Ok(end.of_lines(self.n_lines() - n_lines_before))
    }

    /// Asks for what came since, and says how long it is silent.
    async fn ask(&mut self, docker: &Docker, id: &str, bell: &mut Bell) -> Result<AnswerEnd, ReaderGone> {
        let n_lines_before = self.n_lines();
        let n_heard = std::mem::take(&mut bell.n_heard);
        bell.asked_at = Instant::now();
        let mut n_asked = n_heard + MARGIN;
        let mut since = self.newest.map_or(0, |newest| second_of(newest.place.nanos));
        let end = loop {
            let Some(newest) = self.newest.filter(|_| n_asked <= MAX_TAIL) else {
                break self.read_whole(docker, id).await?;
            };
            if let Some(end) = self.read_end(docker, id, newest, since, n_asked).await? {
                break end;
            }
            since = 0;
            n_asked *= MORE;
        };
        bell.took = bell.asked_at.elapsed();
        let has_news = self.n_lines() > n_lines_before;
        bell.n_unheard = if has_news && n_heard == 0 { bell.n_unheard + 1 } else { 0 };
        if has_news {
            bell.news_at = bell.news_at.max(bell.asked_at);
        }
        self.tell_silent(bell.silent()).await?;
        Ok(end)
    }

    /// Reads the last `n_asked` messages; `None` if the line that came last is not among them: then nothing was taken.
    async fn read_end(
        &mut self,
        docker: &Docker,
        id: &str,
        newest: Newest,
        since: i32,
        n_asked: usize,
    ) -> Result<Option<AnswerEnd>, ReaderGone> {
        let options = LogsOptionsBuilder::new()
            .stdout(true)
            .stderr(true)
            .timestamps(true)
            .since(since)
            .tail(&n_asked.to_string())
            .build();
        self.begin();
        for reading in self.readings() {
            reading.skip = Some(Skip::ToOther);
        }
        self.reading(newest.is_stderr).skip = Some(Skip::ToNewest(newest.place));
        let n_lines_before = self.n_lines();
        let mut frames = Box::pin(docker.logs(id, Some(options)));
        let end = loop {
            match frames.next().await {
                Some(Ok(output)) => {
                    if !self.take(output) {
                        break AnswerEnd::Damaged;
                    }
                }
                Some(Err(error)) => break meaning(error),
                None => break AnswerEnd::Clean { n_lines: self.n_lines() - n_lines_before },
            }
            if self.readings().any(|reading| reading.text.len() >= MAX_BLOCK_BYTES) {
                self.send().await?;
            }
        };
        let is_found = !self.readings().any(|reading| reading.is_skipping_all());
        self.send().await?;
        Ok(Some(end).filter(|end| is_found || !end.is_clean()))
    }
}
