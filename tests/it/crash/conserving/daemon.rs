//! Keeps a daemon running over kills, stops, and a database that goes away.

#![expect(clippy::unwrap_used, reason = "a test says where it broke")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use homeostat::model::cursor::Gap;
use homeostat::store::Store;
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::store::given::Db;
use crate::support::numbered::{ALL, Counted, Trail, counted};
use crate::support::program::{Program, free_address};
use crate::support::wait::{PATIENCE, eventually};

pub(super) struct Daemon {
    folder: TempDir,
    config: String,
    program: Option<Program>,
    db: Db,
    store: Arc<dyn Store>,
}

impl Daemon {
    /// Starts one that watches what `watched` says.
    pub(super) async fn start(db: Db, watched: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = free_address();
        // Few rules: a daemon that starts often should start soon.
        let rules = folder.path().join("rules");
        fs::create_dir(&rules).unwrap();
        for name in ["levels.toml", "python.toml"] {
            fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("rules").join(name), rules.join(name))
                .unwrap();
        }
        let text = format!(
            "[state]\nfolder = \"{}\"\n[database]\nurl = \"{}\"\n[http]\nlisten = \"{address}\"\npublic_url = \"http://{address}\"\n\
             [triage]\nroute = \"ignore\"\n[rules]\nshipped = false\nfolders = [\"{}\"]\n{watched}",
            folder.path().join("state").display(),
            db.url,
            rules.display()
        );
        let file = folder.path().join("homeostat.toml");
        fs::write(&file, text).unwrap();
        let config = file.to_str().unwrap().to_owned();
        let store = db.opened_again().await;
        let mut daemon = Self { folder, config, program: None, db, store };
        daemon.run();
        daemon.is_up().await;
        daemon
    }

    pub(super) fn is_running(&self) -> bool {
        self.program.is_some()
    }

    pub(super) fn run(&mut self) {
        self.program = Some(Program::start(&["run", "--config", &self.config], self.folder.path()));
    }

    pub(super) async fn is_up(&self) {
        let program = self.program.as_ref().unwrap();
        program.line_with("homeostat is up", PATIENCE).await;
    }

    pub(super) async fn kill(&mut self) {
        self.program.take().unwrap().kill().await;
    }

    pub(super) async fn stop(&mut self) {
        // Before it is up nobody heeds the signal.
        self.is_up().await;
        let mut program = self.program.take().unwrap();
        program.signal(Signal::TERM);
        program.ends_with(0, PATIENCE).await;
    }

    /// One of the things that happen to the daemon and its database, if it is their turn.
    pub(super) async fn act(&mut self, random: &mut fastrand::Rng, trail: &mut Trail) {
        match random.u8(0..6) {
            0..=2 if !self.is_running() => {
                trail.note("start");
                self.run();
            }
            0 => {
                trail.note("kill");
                self.kill().await;
            }
            1 => {
                trail.note("stop");
                self.stop().await;
            }
            2 | 3 => {
                // A start without its database is none: it ends, and who started it tries again.
                if self.is_running() {
                    self.is_up().await;
                }
                let away = Duration::from_millis(random.u64(0..400));
                trail.note(format!("the database is away for {away:?}"));
                self.db.be_away(away).await;
            }
            _ => {}
        }
    }

    async fn counted(&self) -> BTreeMap<u32, Counted> {
        counted(&self.store).await
    }

    /// Waits until this number is counted.
    pub(super) async fn has_counted(&self, number: u32) {
        self.is_up().await;
        eventually(&format!("number {number}"), PATIENCE, async || {
            self.counted().await.contains_key(&number).then_some(())
        })
        .await;
    }

    /// Waits for all of these, or as long as one waits: what is missing then is told by who compares.
    pub(super) async fn has_counted_all(&mut self, numbers: impl IntoIterator<Item = u32>) {
        if !self.is_running() {
            self.run();
        }
        self.is_up().await;
        let numbers: Vec<u32> = numbers.into_iter().collect();
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            let counted = self.counted().await;
            if numbers.iter().all(|number| counted.contains_key(number)) {
                return;
            }
            sleep(Duration::from_millis(200)).await;
        }
    }

    /// Waits for the last number, and ends the daemon twice: nothing more comes, and nothing comes again. What was counted, and the gaps.
    pub(super) async fn end(mut self, last: u32, trail: &mut Trail) -> (BTreeMap<u32, Counted>, Vec<Gap>) {
        if !self.is_running() {
            self.run();
        }
        self.has_counted(last).await;
        self.stop().await;
        let counted = self.counted().await;
        self.run();
        self.is_up().await;
        self.stop().await;
        assert_eq!(self.counted().await, counted, "counted again by another run");
        let gaps = self.store.gaps(ALL).await.unwrap();
        for gap in &gaps {
            trail.note(format!("gap {gap:?}"));
        }
        (counted, gaps)
    }
}
