//! Finds containers and keeps one follower for each.
//!
//! The engine keeps only its last 256 events and drops listeners that are slow, so events are a nudge and the list of all containers is
//! the truth, asked for at every connection and every few seconds. When the engine is away the watcher says so once, tries
//! again for ever, and says once that it is back.

use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bollard::Docker;
use bollard::errors::Error as EngineError;
use bollard::models::{ContainerSummary, EventMessage};
use bollard::query_parameters::{EventsOptionsBuilder, ListContainersOptionsBuilder};
use futures_util::StreamExt;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::{debug, error, info, warn};

use super::Patterns;
use super::follow::{Description, FollowEnd, Handle, Shared, follow};
use super::lines::engine_time;
use crate::base::backoff::Backoff;
use crate::base::chain::Chain;
use crate::base::clock::{SharedClock, Timestamp};
use crate::base::env;
use crate::base::shutdown::Shutdown;
use crate::watch::source::bell::Bells;
use crate::watch::source::lane::Outlet;

const RETRY: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(10));

/// Where the machine's own engine listens: Docker, and Podman, which speaks the same language.
const SOCKETS: [&str; 2] = ["/var/run/docker.sock", "/run/podman/podman.sock"];

/// What happens to containers; the last one is Podman's word for the one before it.
const EVENTS: [&str; 5] = ["create", "start", "die", "destroy", "remove"];

/// For the engine to begin an answer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Stopped containers that are read at the same time.
const N_CATCH_UP: usize = 8;

/// How containers are found and where their logs begin.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Address of the engine (`unix:///run/docker.sock`, `tcp://host:2375`); `None` for the machine's own.
    pub host: Option<String>,
    /// Containers to watch; all if nothing is named.
    pub include: Patterns,
    /// Containers not to watch, also if they are included.
    pub exclude: Patterns,
    /// How far back the log of a container is read that was there before homeostat's first run.
    pub lookback: Duration,
    /// How often all containers are listed, besides the engine's events.
    pub list_every: Duration,
    /// A container that is silent for so long is looked at: the engine may have lost its follower.
    pub stall_check: Duration,
    /// Whether the engine's own files are read where they can be.
    pub reads_files: bool,
}

impl Default for Settings {
    /// Everything on the machine's own engine, from now on.
    fn default() -> Self {
        Self {
            host: None,
            include: Patterns::default(),
            exclude: Patterns::default(),
            lookback: Duration::ZERO,
            list_every: Duration::from_secs(10),
            stall_check: Duration::from_secs(60),
            reads_files: true,
        }
    }
}

/// Why the engine cannot be watched.
#[derive(Debug, thiserror::Error)]
pub enum DockerError {
    /// The address is none: a matter of the config.
    #[error("failed to use `{host}` as the address of a container engine")]
    Address {
        host: String,
        #[source]
        source: EngineError,
    },
    /// Nobody answers there now.
    #[error("failed to reach the container engine at {host}")]
    Unreachable {
        host: String,
        #[source]
        source: EngineError,
    },
}

/// A client of the engine. A socket that is not there yet is an engine that is away, not a wrong address.
fn connect(settings: &Settings) -> Result<Docker, DockerError> {
    let host = host(settings);
    match Docker::connect_with_host(&host) {
        Ok(docker) => Ok(docker.with_timeout(TIMEOUT)),
        Err(source @ EngineError::SocketNotFoundError(_)) => Err(DockerError::Unreachable { host, source }),
        Err(source) => Err(DockerError::Address { host, source }),
    }
}

fn host(settings: &Settings) -> String {
    let host = settings.host.clone().or_else(|| env::var(env::DOCKER_HOST));
    host.unwrap_or_else(|| {
        let is_there = |path: &&str| std::path::Path::new(path).exists();
        let socket = SOCKETS.iter().find(|path| is_there(path)).unwrap_or(&SOCKETS[0]);
        format!("unix://{socket}")
    })
}

/// Whether the engine answers; for `check` and for the start.
pub async fn check(settings: &Settings) -> Result<(), DockerError> {
    let docker = connect(settings)?;
    let pinged = docker.ping().await;
    pinged.map(drop).map_err(|source| DockerError::Unreachable { host: host(settings), source })
}

