//! Hundreds of things happen to a log, and the daemon is stopped and killed meanwhile: what it has counted is what was written.
//!
//! Nothing is removed before it was read, so nothing may be missing. The seed is printed with a failure.

#![expect(clippy::unwrap_used, reason = "a test says where it broke")]

use std::fs;
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;
use tokio::time::sleep;

use crate::support::docker::{BUSYBOX, Launch, engine};
use crate::support::name::unique;
use crate::support::program::{Program, free_address, json_of};
use crate::support::wait::{PATIENCE, eventually};

const N_ACTIONS: usize = 320;

/// Keeps a daemon running, over kills.
struct Daemon {
    folder: TempDir,
    config: String,
    program: Option<Program>,
}

impl Daemon {
    async fn start(watched: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = free_address();
        let text = format!(
            "[state]\nfolder = \"{}\"\n[http]\nlisten = \"{address}\"\npublic_url = \"http://{address}\"\n{watched}",
            folder.path().join("state").display()
        );
        let file = folder.path().join("homeostat.toml");
        fs::write(&file, text).unwrap();
        let config = file.to_str().unwrap().to_owned();
        let mut daemon = Self { folder, config, program: None };
        daemon.run();
        daemon.is_up().await;
        daemon
    }

    fn run(&mut self) {
        self.program = Some(Program::start(&["run", "--config", &self.config], self.folder.path()));
    }

    async fn is_up(&self) {
        let program = self.program.as_ref().unwrap();
        program.line_with("homeostat is up", PATIENCE).await;
    }

    async fn kill(&mut self) {
        self.program.take().unwrap().kill().await;
    }

    async fn stop(&mut self) {
        // Before it is up nobody heeds the signal.
        self.is_up().await;
        let mut program = self.program.take().unwrap();
        program.signal(Signal::TERM);
        program.ends_with(0, PATIENCE).await;
    }

    async fn count(&self) -> u64 {
        let issues = json_of(&["issue", "list", "--json", "--all", "--config", &self.config]).await;
        issues.iter().map(|issue| issue["count"].as_u64().unwrap()).sum()
    }

    /// Waits for so many, then ends the daemon, which hands over what is still on the way: no more may come.
    async fn ends_with(mut self, expected: u64, what: &str) {
        self.is_up().await;
        let what = format!("{expected} errors, {what}");
        eventually(&what, PATIENCE, async || (self.count().await >= expected).then_some(())).await;
        self.stop().await;
        assert_eq!(self.count().await, expected, "{what}");
    }
}

#[tokio::test]
async fn whatever_happens_to_a_container_its_errors_are_counted_once() {
    let name = unique("conserve");
    let watched = format!(
        "[docker.include]\nnames = [\"{name}\"]\n[[service]]\nname = \"shop\"\ncontainers = [\"{name}\"]\nroute = \"ticket\"\n"
    );
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    let mut daemon = Daemon::start(&watched).await;
    let script = "i=0; while [ ! -e /done ]; do i=$((i+1)); echo \"ERROR payment of order $i failed\" >&$((i % 2 + 1)); \
        echo order $i is on its way; [ $((i % 10)) = 0 ] && sleep 0.02; done";
    let options = [("max-size", "60k"), ("max-file", "200"), ("compress", "true")];
    let options = options.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let launch = Launch::shell(BUSYBOX, script).name(&name).host(|host| {
        let typ = Some("json-file".to_owned());
        host.log_config = Some(bollard::models::HostConfigLogConfig { typ, config: Some(options.into()) });
    });
    let container = launch.start(&engine()).await;
    for _ in 0..N_ACTIONS {
        match random.u32(0..40) {
            0 if daemon.program.is_some() => daemon.kill().await,
            1 if daemon.program.is_some() => daemon.stop().await,
            0..=6 if daemon.program.is_none() => daemon.run(),
            7 => container.restart().await,
            _ => sleep(Duration::from_millis(random.u64(0..60))).await,
        }
    }
    container.run("touch /done").await;
    container.exit_code().await;
    if daemon.program.is_none() {
        daemon.run();
    }
    let expected = errors_of(&container.log_path().await);
    daemon.ends_with(expected, &format!("with seed {seed}")).await;
}

/// Errors in the engine's own files.
fn errors_of(log: &Path) -> u64 {
    let mut n_errors = 0;
    for entry in fs::read_dir(log.parent().unwrap()).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        if !name.contains("-json.log") {
            continue;
        }
        let file = fs::File::open(entry.path()).unwrap();
        let text = if name.ends_with(".gz") {
            std::io::read_to_string(flate2::read::MultiGzDecoder::new(file)).unwrap()
        } else {
            std::io::read_to_string(file).unwrap()
        };
        n_errors += text.matches("{\"log\":\"ERROR payment").count() as u64;
    }
    n_errors
}
