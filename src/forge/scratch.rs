//! Folders of a moment, below a folder of ours: whoever is killed in between leaves one, and the next start removes it.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// A folder that is removed with the value.
#[derive(Debug)]
pub(super) struct Scratch {
    path: PathBuf,
    /// Held while this process lives, so that a later one knows which folders are orphans.
    _alive: File,
}

impl Scratch {
    /// Makes a folder below `parent`, which is made too.
    pub(super) fn make(parent: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(parent)?;
        let path = parent.join(uuid::Uuid::now_v7().simple().to_string());
        let lock = path.with_extension("lock");
        // Again, if a process that starts just now took the still unlocked file for an orphan.
        let alive = loop {
            let file = File::create(&lock)?;
            file.lock()?;
            if lock.exists() {
                break file;
            }
        };
        let this = Self { path, _alive: alive };
        std::fs::create_dir(&this.path)?;
        Ok(this)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the next start.
        let _ = std::fs::remove_dir_all(&self.path);
        let _ = std::fs::remove_file(self.path.with_extension("lock"));
    }
}

/// Removes the folders below `parent` whose process is gone; gives their number.
pub(super) fn sweep(parent: &Path) -> u32 {
    let mut n_removed = 0;
    // Without the folder nothing was ever made in it.
    for entry in std::fs::read_dir(parent).into_iter().flatten().flatten() {
        let path = entry.path();
        let is_lock = path.extension().is_some_and(|extension| extension == "lock");
        if is_lock && File::open(&path).is_ok_and(|file| file.try_lock().is_ok()) {
            let _ = std::fs::remove_dir_all(path.with_extension(""));
            let _ = std::fs::remove_file(&path);
            n_removed += 1;
        }
    }
    n_removed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_left_behind_is_swept() {
        let parent = tempfile::tempdir().unwrap();
        let alive = Scratch::make(parent.path()).unwrap();
        // As a killed process leaves it: the lock is free, folder and file are there.
        let orphan = parent.path().join("orphan");
        std::fs::create_dir(&orphan).unwrap();
        std::fs::write(orphan.join("HEAD"), "x").unwrap();
        File::create(orphan.with_extension("lock")).unwrap();
        assert_eq!(sweep(parent.path()), 1);
        assert!(alive.path().is_dir() && !orphan.exists());
        drop(alive);
        assert_eq!(std::fs::read_dir(parent.path()).unwrap().count(), 0);
        assert_eq!(sweep(&parent.path().join("nowhere")), 0);
    }
}
