//! Names of the files in a folder, listed once for all that are followed there.
//!
//! Each of thousands of files wants to know which rotated ones lie beside it: a folder that has not changed is not listed again for it.

use std::collections::HashMap;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::reader::is_local_folder;
use crate::base::clock::{Clock, SystemClock, Timestamp};

/// Folders whose names are kept.
const MAX_FOLDERS: usize = 64;

/// What was changed so shortly before it was listed may have been changed again with the same time.
const SETTLED: Duration = Duration::from_millis(100);

static KEPT: Mutex<Option<HashMap<PathBuf, Listing>>> = Mutex::new(None);

/// Names, sorted.
type Names = Arc<[String]>;

#[derive(Debug, Clone)]
struct Listing {
    version: Version,
    names: Names,
}

/// What changes when a name comes or goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Version {
    device: u64,
    inode: u64,
    modified: (i64, i64),
}

impl Version {
    fn of(folder: &Path) -> io::Result<Self> {
        let metadata = std::fs::metadata(folder)?;
        let modified = (metadata.mtime(), metadata.mtime_nsec());
        Ok(Self { device: metadata.dev(), inode: metadata.ino(), modified })
    }

    fn is_settled(self) -> bool {
        let nanos = i128::from(self.modified.0) * 1_000_000_000 + i128::from(self.modified.1);
        let age = Timestamp::from_nanosecond(nanos).ok().map(|it| SystemClock.now().duration_since(it));
        age.and_then(|age| Duration::try_from(age).ok()).is_some_and(|age| age > SETTLED)
    }
}

/// The names in a folder that begin with `beginning`, sorted; none where it cannot be read. Names that are no text are left out.
pub(super) fn names(folder: &Path, beginning: &str) -> Vec<String> {
    let names = kept(folder).unwrap_or_else(|| list(folder));
    let start = names.partition_point(|name| name.as_str() < beginning);
    names[start..].iter().take_while(|name| name.starts_with(beginning)).cloned().collect()
}

fn kept(folder: &Path) -> Option<Names> {
    let version = Version::of(folder).ok()?;
    let kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    let listing = kept.as_ref()?.get(folder).filter(|listing| listing.version == version)?;
    Some(Arc::clone(&listing.names))
}

fn list(folder: &Path) -> Names {
    let version = Version::of(folder).ok();
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort_unstable();
    let names: Names = names.into();
    // Another machine's changes are seen late, the names as well as the time.
    if let Some(version) = version.filter(|version| version.is_settled() && is_local_folder(folder)) {
        let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = kept.get_or_insert_default();
        if kept.len() >= MAX_FOLDERS && !kept.contains_key(folder) {
            kept.clear();
        }
        kept.insert(folder.to_owned(), Listing { version, names: Arc::clone(&names) });
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_are_there_now() {
        let folder = tempfile::tempdir().unwrap();
        let check = |expected: &[&str]| {
            for _ in 0..2 {
                assert_eq!(names(folder.path(), "app"), expected);
            }
        };
        let write = |name: &str| std::fs::write(folder.path().join(name), "x").unwrap();
        check(&[]);
        for name in ["app.log", "other.log", "app", "apo.log", "apq.log", "app.log.1"] {
            write(name);
        }
        check(&["app", "app.log", "app.log.1"]);
        // Long ago: kept from here on.
        let old = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        std::fs::File::open(folder.path()).unwrap().set_modified(old).unwrap();
        check(&["app", "app.log", "app.log.1"]);
        std::fs::remove_file(folder.path().join("app")).unwrap();
        write("app.log.2");
        check(&["app.log", "app.log.1", "app.log.2"]);
    }
}
