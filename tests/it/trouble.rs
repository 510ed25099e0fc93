//! What machines do to a daemon at night: it stays up, says what is wrong once, and goes on when it is right again.

/// A clock that is set.
mod clock;
/// A disk that is full.
mod disk;
/// More files than may be open.
mod files;
/// Lines that no program should write.
mod lines;
/// A state folder that cannot be written to.
mod read_only;

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::support::program::{Program, free_address};
use crate::support::wait::{PATIENCE, eventually};

/// A daemon that watches one file.
struct Ground {
    folder: TempDir,
    log: PathBuf,
    state: PathBuf,
    address: String,
    config: String,
}

impl Ground {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (log, state) = (folder.path().join("app.log"), folder.path().join("state"));
        std::fs::create_dir(&state).expect("a folder");
        std::fs::write(&log, "").expect("a file");
        let address = free_address();
        let text = format!(
            "[state]\nfolder = \"{}\"\n[http]\nlisten = \"{address}\"\n[docker]\nenabled = false\n[heal]\nenabled = false\n\
             [[file]]\npaths = [\"{}\"]\nfrom_start = true\n",
            state.display(),
            log.display()
        );
        let file = folder.path().join("homeostat.toml");
        std::fs::write(&file, text).expect("the config can be written");
        let config = file.to_str().expect("a temporary folder has a plain name").to_owned();
        Self { folder, log, state, address, config }
    }

    fn tmp(&self) -> &Path {
        self.folder.path()
    }

    /// Adds bytes to the log.
    fn write(&self, text: &[u8]) {
        let mut file = OpenOptions::new().append(true).open(&self.log).expect("the log is there");
        file.write_all(text).expect("there is room");
    }

    /// The value of a metric without labels, or of its first line.
    async fn metric(&self, name: &str) -> Option<f64> {
        let answer = reqwest::get(format!("http://{}/metrics", self.address)).await.ok()?;
        let text = answer.text().await.ok()?;
        let line = text.lines().find(|line| line.starts_with(name) && !line.starts_with('#'))?;
        line.rsplit_once(' ')?.1.parse().ok()
    }

    async fn counts(&self, expected: u32) {
        let what = format!("{expected} occurrences");
        // A build without optimisation reads a gibibyte in a minute where others run too.
        eventually(&what, PATIENCE * 4, async || {
            let n = self.metric("homeostat_stored_occurrences").await?;
            assert!(n <= f64::from(expected), "{n} occurrences of {expected}");
            (n >= f64::from(expected)).then_some(())
        })
        .await;
    }

    async fn is_up(&self, program: &Program) {
        program.line_with("homeostat is up", PATIENCE).await;
    }
}
