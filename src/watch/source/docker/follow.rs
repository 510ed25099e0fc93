//! Follows one container from its first line to its removal, through its own restarts and the engine's.
//!
//! Where the engine's own file can be read the log is read there: [`super::follow_file`]. Else, over the API: while it runs its log is followed; once it has stopped the log is read once more without following, since only that answer surely ends
//! where the log ends. Between runs the follower waits for a nudge of the watcher. It never gives up on an engine that is away.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bollard::Docker;
use bollard::models::ContainerInspectResponse;
use jiff::SignedDuration;
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;
use tracing::{debug, warn};

use super::Settings;
use super::follow_file::FileEnd;
use super::lines::engine_time;
use super::reading::{AnswerEnd, Lanes, meaning, place_of};
use super::select::{Container, is_watched};
use crate::base::backoff::Backoff;
use crate::base::chain::Chain;
use crate::base::clock::{SharedClock, Timestamp};
use crate::base::metrics;
use crate::model::cursor::{Cursor, StreamKey};
use crate::watch::source::bell::Bells;
use crate::watch::source::lane::{DockerPlace, Lane, Origin, Outlet, Parcel, ReaderGone, Thing};
use crate::watch::source::own;

const RETRY: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(10));

/// An answer that ends sooner than this with nothing new counts as a failure: the loop must not spin.
const QUICK: Duration = Duration::from_secs(1);

/// What all followers share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) docker: Docker,
    pub(super) settings: Settings,
    pub(super) outlet: Outlet,
    pub(super) first_run_at: Timestamp,
    pub(super) clock: SharedClock,
    /// Stopped containers that are read at the same time.
    pub(super) catch_up: Semaphore,
    /// Where changes of files are told; `None` where the system does not.
    pub(super) bells: Option<Bells>,
}

/// What the watcher tells a follower.
#[derive(Debug, Default)]
pub(super) struct Handle {
    /// Something happened to the container, or the engine is back: look again.
    pub(super) nudge: Notify,
    /// The container was seen running or stopped, so it may have logged.
    pub(super) has_started: AtomicBool,
    /// The follower takes the container for running.
    pub(super) is_running: AtomicBool,
}

/// A container as an event, the list or an inspection describes it.
#[derive(Debug, Clone, Default)]
pub(super) struct Description {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) image: String,
    pub(super) labels: BTreeMap<String, String>,
}

impl Description {
    pub(super) fn is_watched(&self, settings: &Settings) -> bool {
        let container = Container { name: &self.name, image: &self.image, labels: &self.labels };
        !own::is_own_container(&self.id) && is_watched(&settings.include, &settings.exclude, &container)
    }
}

/// Why a follower ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FollowEnd {
    /// The container was removed.
    Gone,
    /// Its log cannot be read, or it is not to be watched: there is nothing to do as long as it exists.
    Done,
    /// Nobody takes the lines any more.
    ReaderGone,
}

/// Follows a container until it is removed.
pub(super) async fn follow(
    shared: Arc<Shared>,
    handle: Arc<Handle>,
    description: Description,
) -> (String, FollowEnd) {
    let id = description.id.clone();
    let follower = Follower {
        shared,
        handle,
        description,
        n_failures: 0,
        is_damage_told: false,
        is_file_readable: true,
    };
    let end = follower.run().await.unwrap_or(FollowEnd::ReaderGone);
    (id, end)
}

#[derive(Debug)]
pub(super) struct Follower {
    pub(super) shared: Arc<Shared>,
    pub(super) handle: Arc<Handle>,
    pub(super) description: Description,
    n_failures: u32,
    is_damage_told: bool,
    /// The engine's own file was not found unreadable yet.
    pub(super) is_file_readable: bool,
}

