//! Finds the files of the patterns and keeps one follower for each.
//!
//! Folders are watched with inotify where that works; all is looked at every so often besides, since network file systems tell
//! nothing, queues overflow, and folders may be made later.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{MissedTickBehavior, interval, sleep};
use tracing::{debug, error, warn};

use super::Patterns;
use super::budget::Budget;
use super::paths::MAX_FILES;
use super::reader::is_local_folder;
use super::tail::{Begin, Tail, follow};
use crate::base::chain::Chain;
use crate::base::clock::Timestamp;
use crate::base::shutdown::Shutdown;
use crate::watch::source::bell::{Bells, Told};
use crate::watch::source::lane::{Outlet, ReaderGone};
use crate::watch::source::own::is_own_output;

/// Events that may wait; what comes beyond them is one look at everything.
const EVENT_CAPACITY: usize = 1024;

/// Where the system tells of everything, only every so many of the looks are taken.
const LISTENING: u32 = 10;

/// From a new name to the look for it.
const SETTLE: Duration = Duration::from_millis(5);

/// Which files are followed, and where new ones begin.
#[derive(Debug, Clone)]
pub struct Settings {
    pub patterns: Patterns,
    /// What tells this machine from others that keep their cursors in the same database; `None` where there are none.
    pub machine: Option<Arc<str>>,
    /// How often everything is looked at, besides being told by the system.
    pub poll_every: Duration,
    /// Whether files that were there before homeostat's first run are read from their beginning.
    pub is_from_start: bool,
}

impl Default for Settings {
    /// No file; a look every second; old files from their end.
    fn default() -> Self {
        let patterns = Patterns::default();
        Self { patterns, machine: None, poll_every: Duration::from_secs(1), is_from_start: false }
    }
}

/// Follows files until a shutdown is asked for, or nobody takes the lines any more.
pub async fn run(settings: Settings, outlet: Outlet, first_run_at: Timestamp, shutdown: Shutdown) {
    if settings.patterns.is_empty() {
        return shutdown.requested().await;
    }
    let (events_tx, events) = mpsc::channel(EVENT_CAPACITY);
    let mut watcher = Watcher {
        settings,
        outlet,
        first_run_at,
        followed: HashMap::new(),
        tasks: JoinSet::new(),
        bells: bells(events_tx),
        budget: Arc::new(Budget::of_system()),
        watched_folders: HashSet::new(),
        is_told_of_all: false,
        is_over_limit: false,
        is_own_told: false,
    };
    tokio::select! {
        () = shutdown.requested() => {}
        _ = watcher.watch(events) => {}
    }
    watcher.tasks.shutdown().await;
}

/// Bells of this system; `None` where it has none, then everything is polled.
fn bells(told: mpsc::Sender<Told>) -> Option<Bells> {
    Bells::new(told)
        .inspect_err(|error| warn!(error = %Chain(error), "the system does not tell of files, polling them"))
        .ok()
}

#[derive(Debug)]
struct Watcher {
    settings: Settings,
    outlet: Outlet,
    first_run_at: Timestamp,
    followed: HashMap<PathBuf, Followed>,
    tasks: JoinSet<(PathBuf, Result<(), ReaderGone>)>,
    bells: Option<Bells>,
    budget: Arc<Budget>,
    watched_folders: HashSet<PathBuf>,
    /// The system tells of every name that comes or goes.
    is_told_of_all: bool,
    is_over_limit: bool,
    /// Whether it was told that a file is homeostat's own output.
    is_own_told: bool,
}

#[derive(Debug)]
struct Followed {
    wake: Arc<Notify>,
    task: tokio::task::Id,
}

