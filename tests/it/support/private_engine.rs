//! A Docker engine for one test, in a folder of its own, which the test may stop and kill as it likes.
//!
//! It shares nothing with the machine's engine but the programs: it has its own containerd, and a network namespace of its own, since an
//! engine without a bridge removes the one it finds. Needs root, as the machine's engine does.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use bollard::{API_DEFAULT_VERSION, Docker};
use futures_util::TryStreamExt;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::docker::{BUSYBOX, engine};
use super::wait::eventually;

/// A loaded machine needs a while to start an engine.
const START: Duration = Duration::from_secs(120);

/// An engine with the image [`BUSYBOX`].
#[derive(Debug)]
pub(crate) struct PrivateEngine {
    folder: TempDir,
    child: Child,
    is_live_restore: bool,
}

impl PrivateEngine {
    /// Starts one. With `is_live_restore` containers run on while it is down.
    pub(crate) async fn start(is_live_restore: bool) -> Self {
        let folder = tempfile::Builder::new().prefix("hs-engine").tempdir().expect("a folder can be made");
        let child = spawn(&folder, is_live_restore);
        let private = Self { folder, child, is_live_restore };
        private.wait().await;
        private.load_image().await;
        private
    }

    /// `unix://…`
    pub(crate) fn host(&self) -> String {
        format!("unix://{}", socket(&self.folder).display())
    }

    /// A client of it.
    pub(crate) fn docker(&self) -> Docker {
        Docker::connect_with_unix(&self.host(), 60, API_DEFAULT_VERSION).expect("the address is right")
    }

    /// Ends it, by SIGTERM or by SIGKILL, and starts it again over the same folder.
    pub(crate) async fn restart(&mut self, is_killed: bool) {
        self.end(if is_killed { rustix::process::Signal::KILL } else { rustix::process::Signal::TERM }).await;
        if is_killed {
            // Its containerd dies with it. Where nobody reaps the dead, the next engine would wait for it by the number in its file.
            for file in ["pid", "exec/containerd/containerd.pid"] {
                let _ = std::fs::remove_file(self.folder.path().join(file));
            }
        }
        self.child = spawn(&self.folder, self.is_live_restore);
        self.wait().await;
    }

    /// Removes its containers and ends it.
    pub(crate) async fn stop(mut self) {
        let docker = self.docker();
        let options = bollard::query_parameters::ListContainersOptionsBuilder::new().all(true).build();
        for container in docker.list_containers(Some(options)).await.expect("the engine answers") {
            let options = bollard::query_parameters::RemoveContainerOptionsBuilder::new().force(true).build();
            let id = container.id.expect("a container has an id");
            docker.remove_container(&id, Some(options)).await.expect("a container can be removed");
        }
        self.end(rustix::process::Signal::TERM).await;
    }

    async fn end(&mut self, signal: rustix::process::Signal) {
        let id = self.child.id().expect("it runs");
        let pid = rustix::process::Pid::from_raw(i32::try_from(id).expect("a pid")).expect("a pid");
        rustix::process::kill_process(pid, signal).expect("a signal can be sent");
        self.child.wait().await.expect("it ends");
    }

    async fn wait(&self) {
        let log = self.folder.path().join("log");
        eventually(&format!("the engine with the log {}", log.display()), START, async || {
            // No client can be made before there is a socket.
            let docker = Docker::connect_with_unix(&self.host(), 60, API_DEFAULT_VERSION).ok()?;
            docker.ping().await.ok()
        })
        .await;
    }

    async fn load_image(&self) {
        let chunks: Vec<bytes::Bytes> =
            engine().export_image(BUSYBOX).try_collect().await.expect("the image is there");
        let body = bollard::body_full(chunks.concat().into());
        let options = bollard::query_parameters::ImportImageOptionsBuilder::new().build();
        let loaded: Result<Vec<_>, _> = self.docker().import_image(options, body, None).try_collect().await;
        loaded.expect("the image can be loaded");
    }
}

impl Drop for PrivateEngine {
    #[expect(
        clippy::print_stderr,
        reason = "the log is removed with its folder; the runner shows this for a test that fails"
    )]
    /// Ends what a killed engine, or a test that fails, leaves: processes that name the folder, their children, its mounts.
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            let lines: Vec<&str> = log.lines().rev().take(20).collect();
            eprintln!("the private engine said, newest first:\n{}", lines.join("\n"));
        }
        let _ = self.child.start_kill();
        let folder = self.folder.path().to_str().expect("the folder's name is text");
        for pid in processes_of(folder) {
            let pids = children_of(pid).into_iter().chain([pid]).filter_map(rustix::process::Pid::from_raw);
            for pid in pids {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
        let mounts = std::fs::read_to_string("/proc/mounts").unwrap_or_default();
        for path in mounts.lines().rev().filter_map(|line| line.split(' ').nth(1)) {
            if path.starts_with(folder) {
                let _ = std::process::Command::new("umount").args(["--lazy", path]).status();
            }
        }
    }
}

/// Processes with this folder in their arguments: the engine, its containerd and its shims.
fn processes_of(folder: &str) -> Vec<i32> {
    let pids = std::fs::read_dir("/proc").expect("there is a /proc").flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| {
        let arguments = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&arguments).contains(folder)
    })
    .collect()
}

fn children_of(pid: i32) -> Vec<i32> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    lists.flat_map(|list| list.split(' ').filter_map(|it| it.parse().ok()).collect::<Vec<i32>>()).collect()
}

fn socket(folder: &TempDir) -> PathBuf {
    folder.path().join("docker.sock")
}

#[expect(clippy::disallowed_methods, reason = "the path of the system's programs is the test's business")]
fn spawn(folder: &TempDir, is_live_restore: bool) -> Child {
    let log = std::fs::File::options()
        .create(true)
        .append(true)
        .open(folder.path().join("log"))
        .expect("a log can be made");
    let path = |name: &str| folder.path().join(name);
    let programs = std::env::var("PATH").unwrap_or_default();
    Command::new("unshare")
        .args(["--net", "--", "dockerd"])
        .arg("--data-root")
        .arg(path("data"))
        .arg("--exec-root")
        .arg(path("exec"))
        .arg("--pidfile")
        .arg(path("pid"))
        .arg("--host")
        .arg(format!("unix://{}", socket(folder).display()))
        .args(["--bridge=none", "--iptables=false", "--ip6tables=false", "--shutdown-timeout=5"])
        .arg(format!("--live-restore={is_live_restore}"))
        .env("PATH", format!("{programs}:/usr/sbin:/sbin"))
        .stdout(Stdio::from(log.try_clone().expect("a log can be shared")))
        .stderr(Stdio::from(log))
        .kill_on_drop(true)
        .spawn()
        .expect("dockerd can be started")
}