impl Follower {
    async fn run(mut self) -> Result<FollowEnd, ReaderGone> {
        let mut lanes: Option<Lanes> = None;
        // End of the run whose log was read completely.
        let mut finished: Option<Option<Timestamp>> = None;
        let mut is_whole = false;
        // Whichever way it is read stays: the lanes of one way are closed before those of the other are opened.
        loop {
            let inspection = match self.inspect().await {
                Ok(inspection) => inspection,
                Err(AnswerEnd::Gone) => return self.leave(lanes, is_whole).await,
                Err(other) => {
                    self.pause(&other).await;
                    continue;
                }
            };
            if !self.description.is_watched(&self.shared.settings) {
                return Ok(FollowEnd::Done);
            }
            let is_read = !inspection.is_running && finished == Some(inspection.finished_at);
            if inspection.started_at.is_none() || is_read {
                if is_read {
                    self.handle.has_started.store(false, Ordering::Relaxed);
                }
                self.handle.nudge.notified().await;
                continue;
            }
            if lanes.is_none()
                && let Some(path) = self.readable_file(&inspection).await
            {
                match self.follow_file(&path, inspection).await? {
                    FileEnd::Followed(end) => return Ok(end),
                    // The API has it too.
                    FileEnd::Unreadable => continue,
                }
            }
            let mut open = match lanes.take() {
                Some(open) => open,
                None => self.open(&inspection).await?,
            };
            let begin = Instant::now();
            let end = self.read(&mut open, &inspection).await?;
            is_whole = match end {
                AnswerEnd::Clean { .. } => true,
                // Removed after it had stopped: then the answer before this one counts.
                AnswerEnd::Gone => is_whole && !inspection.is_running,
                AnswerEnd::Stalled | AnswerEnd::Unreadable | AnswerEnd::Damaged | AnswerEnd::Failed(_) => {
                    false
                }
            };
            match end {
                AnswerEnd::Clean { .. } if !inspection.is_running => {
                    open.finish().await?;
                    finished = Some(inspection.finished_at);
                    self.n_failures = 0;
                    continue;
                }
                AnswerEnd::Clean { n_lines } if n_lines > 0 || begin.elapsed() > QUICK => self.n_failures = 0,
                // The inspection will say the same as `Gone`, perhaps not at once.
                AnswerEnd::Clean { .. } | AnswerEnd::Failed(_) | AnswerEnd::Gone => self.pause(&end).await,
                AnswerEnd::Stalled => {
                    warn!(container = %self.description.name, "the engine stopped sending the log of a container, asking again");
                    metrics::reconnect("docker");
                }
                AnswerEnd::Unreadable => {
                    warn!(container = %self.description.name, "the log driver of a container cannot be read");
                    open.lose("its log driver cannot be read").await?;
                    return Ok(FollowEnd::Done);
                }
                AnswerEnd::Damaged => {
                    if !std::mem::replace(&mut self.is_damage_told, true) {
                        warn!(container = %self.description.name, "the engine cannot read on in the log of a container");
                        open.lose("the engine cannot read on in its log").await?;
                    }
                    self.pause(&end).await;
                }
            }
            lanes = Some(open);
        }
    }

    async fn read(&self, lanes: &mut Lanes, inspection: &Inspection) -> Result<AnswerEnd, ReaderGone> {
        let (docker, id) = (&self.shared.docker, &self.description.id);
        if inspection.is_running && inspection.is_rotated {
            return lanes.read_rotated(docker, id).await;
        }
        if inspection.is_running {
            return lanes.read(docker, id, true).await;
        }
        // Never closed, so this cannot fail; if it did the answer would only be read at once.
        let _permit = self.shared.catch_up.acquire().await.ok();
        match inspection.is_rotated {
            true => lanes.read_whole(docker, id).await,
            false => lanes.read(docker, id, false).await,
        }
    }