/// Watches the engine until a shutdown is asked for, or nobody takes the lines any more.
pub async fn run(
    settings: Settings,
    outlet: Outlet,
    first_run_at: Timestamp,
    clock: SharedClock,
    shutdown: Shutdown,
) -> Result<(), DockerError> {
    let mut n_failures = 0;
    let docker = loop {
        match connect(&settings) {
            Ok(docker) => break docker,
            Err(error @ DockerError::Address { .. }) => return Err(error),
            Err(error @ DockerError::Unreachable { .. }) => {
                n_failures = note_failure(n_failures, Some(&error));
                if !shutdown.sleep(RETRY.delay(n_failures)).await {
                    return Ok(());
                }
            }
        }
    };
    let catch_up = Semaphore::new(N_CATCH_UP);
    let bells = Bells::new(mpsc::channel(1).0)
        .inspect_err(|error| warn!(error = %Chain(error), "the system does not tell of files, polling them"));
    let bells = bells.ok();
    let shared = Arc::new(Shared { docker, settings, outlet, first_run_at, clock, catch_up, bells });
    let mut watcher = Watcher {
        shared,
        followed: HashMap::new(),
        tasks: JoinSet::new(),
        events_since: None,
        n_failures,
        is_reader_gone: false,
    };
    tokio::select! {
        () = shutdown.requested() => {}
        () = watcher.watch() => {}
    }
    watcher.tasks.shutdown().await;
    Ok(())
}

