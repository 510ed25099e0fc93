//! The built binary as a process: what it prints, signals to it, its end.
//!
//! It gets no key and no config from the environment of the tests, and it is killed together with the value.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::wait::eventually;

const BINARY: &str = env!("CARGO_BIN_EXE_homeostat");

/// A running `homeostat`.
#[derive(Debug)]
pub(crate) struct Program {
    child: Child,
    pid: u32,
    stdout: Reader,
    stderr: Reader,
}

#[derive(Debug)]
struct Reader {
    lines: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Program {
    /// Starts it; `tmp` is where it makes its temporary folders.
    pub(crate) fn start(arguments: &[&str], tmp: &Path) -> Self {
        Self::spawn(command(arguments), tmp)
    }

    /// Starts it on a machine of its own as far as file systems go: `folder` is a file system of so many bytes, seen by it alone and by
    /// those who look through [`Program::inside`]. Takes user namespaces, or root.
    pub(crate) fn start_on_small_disk(arguments: &[&str], tmp: &Path, folder: &Path, n_bytes: u64) -> Self {
        let script = format!("mount -t tmpfs -o size={n_bytes} none \"$0\" && exec \"$@\"");
        let mut command = bare("unshare");
        command
            .args(["--mount", "--map-root-user", "sh", "-c", &script])
            .arg(folder)
            .arg(BINARY)
            .args(arguments);
        Self::spawn(command, tmp)
    }

    /// Starts it on a machine of its own as far as file systems go, on which `folder` cannot be written to before
    /// [`Program::make_writable`]. Takes user namespaces, or root.
    pub(crate) fn start_read_only(arguments: &[&str], tmp: &Path, folder: &Path) -> Self {
        let script = "mount --bind \"$0\" \"$0\" && mount -o remount,bind,ro \"$0\" && exec \"$@\"";
        let mut command = bare("unshare");
        command
            .args(["--mount", "--map-root-user", "sh", "-c", script])
            .arg(folder)
            .arg(BINARY)
            .args(arguments);
        Self::spawn(command, tmp)
    }

    /// Lets it write to such a folder.
    pub(crate) async fn make_writable(&self, folder: &Path) {
        let mut command = bare("nsenter");
        command.args(["--user", "--mount", "--preserve-credentials", "--target", &self.pid.to_string()]);
        command.args(["mount", "-o", "remount,bind,rw"]).arg(folder);
        let status = command.status().await.expect("nsenter can be run");
        assert!(status.success(), "{status}");
    }

    /// Starts it with no more than so many descriptors.
    pub(crate) fn start_with_descriptors(arguments: &[&str], tmp: &Path, limit: u32) -> Self {
        let mut command = bare("prlimit");
        command.arg(format!("--nofile={limit}:{limit}")).arg(BINARY).args(arguments);
        Self::spawn(command, tmp)
    }

    /// Starts it with what it says going into a file, where nothing of it can be read through the value.
    pub(crate) fn start_with_output(arguments: &[&str], tmp: &Path, output: File) -> Child {
        let again = output.try_clone().expect("a descriptor can be doubled");
        let mut command = command(arguments);
        command.env("TMPDIR", tmp).stdin(Stdio::null()).stdout(output).stderr(again);
        command.spawn().expect("the binary starts")
    }

    /// A path as the process sees it.
    pub(crate) fn inside(&self, path: &Path) -> PathBuf {
        let path = path.strip_prefix("/").expect("the path is a whole one");
        Path::new("/proc").join(self.pid.to_string()).join("root").join(path)
    }

    fn spawn(mut command: Command, tmp: &Path) -> Self {
        let mut child = command
            .env("TMPDIR", tmp)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let pid = child.id().expect("it was not waited for");
        let stdout = Reader::new(child.stdout.take().expect("it is piped"));
        let stderr = Reader::new(child.stderr.take().expect("it is piped"));
        Self { child, pid, stdout, stderr }
    }

    /// The process id.
    pub(crate) const fn pid(&self) -> u32 {
        self.pid
    }

    /// How many lines with `text` it has printed so far, on either stream.
    pub(crate) fn n_lines_with(&self, text: &str) -> usize {
        [self.stdout.lines(), self.stderr.lines()].iter().flatten().filter(|line| line.contains(text)).count()
    }

    /// The lines on standard output so far.
    pub(crate) fn stdout(&self) -> Vec<String> {
        self.stdout.lines()
    }

    /// Waits for a line that contains `text`, on either stream, and gives it.
    pub(crate) async fn line_with(&self, text: &str, within: Duration) -> String {
        eventually(&format!("`{text}` from homeostat"), within, async || {
            let lines = [self.stdout.lines(), self.stderr.lines()].concat();
            let found = lines.iter().find(|line| line.contains(text)).cloned();
            assert!(found.is_some() || !self.has_ended(), "homeostat ended without `{text}`: {lines:#?}");
            found
        })
        .await
    }

    /// Closes the reading end of its standard output, as `head` does when it has enough.
    pub(crate) async fn close_stdout(&mut self) {
        self.stdout.task.abort();
        // The pipe goes with the task, which ends as cancelled.
        let _ = (&mut self.stdout.task).await;
        self.stdout.task = tokio::spawn(async {});
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw).expect("it has a process id");
        kill_process(pid, signal).expect("the signal is sent");
    }