    /// The container is gone. Nothing was lost if the last answer ended by itself.
    async fn leave(&self, lanes: Option<Lanes>, is_whole: bool) -> Result<FollowEnd, ReaderGone> {
        match lanes {
            Some(lanes) if is_whole => lanes.finish().await?,
            Some(mut lanes) => {
                lanes.lose("removed before its log was read to the end").await?;
                lanes.finish().await?;
            }
            None if !self.handle.has_started.load(Ordering::Relaxed) => {}
            None if self.description.is_watched(&self.shared.settings) => {
                warn!(container = %self.description.name, "a container was removed before its log could be read");
                let place = DockerPlace { nanos: 0, n_at_nanos: 0 };
                let stdout = (self.lane("stdout").await?, place);
                let stderr = (self.lane("stderr").await?, place);
                let mut lanes = self.lanes(stdout, Some(stderr));
                lanes.lose("removed before its log was read").await?;
            }
            None => {}
        }
        Ok(FollowEnd::Gone)
    }

    /// Opens the lanes, each at its cursor or, if it is new, where reading is to begin.
    async fn open(&self, inspection: &Inspection) -> Result<Lanes, ReaderGone> {
        let stdout = self.lane_at("stdout", inspection).await?;
        let stderr =
            if inspection.is_terminal { None } else { Some(self.lane_at("stderr", inspection).await?) };
        Ok(self.lanes(stdout, stderr))
    }

    fn lanes(&self, stdout: (Lane, DockerPlace), stderr: Option<(Lane, DockerPlace)>) -> Lanes {
        Lanes::new(stdout, stderr, Arc::clone(&self.shared.clock), self.shared.settings.stall_check)
    }

    async fn lane_at(
        &self,
        stream: &str,
        inspection: &Inspection,
    ) -> Result<(Lane, DockerPlace), ReaderGone> {
        let lane = self.lane(stream).await?;
        if let Some(place) = lane.cursor.as_ref().and_then(place_of) {
            return Ok((lane, place));
        }
        let cursor = self.first_place(inspection);
        let place = place_of(&cursor).unwrap_or(DockerPlace { nanos: 0, n_at_nanos: 0 });
        lane.send(Parcel::Start(cursor)).await?;
        Ok((lane, place))
    }

    async fn lane(&self, stream: &str) -> Result<Lane, ReaderGone> {
        self.shared.outlet.open(self.origin(stream)).await
    }

    pub(super) fn origin(&self, stream: &str) -> Origin {
        let Description { id, name, image, labels } = self.description.clone();
        Origin {
            stream: StreamKey(format!("docker:{id}:{stream}")),
            label: name.clone(),
            thing: Thing::Container { name, image, labels },
        }
    }

    /// Where a stream never read begins.
    pub(super) fn first_place(&self, inspection: &Inspection) -> Cursor {
        let now = self.shared.clock.now();
        let begin = inspection.first_reading(self.shared.first_run_at, now, self.shared.settings.lookback);
        let nanos = begin.and_then(|it| i64::try_from(it.as_nanosecond()).ok()).unwrap_or(0);
        Cursor::Docker { nanos, n_at_nanos: 0, log: None }
    }

    pub(super) async fn inspect(&mut self) -> Result<Inspection, AnswerEnd> {
        let response =
            self.shared.docker.inspect_container(&self.description.id, None).await.map_err(meaning)?;
        let inspection = Inspection::new(&response);
        self.handle.is_running.store(inspection.is_running, Ordering::Relaxed);
        if inspection.started_at.is_some() {
            self.handle.has_started.store(true, Ordering::Relaxed);
        }
        let name = response.name.unwrap_or_default();
        self.description.name = name.strip_prefix('/').unwrap_or(&name).to_owned();
        if let Some(config) = response.config {
            self.description.image = config.image.unwrap_or_default();
            self.description.labels = config.labels.unwrap_or_default().into_iter().collect();
        }
        Ok(inspection)
    }

    /// Waits before the next try, or until the watcher says that something has changed.
    pub(super) async fn pause(&mut self, end: &AnswerEnd) {
        self.n_failures = self.n_failures.saturating_add(1);
        if let AnswerEnd::Failed(error) = end {
            debug!(container = %self.description.name, error = %Chain(error), "the log of a container broke off, will ask again");
        }
        let delay = RETRY.delay(self.n_failures);
        // A nudge that came meanwhile is met with a first short delay too: an engine that is starting nudges often.
        let _ = tokio::time::timeout(delay, self.handle.nudge.notified()).await;
    }
}