/// Says once that the engine is away; gives the number of failures so far.
fn note_failure(n_failures: u32, error: Option<&(dyn Error + 'static)>) -> u32 {
    match error {
        Some(error) if n_failures == 0 => {
            warn!(error = %Chain(error), "the container engine is away, will try for ever");
        }
        Some(error) => debug!(error = %Chain(error), "the container engine is still away"),
        None => debug!("the container engine ended its events"),
    }
    n_failures.saturating_add(1)
}

#[derive(Debug)]
struct Watcher {
    shared: Arc<Shared>,
    /// Containers that are followed, or need not be as long as they exist.
    followed: HashMap<String, Followed>,
    tasks: JoinSet<(String, FollowEnd)>,
    /// The engine's time of its last event, in seconds, or of the connection.
    events_since: Option<String>,
    n_failures: u32,
    is_reader_gone: bool,
}

#[derive(Debug)]
struct Followed {
    handle: Arc<Handle>,
    /// `None` once the follower has ended.
    task: Option<tokio::task::Id>,
}

impl Watcher {
    async fn watch(&mut self) {
        while !self.is_reader_gone {
            let failure = self.stay_connected().await;
            if self.is_reader_gone {
                return;
            }
            let error = failure.as_ref().map(|error| error as &(dyn Error + 'static));
            self.n_failures = note_failure(self.n_failures, error);
            let until = Instant::now() + RETRY.delay(self.n_failures);
            while let Ok(Some(ended)) = tokio::time::timeout_at(until, self.tasks.join_next()).await {
                self.note_end(ended);
            }
            tokio::time::sleep_until(until).await;
        }
    }

    /// Watches events and lists until the connection breaks; gives the reason if there is one.
    async fn stay_connected(&mut self) -> Option<EngineError> {
        // Events are asked for from a time before the list, in the engine's own time: nothing falls between the two.
        let info = match self.shared.docker.info().await {
            Ok(info) => info,
            Err(error) => return Some(error),
        };
        if self.events_since.is_none() {
            let time = info.system_time.as_deref().and_then(engine_time);
            self.events_since = time.map(|time| time.as_second().to_string());
        }
        let filters = HashMap::from([("type", vec!["container"]), ("event", EVENTS.to_vec())]);
        let mut options = EventsOptionsBuilder::new().filters(&filters);
        if let Some(since) = &self.events_since {
            options = options.since(since);
        }
        let docker = self.shared.docker.clone();
        let mut events = pin!(docker.events(Some(options.build())));
        let mut ticks = interval(self.shared.settings.list_every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut n_lists = 0;
        loop {
            tokio::select! {
                event = events.next() => match event {
                    Some(Ok(event)) => {
                        self.note_success();
                        self.take_event(event);
                    }
                    Some(Err(error)) => return Some(error),
                    None => return None,
                },
                _ = ticks.tick() => {
                    if let Err(error) = self.list().await {
                        return Some(error);
                    }
                    // The first one says nothing of the events, whose connection may still be refused.
                    n_lists += 1;
                    if n_lists > 1 {
                        self.note_success();
                    }
                }
                Some(ended) = self.tasks.join_next() => {
                    self.note_end(ended);
                    if self.is_reader_gone {
                        return None;
                    }
                }
            }
        }
    }

    /// The engine answers and gives events.
    fn note_success(&mut self) {
        if std::mem::take(&mut self.n_failures) > 0 {
            info!("the container engine is back");
        }
    }

    /// Asks for all containers and brings the followers in line with the answer.
    async fn list(&mut self) -> Result<(), EngineError> {
        let options = ListContainersOptionsBuilder::new().all(true).build();
        let summaries = self.shared.docker.list_containers(Some(options)).await?;
        let is_back = self.n_failures > 0;
        let listed: HashSet<String> = summaries.iter().filter_map(|summary| summary.id.clone()).collect();
        for summary in summaries {
            // `created` has logged nothing; its start is an event, or stands in the next list.
            let has_started =
                summary.state.is_some_and(|state| !matches!(state.to_string().as_str(), "" | "created"));
            let is_running = summary.state.is_some_and(|state| state.to_string() == "running");
            if let Some(description) = describe_summary(summary) {
                let known = self.followed.get(&description.id);
                let is_believed = known.map(|it| it.handle.is_running.load(Ordering::Relaxed));
                // Each look costs the engine a question: only where the follower does not know it yet.
                if is_believed != Some(is_running) || is_back {
                    self.see(description, has_started);
                }
            }
        }
        // The followers of those that are gone find out by themselves, and say so.
        for (id, followed) in &self.followed {
            if !listed.contains(id) {
                followed.handle.nudge.notify_one();
            }
        }
        self.followed.retain(|id, followed| followed.task.is_some() || listed.contains(id));
        Ok(())
    }

    fn take_event(&mut self, event: EventMessage) {
        if let Some(seconds) = event.time {
            self.events_since = Some(seconds.to_string());
        }
        let has_started = matches!(event.action.as_deref(), Some("start" | "die"));
        let is_destroyed = matches!(event.action.as_deref(), Some("destroy" | "remove"));
        let Some(description) = describe_event(event) else {
            return;
        };
        match self.followed.get(&description.id) {
            // Nothing is read of it: many such may come and go between two lists.
            Some(Followed { task: None, .. }) if is_destroyed => drop(self.followed.remove(&description.id)),
            Some(followed) if is_destroyed => followed.handle.nudge.notify_one(),
            None if is_destroyed => {}
            Some(_) | None => self.see(description, has_started),
        }
    }

    /// Makes sure that a container has its follower, and nudges it.
    fn see(&mut self, description: Description, has_started: bool) {
        if let Some(followed) = self.followed.get(&description.id) {
            if has_started {
                followed.handle.has_started.store(true, Ordering::Relaxed);
            }
            followed.handle.nudge.notify_one();
            return;
        }
        let handle = Arc::new(Handle::default());
        handle.has_started.store(has_started, Ordering::Relaxed);
        let id = description.id.clone();
        let task = description.is_watched(&self.shared.settings).then(|| {
            debug!(container = %description.name, "found a container");
            self.tasks.spawn(follow(Arc::clone(&self.shared), Arc::clone(&handle), description)).id()
        });
        self.followed.insert(id, Followed { handle, task });
    }

    fn note_end(&mut self, ended: Result<(String, FollowEnd), JoinError>) {
        match ended {
            Ok((id, FollowEnd::Gone)) => {
                self.followed.remove(&id);
            }
            Ok((id, FollowEnd::Done)) => {
                if let Some(followed) = self.followed.get_mut(&id) {
                    followed.task = None;
                }
            }
            Ok((_, FollowEnd::ReaderGone)) => self.is_reader_gone = true,
            // A bug; the next list starts another follower, which reads on from what is committed.
            Err(join_error) => {
                error!(error = %Chain(&join_error), "the follower of a container broke");
                self.followed.retain(|_, followed| followed.task != Some(join_error.id()));
            }
        }
    }
}

fn describe_summary(summary: ContainerSummary) -> Option<Description> {
    let names = summary.names.unwrap_or_default();
    // Names with a second `/` are links of other containers.
    let name = names.iter().filter_map(|name| name.strip_prefix('/')).find(|name| !name.contains('/'));
    Some(Description {
        id: summary.id?,
        name: name.unwrap_or_default().to_owned(),
        image: summary.image.unwrap_or_default(),
        labels: summary.labels.unwrap_or_default().into_iter().collect(),
    })
}

/// An event carries the container's labels among its own attributes `name`, `image` and `exitCode`.
fn describe_event(event: EventMessage) -> Option<Description> {
    let actor = event.actor?;
    let mut labels = actor.attributes.unwrap_or_default();
    let name = labels.remove("name").unwrap_or_default();
    let image = labels.remove("image").unwrap_or_default();
    Some(Description { id: actor.id?, name, image, labels: labels.into_iter().collect() })
}
