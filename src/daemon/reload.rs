//! When to read the config again, and what comes of it.
//!
//! On SIGHUP, and when the config file, a rule file or a folder on the way to them changes: editors put a new file in the
//! place of the old one, deployments swap a symlink, so the folders are watched and not the files. What was written is read
//! once it has been left alone for a moment. A config that does not check is told of and not used.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::{Notify, mpsc};

use super::{config_state, systemd};
use crate::base::chain::Chain;
use crate::base::clock::{Clock, SystemClock};
use crate::base::metrics;
use crate::config::{self, Settings};

/// How long nothing may happen before what was written is read.
const SETTLED: Duration = Duration::from_millis(250);
/// How often the files are looked at whatever the system tells: some file systems tell nothing.
const LOOK_EVERY: Duration = Duration::from_secs(20);

/// Asks for a reload, for example on a signal.
#[derive(Debug, Clone)]
pub struct ReloadTrigger(mpsc::Sender<()>);

impl ReloadTrigger {
    /// Asks; several before the answer are one.
    pub fn request(&self) {
        // Full means that it is asked for already.
        let _ = self.0.try_send(());
    }
}

/// Where the config comes from, and who may ask for it to be read again.
#[derive(Debug)]
pub struct Reload {
    file: Option<PathBuf>,
    requests: mpsc::Receiver<()>,
}

impl Reload {
    /// For the config that `config::load(file)` reads.
    pub fn new(file: Option<PathBuf>) -> (ReloadTrigger, Self) {
        let (tx, requests) = mpsc::channel(1);
        (ReloadTrigger(tx), Self { file, requests })
    }
}

/// Waits for configs that are other and right.
#[derive(Debug)]
pub(super) struct Reloader {
    reload: Option<Reload>,
    changed: Arc<Notify>,
    watcher: Option<RecommendedWatcher>,
    watched: BTreeSet<PathBuf>,
    /// Folders of rules that a config named which was not used.
    tried_folders: Vec<PathBuf>,
    /// What was read last, used or not: it is not read again and not told of again.
    seen: Option<blake3::Hash>,
}

impl Reloader {
    /// Watches the files behind `settings`; without a `reload` nothing ever changes.
    pub(super) fn new(reload: Option<Reload>, settings: &Settings) -> Self {
        let changed = Arc::new(Notify::new());
        let watcher = reload.as_ref().and_then(|_| watcher(Arc::clone(&changed)));
        let mut reloader = Self {
            reload,
            changed,
            watcher,
            watched: BTreeSet::new(),
            tried_folders: Vec::new(),
            seen: None,
        };
        reloader.watch(settings);
        reloader.seen = Some(content(&settings.file, &settings.rule_folders));
        reloader
    }

    /// Waits for the next config that is to take the place of `current`. May be dropped and called again.
    pub(super) async fn next(&mut self, current: &Settings) -> Box<Settings> {
        loop {
            let Some(reload) = &mut self.reload else { return std::future::pending().await };
            let is_asked = tokio::select! {
                Some(()) = reload.requests.recv() => true,
                () = settled(&self.changed) => false,
                () = tokio::time::sleep(LOOK_EVERY) => false,
            };
            let file = reload.file.clone();
            let folders = [current.rule_folders.as_slice(), &self.tried_folders].concat();
            let read = {
                let (path, seen) = (current.file.clone(), self.seen);
                tokio::task::spawn_blocking(move || {
                    let content = content(&path, &folders);
                    (is_asked || Some(content) != seen).then(|| (content, config::check(file.as_deref())))
                })
            };
            let Ok(Some((content, (settings, problems)))) = read.await else { continue };
            self.seen = Some(content);
            if is_asked {
                systemd::reloading();
            }
            if let Some(settings) = &settings {
                self.tried_folders.clone_from(&settings.rule_folders);
                self.watch(settings);
            }
            match settings {
                Some(settings) if problems.is_empty() => return Box::new(settings),
                _ => refuse(&problems, &current.state_folder),
            }
        }
    }

    /// Listens to the folders in which something may change.
    fn watch(&mut self, settings: &Settings) {
        let Some(watcher) = &mut self.watcher else { return };
        let mut wanted = BTreeSet::new();
        for path in std::iter::once(&settings.file).chain(&settings.rule_folders) {
            let real = path.canonicalize().unwrap_or_else(|_| path.clone());
            wanted.extend([path.as_path(), &real].iter().filter_map(|it| it.parent()).map(Path::to_owned));
            if real.is_dir() {
                wanted.insert(real);
            }
        }
        wanted.retain(|folder| folder.is_dir());
        for folder in self.watched.difference(&wanted) {
            // One that is gone is not listened to any more as it is.
            let _ = watcher.unwatch(folder);
        }
        for folder in wanted.difference(&self.watched) {
            if let Err(error) = watcher.watch(folder, RecursiveMode::NonRecursive) {
                tracing::warn!(folder = %folder.display(), error = %Chain(&error), "changes of the config are found by looking now and then");
            }
        }
        self.watched = wanted;
    }
}