/// What an inspection says of a container's life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Inspection {
    created_at: Option<Timestamp>,
    started_at: Option<Timestamp>,
    pub(super) finished_at: Option<Timestamp>,
    /// Not while the engine waits to start it again: its log then ends like that of a stopped one.
    pub(super) is_running: bool,
    is_terminal: bool,
    /// The engine begins a new file of its log now and then.
    is_rotated: bool,
    /// Where the engine writes the log in the json-file format, if it does.
    pub(super) log_path: Option<PathBuf>,
}

impl Inspection {
    fn new(response: &ContainerInspectResponse) -> Self {
        let time = |text: Option<&String>| text.and_then(|text| engine_time(text));
        let state = response.state.as_ref();
        let is = |flag: Option<bool>| flag.unwrap_or(false);
        let config = response.host_config.as_ref().and_then(|it| it.log_config.as_ref());
        let has_max_size =
            config.and_then(|it| it.config.as_ref()).is_some_and(|it| it.contains_key("max-size"));
        let is_rotated = match config.and_then(|it| it.typ.as_deref()) {
            None | Some("" | "none" | "journald") => false,
            Some("json-file" | "k8s-file") => has_max_size,
            // The engine's own form, in which it also keeps what other drivers send away.
            Some(_) => true,
        };
        let is_json_file = config.and_then(|it| it.typ.as_deref()) == Some("json-file");
        let log_path = response.log_path.as_ref().filter(|path| is_json_file && !path.is_empty());
        let is_terminal = is(response.config.as_ref().and_then(|config| config.tty));
        Self {
            created_at: time(response.created.as_ref()),
            started_at: time(state.and_then(|state| state.started_at.as_ref())),
            finished_at: time(state.and_then(|state| state.finished_at.as_ref())),
            is_running: is(state.and_then(|state| state.running))
                && !is(state.and_then(|state| state.restarting)),
            is_terminal,
            is_rotated,
            // With a terminal a line has two characters at its end and no stream of its own: the API knows better.
            log_path: log_path.filter(|_| !is_terminal).map(PathBuf::from),
        }
    }

    /// Where to begin in a log never read before: at its beginning (`None`) if the container was made after homeostat's first run, at its
    /// last start if that was after it, else as far back as the config says.
    fn first_reading(
        &self,
        first_run_at: Timestamp,
        now: Timestamp,
        lookback: Duration,
    ) -> Option<Timestamp> {
        if self.created_at.is_some_and(|created_at| created_at >= first_run_at) {
            return None;
        }
        if let Some(started_at) = self.started_at.filter(|&started_at| started_at >= first_run_at) {
            return Some(started_at);
        }
        let lookback = SignedDuration::try_from(lookback).unwrap_or(SignedDuration::MAX);
        Some(now.saturating_sub(lookback).unwrap_or(Timestamp::UNIX_EPOCH).max(Timestamp::UNIX_EPOCH))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_never_read_begins_where_homeostat_began() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let inspection = |created, started| Inspection {
            created_at: Some(at(created)),
            started_at: Some(at(started)),
            finished_at: None,
            is_running: true,
            is_terminal: false,
            is_rotated: false,
            log_path: None,
        };
        let (first_run, now) = (at(1000), at(5000));
        let cases = [
            (inspection(1000, 1001), 0, None),
            (inspection(900, 2000), 0, Some(at(2000))),
            (inspection(900, 901), 0, Some(now)),
            (inspection(900, 901), 60, Some(at(4940))),
            (inspection(900, 901), 9000, Some(at(0))),
        ];
        for (inspection, lookback_seconds, expected) in cases {
            let lookback = Duration::from_secs(lookback_seconds);
            assert_eq!(
                inspection.first_reading(first_run, now, lookback),
                expected,
                "{inspection:?} {lookback_seconds}"
            );
        }
    }
}
