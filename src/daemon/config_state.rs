//! What became of the config when it was last read, in a file of the state folder, for `homeostat status`.
//!
//! Each daemon has its own config, so this is not in the database, which many may share.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::base::chain::Chain;
use crate::base::clock::Timestamp;

const FILE: &str = "config-state.json";

/// See the module's documentation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigState {
    /// The process that read it.
    pub pid: u32,
    /// When it was read last, used or not.
    pub read_at: String,
    /// When the one in use was read.
    pub used_since: String,
    /// What keeps the one that was read last from being used; nothing if it is.
    pub problems: Vec<String>,
}

impl ConfigState {
    /// What the daemon of this state folder told last; `None` if none did.
    ///
    /// # Errors
    /// The file cannot be read, or is none of homeostat's.
    pub fn read(state_folder: &Path) -> io::Result<Option<Self>> {
        match std::fs::read(state_folder.join(FILE)) {
            Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether the process that told it is still there.
    pub fn is_running(&self) -> bool {
        Path::new("/proc").join(self.pid.to_string()).exists()
    }
}

/// Notes that the config was read now and is used.
pub(super) fn used(state_folder: &Path, now: Timestamp) {
    write(state_folder, now, |_| (now.to_string(), Vec::new()));
}

/// Notes that the config was read now and cannot be used.
pub(super) fn refused(state_folder: &Path, now: Timestamp, problems: Vec<String>) {
    write(state_folder, now, |before| (before.map_or_else(|| now.to_string(), |it| it.used_since), problems));
}

/// A disk that cannot be written to is told of elsewhere, and stops nothing here.
fn write(
    state_folder: &Path,
    now: Timestamp,
    told: impl FnOnce(Option<ConfigState>) -> (String, Vec<String>),
) {
    let (used_since, problems) = told(ConfigState::read(state_folder).ok().flatten());
    let state = ConfigState { pid: std::process::id(), read_at: now.to_string(), used_since, problems };
    let file = state_folder.join(FILE);
    let fresh = file.with_extension("new");
    let written = serde_json::to_vec(&state)
        .map_err(io::Error::from)
        .and_then(|text| std::fs::write(&fresh, text))
        .and_then(|()| std::fs::rename(&fresh, &file));
    if let Err(error) = written {
        tracing::debug!(file = %file.display(), error = %Chain(&error), "what became of the config could not be noted");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_leaves_what_is_used() {
        let folder = tempfile::tempdir().unwrap();
        let at = |second| Timestamp::from_second(second).unwrap();
        assert_eq!(ConfigState::read(folder.path()).unwrap(), None);
        let check = |read_at, used_since, problems: &[&str]| {
            let state = ConfigState {
                pid: std::process::id(),
                read_at: at(read_at).to_string(),
                used_since: at(used_since).to_string(),
                problems: problems.iter().map(|it| (*it).to_owned()).collect(),
            };
            assert_eq!(ConfigState::read(folder.path()).unwrap(), Some(state));
        };
        used(folder.path(), at(1));
        check(1, 1, &[]);
        refused(folder.path(), at(2), vec!["a.toml:1: x".to_owned()]);
        refused(folder.path(), at(3), vec!["a.toml:2: y".to_owned()]);
        check(3, 1, &["a.toml:2: y"]);
        used(folder.path(), at(4));
        check(4, 4, &[]);
        assert!(ConfigState::read(folder.path()).unwrap().unwrap().is_running());
        std::fs::write(folder.path().join(FILE), "{").unwrap();
        assert!(ConfigState::read(folder.path()).is_err());
        // Nothing can be noted here, and nothing happens.
        used(&folder.path().join("gone"), at(5));
    }
}
