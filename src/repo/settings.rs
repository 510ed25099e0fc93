//! What can be set about git on the host.

use std::path::PathBuf;
use std::time::Duration;

/// Settings of this part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Folder for mirrors (kept) and clones (removed after use). Made if it is not there.
    pub folder: PathBuf,
    /// The git program, by name or path.
    pub git: PathBuf,
    /// How long one fetch may take.
    pub fetch_timeout: Duration,
    /// How long any other call may take.
    pub timeout: Duration,
    /// How long to wait for another process that fetches the same repository.
    pub lock_timeout: Duration,
    /// A mirror with more packs than this is packed anew.
    pub max_packs: u64,
    /// The same for objects in no pack.
    pub max_loose_objects: u64,
    /// Most files in a checkout; a larger one is refused.
    pub max_files: u64,
    /// Most bytes in a checkout, all files together; a larger one is refused.
    pub max_bytes: u64,
    /// Variables git gets besides those set here, for example `https_proxy` or `SSL_CERT_FILE`.
    pub environment: Vec<(String, String)>,
}

impl Settings {
    /// The defaults, with everything kept below `folder`.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            git: PathBuf::from("git"),
            fetch_timeout: Duration::from_secs(600),
            timeout: Duration::from_secs(120),
            lock_timeout: Duration::from_secs(900),
            max_packs: 20,
            max_loose_objects: 5_000,
            max_files: 100_000,
            max_bytes: 1 << 30,
            environment: Vec::new(),
        }
    }
}