    /// Waits for its end and for the last of its output.
    pub(crate) async fn end(&mut self, within: Duration) -> ExitStatus {
        let ended = timeout(within, self.child.wait()).await;
        let Ok(ended) = ended else { panic!("no end within {within:?}: {:#?}", self.stderr.lines()) };
        for reader in [&mut self.stdout, &mut self.stderr] {
            let read = timeout(within, &mut reader.task).await;
            read.expect("its output ends with it").expect("its output is read");
        }
        ended.expect("it can be waited for")
    }

    /// Waits for its end, which must have this exit code.
    pub(crate) async fn ends_with(&mut self, code: i32, within: Duration) {
        let ended = self.end(within).await;
        let said = [self.stdout.lines(), self.stderr.lines()].concat();
        assert_eq!(ended.code(), Some(code), "{ended}: {said:#?}");
    }

    /// Kills it outright, as `kill -9` does, and waits until it is gone.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.expect("it can be killed");
    }

    fn has_ended(&self) -> bool {
        self.stdout.task.is_finished() && self.stderr.task.is_finished()
    }
}

impl Reader {
    fn new(stream: impl AsyncRead + Send + Unpin + 'static) -> Self {
        let lines = Arc::<Mutex<Vec<String>>>::default();
        let sink = Arc::clone(&lines);
        let task = tokio::spawn(async move {
            let mut stream = BufReader::new(stream).lines();
            while let Some(line) = stream.next_line().await.expect("it prints UTF-8") {
                sink.lock().expect("nobody panics with the lock").push(line);
            }
        });
        Self { lines, task }
    }

    fn lines(&self) -> Vec<String> {
        self.lines.lock().expect("nobody panics with the lock").clone()
    }
}

/// Runs a command to its end and gives what it printed, one JSON value a line.
///
/// # Panics
/// When it fails; with its words.
pub(crate) async fn json_of(arguments: &[&str]) -> Vec<Value> {
    let output = command(arguments).stdin(Stdio::null()).output().await.expect("the binary runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "homeostat {arguments:?} failed: {stderr}");
    let stdout = String::from_utf8(output.stdout).expect("it prints UTF-8");
    stdout.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
}

fn command(arguments: &[&str]) -> Command {
    let mut command = bare(BINARY);
    command.args(arguments);
    command
}

fn bare(program: &str) -> Command {
    let mut command = Command::new(program);
    command
        .env_remove("ANTHROPIC_API_KEY")
        .env_remove("HOMEOSTAT_CONFIG")
        .env_remove("NOTIFY_SOCKET")
        .kill_on_drop(true);
    command
}

/// A port of loopback that was free a moment ago.
pub(crate) fn free_address() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback can be bound");
    listener.local_addr().expect("a bound socket has an address").to_string()
}
