//! Finds the files of the patterns and keeps one follower for each.
//!
//! Folders are watched with inotify where that works; all is looked at every so often besides, since network file systems tell
//! nothing, queues overflow, and folders may be made later.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{MissedTickBehavior, interval};
use tracing::{debug, error, warn};

use super::Patterns;
use super::paths::MAX_FILES;
use super::tail::{Begin, Tail, follow};
use crate::base::chain::Chain;
use crate::base::clock::Timestamp;
use crate::base::shutdown::Shutdown;
use crate::watch::source::lane::{Outlet, ReaderGone};

/// Events that may wait; what comes beyond them is one look at everything.
const EVENT_CAPACITY: usize = 1024;

/// Which files are followed, and where new ones begin.
#[derive(Debug, Clone)]
pub struct Settings {
    pub patterns: Patterns,
    /// How often everything is looked at, besides being told by the system.
    pub poll_every: Duration,
    /// Whether files that were there before homeostat's first run are read from their beginning.
    pub is_from_start: bool,
}

impl Default for Settings {
    /// No file; a look every second; old files from their end.
    fn default() -> Self {
        Self { patterns: Patterns::default(), poll_every: Duration::from_secs(1), is_from_start: false }
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
        notifier: notifier(events_tx),
        watched_folders: HashSet::new(),
        is_over_limit: false,
    };
    tokio::select! {
        () = shutdown.requested() => {}
        _ = watcher.watch(events) => {}
    }
    watcher.tasks.shutdown().await;
}

/// What the system tells.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Paths(Vec<PathBuf>),
    /// Something was missed.
    Everything,
}

/// Starts to listen to the system; `None` where that does not work, then everything is polled.
fn notifier(events: mpsc::Sender<Told>) -> Option<RecommendedWatcher> {
    let made = notify::recommended_watcher(move |event: notify::Result<Event>| {
        let told = match event {
            // Reading a file is an event too.
            Ok(event) if matches!(event.kind, EventKind::Access(_)) && !event.need_rescan() => return,
            Ok(event) if !event.need_rescan() => Told::Paths(event.paths),
            Ok(_) | Err(_) => Told::Everything,
        };
        // A full channel is drained to its end by the next look at everything, which polling does.
        let _ = events.try_send(told);
    });
    made.inspect_err(|error| warn!(error = %Chain(error), "the system does not tell of files, polling them"))
        .ok()
}

struct Watcher {
    settings: Settings,
    outlet: Outlet,
    first_run_at: Timestamp,
    followed: HashMap<PathBuf, Followed>,
    tasks: JoinSet<(PathBuf, Result<(), ReaderGone>)>,
    notifier: Option<RecommendedWatcher>,
    watched_folders: HashSet<PathBuf>,
    is_over_limit: bool,
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
        loop {
            tokio::select! {
                _ = ticks.tick() => self.find(std::mem::take(&mut is_first_look)).await,
                told = events.recv(), if is_listening => match told {
                    Some(Told::Paths(paths)) => {
                        let is_all_known = paths.iter().all(|path| self.followed.contains_key(path));
                        self.wake(&paths);
                        if !is_all_known {
                            self.find(false).await;
                        }
                    }
                    Some(Told::Everything) => self.find(false).await,
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

    /// Wakes the followers of the paths, and those in the same folders: a rotation is told by the names it makes.
    fn wake(&self, paths: &[PathBuf]) {
        let folders: BTreeSet<_> = paths.iter().filter_map(|path| path.parent()).collect();
        for (path, followed) in &self.followed {
            if paths.contains(path) || path.parent().is_some_and(|folder| folders.contains(folder)) {
                followed.wake.notify_one();
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
            begin,
            outlet: self.outlet.clone(),
            wake: Arc::clone(&wake),
            poll_every: self.settings.poll_every,
        };
        let task = self.tasks.spawn(follow(tail)).id();
        self.followed.insert(path, Followed { wake, task });
    }

    /// Listens to folders that are new. One that was removed and made again is another one: polling finds what is in it.
    fn listen_to(&mut self, folders: BTreeSet<PathBuf>) {
        let Some(notifier) = &mut self.notifier else { return };
        self.watched_folders.retain(|folder| folders.contains(folder));
        for folder in folders.into_iter().chain(self.settings.patterns.roots()) {
            if !self.watched_folders.contains(&folder)
                && notifier.watch(&folder, RecursiveMode::NonRecursive).is_ok()
            {
                self.watched_folders.insert(folder);
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