impl Watcher {
    /// Until the reader is gone.
    async fn watch(&mut self, mut events: mpsc::Receiver<Told>) -> ReaderGone {
        let mut ticks = interval(self.settings.poll_every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_first_look = true;
        let mut is_listening = true;
        let mut is_to_find = false;
        let mut n_ticks = 0;
        loop {
            tokio::select! {
                _ = ticks.tick() => {
                    n_ticks += 1;
                    if !is_first_look && !is_to_find && self.is_told_of_all && n_ticks % LISTENING != 0 {
                        continue;
                    }
                    is_to_find = false;
                    self.find(std::mem::take(&mut is_first_look)).await;
                }
                // Names come in crowds: one look for all of them.
                () = sleep(SETTLE), if is_to_find => {
                    is_to_find = false;
                    self.find(false).await;
                }
                told = events.recv(), if is_listening => match told {
                    Some(Told::Path(path)) => match self.followed.get(&path) {
                        Some(followed) => followed.wake.notify_one(),
                        None => {
                            is_to_find = true;
                        }
                    },
                    Some(Told::Everything) => is_to_find = true,
                    None => is_listening = false,
                },
                Some(ended) = self.tasks.join_next() => {
                    if self.note_end(ended).is_err() {
                        return ReaderGone;
                    }
                }
            }
        }
    }

    /// Looks for files that are not followed yet.
    async fn find(&mut self, is_first_look: bool) {
        let patterns = self.settings.patterns.clone();
        let Ok((files, folders)) = tokio::task::spawn_blocking(move || patterns.find()).await else { return };
        self.listen_to(folders);
        let n_free = MAX_FILES.saturating_sub(self.followed.len());
        let new: Vec<PathBuf> = files.into_iter().filter(|path| !self.followed.contains_key(path)).collect();
        if new.len() > n_free && !std::mem::replace(&mut self.is_over_limit, true) {
            warn!(limit = MAX_FILES, "more files match than are followed");
        }
        for path in new.into_iter().take(n_free) {
            if std::fs::metadata(&path).is_ok_and(|file| is_own_output(&file)) {
                if !std::mem::replace(&mut self.is_own_told, true) {
                    warn!(path = %path.display(), "homeostat writes into a file it is to watch, it is left out");
                }
                continue;
            }
            let begin = if is_first_look { self.begin_of(&path) } else { Begin::AtStart };
            self.follow(path, begin);
        }
    }

    /// A file that was there before the first run is not new, even though nothing was read of it.
    fn begin_of(&self, path: &std::path::Path) -> Begin {
        if self.settings.is_from_start {
            return Begin::AtStart;
        }
        let created = std::fs::metadata(path).and_then(|metadata| metadata.created());
        let created = created.ok().and_then(|created| Timestamp::try_from(created).ok());
        match created {
            Some(created) if created >= self.first_run_at => Begin::AtStart,
            Some(_) | None => Begin::AtEnd,
        }
    }

    fn follow(&mut self, path: PathBuf, begin: Begin) {
        debug!(path = %path.display(), "found a file");
        let wake = Arc::new(Notify::new());
        let tail = Tail {
            path: path.clone(),
            machine: self.settings.machine.clone(),
            begin,
            outlet: self.outlet.clone(),
            wake: Arc::clone(&wake),
            budget: Arc::clone(&self.budget),
            bells: self.bells.clone(),
            poll_every: self.settings.poll_every,
        };
        let task = self.tasks.spawn(follow(tail)).id();
        self.followed.insert(path, Followed { wake, task });
    }

    /// Listens to folders that are new. One that was removed and made again is another one: polling finds what is in it.
    fn listen_to(&mut self, folders: BTreeSet<PathBuf>) {
        let Some(bells) = &self.bells else { return };
        // Folders of other machines are told of only in part, and roots may be missing yet.
        self.is_told_of_all = folders.iter().all(|folder| is_local_folder(folder))
            && self.settings.patterns.roots().iter().all(|root| folders.contains(root));
        self.watched_folders.retain(|folder| folders.contains(folder));
        for folder in folders.into_iter().chain(self.settings.patterns.roots()) {
            if self.watched_folders.contains(&folder) {
                continue;
            }
            match bells.watch_folder(&folder) {
                Ok(()) => drop(self.watched_folders.insert(folder)),
                Err(_) => self.is_told_of_all = false,
            }
        }
    }

    fn note_end(
        &mut self,
        ended: Result<(PathBuf, Result<(), ReaderGone>), JoinError>,
    ) -> Result<(), ReaderGone> {
        match ended {
            Ok((path, result)) => {
                self.followed.remove(&path);
                result
            }
            // A bug; the next look starts another follower, which reads on from what is committed.
            Err(join_error) => {
                error!(error = %Chain(&join_error), "the follower of a file broke");
                self.followed.retain(|_, followed| followed.task != join_error.id());
                Ok(())
            }
        }
    }
}
