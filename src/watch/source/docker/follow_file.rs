//! Follows a container by the engine's own file.
//!
//! The file gives the lines, the engine tells what became of the container: it has written everything before it says that a container
//! has stopped, and a file that is open can be read to its end although the container was removed.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use tracing::{debug, warn};

use super::follow::{FollowEnd, Follower, Inspection};
use super::log_file::{LogFile, Looked};
use super::reading::AnswerEnd;
use crate::base::clock::Timestamp;
use crate::model::cursor::{Cursor, StreamKey};
use crate::watch::source::lane::{Lane, Parcel, ReaderGone};

/// How following a file ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileEnd {
    Followed(FollowEnd),
    /// It cannot be read, or not any more.
    Unreadable,
}

impl Follower {
    /// The engine's own file, if the container has one that can be read here.
    pub(super) async fn readable_file(&mut self, inspection: &Inspection) -> Option<PathBuf> {
        let path = inspection.log_path.clone()?;
        if !self.is_file_readable || !self.shared.settings.reads_files {
            return None;
        }
        // Another machine's engine names a path that is not here; a path here that is another's is told apart by the id in it.
        // Podman's file of this kind has another name, and another format.
        let is_own = path.file_name().is_some_and(|it| *it == *format!("{}-json.log", self.description.id));
        let opened = tokio::fs::File::open(&path).await;
        self.is_file_readable = is_own && opened.is_ok();
        if !self.is_file_readable {
            debug!(container = %self.description.name, "the engine's file cannot be read, asking the engine");
        }
        self.is_file_readable.then_some(path)
    }

    /// Follows the container until it is removed, or its file cannot be read.
    pub(super) async fn follow_file(
        &mut self,
        path: &Path,
        mut inspection: Inspection,
    ) -> Result<FileEnd, ReaderGone> {
        let (lane, cursors) = self.open_pair(&inspection).await?;
        let mut log = match LogFile::open(path, lane, cursors, self.shared.bells.clone()).await? {
            Ok(log) => log,
            Err(error) => return Ok(self.give_up(&error)),
        };
        // End of the run whose log was read completely.
        let mut finished: Option<Option<Timestamp>> = None;
        loop {
            let looked = match log.look().await? {
                Ok(looked) => looked,
                Err(error) => return Ok(self.give_up(&error)),
            };
            let has_ended = !inspection.is_running && finished != Some(inspection.finished_at);
            if looked == Looked::All && has_ended {
                log.finish().await?;
                finished = Some(inspection.finished_at);
                self.handle.has_started.store(false, Ordering::Relaxed);
            }
            if looked == Looked::More {
                continue;
            }
            let is_nudged = tokio::select! {
                biased;
                () = self.handle.nudge.notified() => true,
                () = log.wait() => false,
            };
            if !is_nudged {
                continue;
            }
            inspection = match self.inspect().await {
                Ok(inspection) => inspection,
                Err(AnswerEnd::Gone) => return self.leave_file(log).await,
                Err(other) => {
                    self.pause(&other).await;
                    // The file goes on while the engine is away; the watcher nudges again when it is back.
                    self.handle.nudge.notify_one();
                    continue;
                }
            };
            if !self.description.is_watched(&self.shared.settings) {
                return Ok(FileEnd::Followed(FollowEnd::Done));
            }
        }
    }

    /// The container was removed: what its open file holds is all there will be.
    async fn leave_file(&self, mut log: LogFile) -> Result<FileEnd, ReaderGone> {
        while let Ok(Looked::More | Looked::CaughtUp) = log.look().await? {}
        log.finish().await?;
        Ok(FileEnd::Followed(FollowEnd::Gone))
    }

    fn give_up(&mut self, error: &std::io::Error) -> FileEnd {
        warn!(container = %self.description.name, %error, "the engine's file cannot be read, asking the engine");
        self.is_file_readable = false;
        FileEnd::Unreadable
    }

    /// Opens one lane for both streams, each at its cursor or, if it is new, where reading is to begin.
    async fn open_pair(&self, inspection: &Inspection) -> Result<(Lane, [Cursor; 2]), ReaderGone> {
        let second = StreamKey(format!("docker:{}:stderr", self.description.id));
        let mut lane = self.shared.outlet.open_pair(self.origin("stdout"), second).await?;
        let known = [lane.cursor.take(), lane.second.take()];
        let is_new = known.iter().any(Option::is_none);
        let cursors = known.map(|known| known.unwrap_or_else(|| self.first_place(inspection)));
        if is_new {
            lane.send(Parcel::StartPair(cursors.clone())).await?;
        }
        Ok((lane, cursors))
    }
}