/// Waits for a change and then until nothing has changed for a moment.
async fn settled(changed: &Notify) {
    changed.notified().await;
    while tokio::time::timeout(SETTLED, changed.notified()).await.is_ok() {}
}

fn watcher(changed: Arc<Notify>) -> Option<RecommendedWatcher> {
    let made = notify::recommended_watcher(move |event: notify::Result<Event>| {
        // Reading a file is an event too.
        if !event.is_ok_and(|it| matches!(it.kind, EventKind::Access(_))) {
            changed.notify_one();
        }
    });
    let warn = |error: &notify::Error| {
        tracing::warn!(error = %Chain(error), "the system does not tell of files, looking at the config now and then");
    };
    made.inspect_err(warn).ok()
}

/// What stands in the config file and in the rule files of these folders.
fn content(file: &Path, folders: &[PathBuf]) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    let text = std::fs::read_to_string(file).unwrap_or_default();
    for (section, hash) in config::section_hashes(&text).iter() {
        hasher.update(section.as_bytes()).update(hash.as_bytes());
    }
    // Also what is no TOML yet counts as other.
    hasher.update(text.as_bytes());
    for folder in folders {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        let mut paths: Vec<PathBuf> =
            entries.filter(|it| it.extension().is_some_and(|it| it == "toml")).collect();
        paths.sort();
        for path in paths {
            hasher.update(path.as_os_str().as_encoded_bytes());
            hasher.update(&std::fs::read(&path).unwrap_or_default());
        }
    }
    hasher.finalize()
}

/// Tells of every problem, once.
fn refuse(problems: &[config::Problem], state_folder: &Path) {
    for problem in problems {
        tracing::error!(
            file = %problem.file.display(),
            line = problem.line,
            key = problem.key,
            problem = problem.message,
            hint = problem.hint,
            "the new config is wrong"
        );
    }
    tracing::error!(n_problems = problems.len(), "the new config is not used, the old one stays");
    metrics::reload("refused");
    let told = problems.iter().map(ToString::to_string).collect();
    config_state::refused(state_folder, SystemClock.now(), told);
    systemd::ready(&format!("running with the old config: the new one has {} problems", problems.len()));
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn next(reloader: &mut Reloader, current: &Settings) -> Option<Box<Settings>> {
        tokio::time::timeout(Duration::from_secs(10), reloader.next(current)).await.ok()
    }

    fn put(path: &Path, text: &str) {
        let fresh = path.with_extension("new");
        std::fs::write(&fresh, text).unwrap();
        std::fs::rename(&fresh, path).unwrap();
    }

    #[tokio::test]
    async fn a_config_is_read_again_when_it_is_replaced_behind_a_symlink_and_only_when_it_is_right() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real"), folder.path().join("etc"));
        std::fs::create_dir_all(&real).unwrap();
        std::fs::create_dir_all(&link).unwrap();
        put(&real.join("a.toml"), "[triage]\nstorm_fingerprints = 20\n");
        std::os::unix::fs::symlink(real.join("a.toml"), link.join("a.toml")).unwrap();
        let settings = config::load(Some(&link.join("a.toml"))).unwrap();
        let (trigger, reload) = Reload::new(Some(link.join("a.toml")));
        let mut reloader = Reloader::new(Some(reload), &settings);

        put(&real.join("a.toml"), "[triage]\nstorm_fingerprints = 21\n");
        let settings = next(&mut reloader, &settings).await.unwrap();
        assert_eq!(settings.triage.storm_fingerprints, 21);

        // Wrong: not used. Asked for without a change: read.
        put(&real.join("a.toml"), "[triage]\nstorm_fingerprints = 0\n");
        let waited = tokio::time::timeout(Duration::from_secs(1), reloader.next(&settings)).await;
        assert!(waited.is_err());
        put(&real.join("a.toml"), "[triage]\nstorm_fingerprints = 22\n");
        let settings = next(&mut reloader, &settings).await.unwrap();
        assert_eq!(settings.triage.storm_fingerprints, 22);
        trigger.request();
        assert!(next(&mut reloader, &settings).await.is_some());
    }
}
