//! A bell at a file: rung once when something happens to it.
//!
//! A reader that has read everything arms its bell and waits; the first change rings it and takes it off. While the file is written to all
//! the time there is no bell, and the reader looks every few milliseconds: an event for each write would cost the writer more than its
//! writing. Folders tell of the names in them, again not of writing. (The `notify` crate tells of every write and cannot be asked not to.)

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use tokio::io::unix::AsyncFd;
use tokio::sync::{Notify, mpsc};
use tokio::task::AbortHandle;

/// Bytes of events that are read at once.
const BUFFER_BYTES: usize = 4096;

/// Hangs up bells. They are taken down when the last of it is dropped.
#[derive(Debug, Clone)]
pub(super) struct Bells(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    task: AbortHandle,
}

#[derive(Debug)]
struct Shared {
    inotify: AsyncFd<OwnedFd>,
    /// Who is to be woken, by the kernel's number of the watch. Several names may be one file.
    waiting: Mutex<HashMap<i32, Vec<Arc<Notify>>>>,
    folders: Mutex<HashMap<i32, PathBuf>>,
    told: mpsc::Sender<Told>,
}

/// What is told of the folders that are watched.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// Something has this name now, or has it no more.
    Path(PathBuf),
    /// Something was missed.
    Everything,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Bells {
    /// Bells of this system; `told` hears of the folders, and may miss what is too much for it.
    ///
    /// # Errors
    /// The system has none to give; then files are polled.
    pub(super) fn new(told: mpsc::Sender<Told>) -> io::Result<Self> {
        let inotify = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        #[expect(
            deprecated,
            reason = "its heir is unsafe for other types than this one, which owns its descriptor"
        )]
        let inotify = AsyncFd::new(inotify)?;
        let shared = Arc::new(Shared { inotify, waiting: Mutex::default(), folders: Mutex::default(), told });
        let task = tokio::spawn(listen(Arc::clone(&shared))).abort_handle();
        Ok(Self(Arc::new(Inner { shared, task })))
    }

    /// Rings at the next change of the file at `path`: it is written to, cut, renamed or removed. What was written before is not told.
    pub(super) fn arm(&self, path: &Path, wake: &Arc<Notify>) -> io::Result<()> {
        let flags = WatchFlags::MODIFY
            | WatchFlags::ATTRIB
            | WatchFlags::MOVE_SELF
            | WatchFlags::DELETE_SELF
            | WatchFlags::ONESHOT;
        let mut waiting = self.0.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let watch = inotify::add_watch(&self.0.shared.inotify, path, flags)?;
        let wakes = waiting.entry(watch).or_default();
        if !wakes.iter().any(|other| Arc::ptr_eq(other, wake)) {
            wakes.push(Arc::clone(wake));
        }
        Ok(())
    }

    /// Tells from now on of names that come and go in a folder; not of what is written to its files.
    pub(super) fn watch_folder(&self, folder: &Path) -> io::Result<()> {
        let flags = WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::DELETE_SELF
            | WatchFlags::ONLYDIR;
        let mut folders = self.0.shared.folders.lock().unwrap_or_else(PoisonError::into_inner);
        let watch = inotify::add_watch(&self.0.shared.inotify, folder, flags)?;
        folders.insert(watch, folder.to_owned());
        Ok(())
    }
}

async fn listen(shared: Arc<Shared>) {
    while let Ok(mut ready) = shared.inotify.readable().await {
        ring(&shared);
        ready.clear_ready();
        // What came between the last read and the clearing.
        ring(&shared);
    }
}

/// Wakes everybody whose file changed.
fn ring(shared: &Shared) {
    let mut buffer = [MaybeUninit::uninit(); BUFFER_BYTES];
    let mut events = inotify::Reader::new(&shared.inotify, &mut buffer);
    while let Ok(event) = events.next() {
        let mut waiting = shared.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if event.events().contains(ReadFlags::QUEUE_OVERFLOW) {
            waiting.drain().flat_map(|(_, wakes)| wakes).for_each(|wake| wake.notify_one());
            let _ = shared.told.try_send(Told::Everything);
            continue;
        }
        waiting.remove(&event.wd()).into_iter().flatten().for_each(|wake| wake.notify_one());
        drop(waiting);
        let mut folders = shared.folders.lock().unwrap_or_else(PoisonError::into_inner);
        if event.events().contains(ReadFlags::IGNORED) {
            folders.remove(&event.wd());
        } else if let (Some(folder), Some(name)) = (folders.get(&event.wd()), event.file_name()) {
            let path = folder.join(OsStr::from_bytes(name.to_bytes()));
            // What a full channel misses is found when everything is looked at.
            let _ = shared.told.try_send(Told::Path(path));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::time::Duration;

    use super::*;

    async fn is_rung(wake: &Notify, patience: Duration) -> bool {
        tokio::time::timeout(patience, wake.notified()).await.is_ok()
    }

    #[tokio::test]
    async fn a_bell_rings_once_for_each_time_it_is_armed() {
        const LONG: Duration = Duration::from_secs(20);
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_owned();
        let bells = Bells::new(mpsc::channel(1).0).unwrap();
        let (first, second) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        bells.arm(&path, &first).unwrap();
        bells.arm(&path, &second).unwrap();
        file.write_all(b"a\n").unwrap();
        assert!(is_rung(&first, LONG).await && is_rung(&second, LONG).await);

        file.write_all(b"b\n").unwrap();
        bells.arm(&path, &first).unwrap();
        assert!(!is_rung(&first, Duration::from_millis(50)).await, "only what comes after");
        let other = path.with_extension("1");
        std::fs::rename(&path, &other).unwrap();
        assert!(is_rung(&first, LONG).await);
        bells.arm(&other, &first).unwrap();
        std::fs::remove_file(&other).unwrap();
        assert!(is_rung(&first, LONG).await);
        assert!(bells.arm(&other, &first).is_err());
    }

    #[tokio::test]
    async fn a_folder_tells_of_names_and_not_of_writing() {
        let folder = tempfile::tempdir().unwrap();
        let (told_tx, mut told) = mpsc::channel(8);
        let bells = Bells::new(told_tx).unwrap();
        bells.watch_folder(folder.path()).unwrap();
        let path = folder.path().join("a.log");
        std::fs::write(&path, "a").unwrap();
        std::fs::write(&path, "b").unwrap();
        std::fs::remove_file(&path).unwrap();
        for _ in 0..2 {
            assert_eq!(told.recv().await, Some(Told::Path(path.clone())));
        }
        assert!(told.try_recv().is_err());
    }
}
