//! A container for one test, removed at its end.
//!
//! The engine is the machine's own (`DOCKER_HOST`, else its socket) and is shared: tests and people run containers there at the same
//! time. So every container has a name and a label of its own, and a test looks at those only.

use std::collections::HashMap;

use bollard::Docker;
use bollard::container::LogOutput;
use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, KillContainerOptionsBuilder, LogsOptionsBuilder,
    RemoveContainerOptionsBuilder, RestartContainerOptionsBuilder, StopContainerOptionsBuilder,
};
use futures_util::TryStreamExt;

use super::name::unique;
use super::wait::{PATIENCE, eventually};

/// A static busybox, about 2 MB: `sh`, `printf`, `sleep`, `seq` and the like.
pub(crate) const BUSYBOX: &str = "homeostat/busybox:1";

/// The sandbox image as it is shipped: Python, pytest, git, make; user `agent`.
pub(crate) const SANDBOX: &str = "homeostat/sandbox:1";

/// The machine's engine.
///
/// # Panics
/// When there is none; says what starts it.
pub(crate) fn engine() -> Docker {
    Docker::connect_with_defaults()
        .unwrap_or_else(|error| panic!("no Docker engine ({error}): run scripts/setup test"))
}

/// What to run. Nothing is set but what is said here: no volume, no port, the engine's default network.
#[derive(Debug, Clone)]
pub(crate) struct Launch {
    name: String,
    body: ContainerCreateBody,
}

impl Launch {
    /// Runs `script` with the image's `sh`.
    pub(crate) fn shell(image: &str, script: &str) -> Self {
        Self::command(image, &["sh", "-c", script])
    }

    /// Runs a command, as it is.
    pub(crate) fn command(image: &str, command: &[&str]) -> Self {
        let name = unique("container");
        let labels = HashMap::from([("homeostat.test".to_owned(), name.clone())]);
        let body = ContainerCreateBody {
            image: Some(image.to_owned()),
            cmd: Some(command.iter().copied().map(str::to_owned).collect()),
            labels: Some(labels),
            ..Default::default()
        };
        Self { name, body }
    }

    /// Takes this name in place of a unique one; for a container that is made again under its old name. Begin with [`unique`].
    pub(crate) fn name(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// Adds a label.
    pub(crate) fn label(mut self, key: &str, value: &str) -> Self {
        self.body.labels.get_or_insert_default().insert(key.to_owned(), value.to_owned());
        self
    }

    /// Adds a variable to the environment.
    pub(crate) fn env(mut self, key: &str, value: &str) -> Self {
        self.body.env.get_or_insert_default().push(format!("{key}={value}"));
        self
    }

    /// With a terminal: one stream, and lines end in CR LF.
    pub(crate) fn tty(mut self) -> Self {
        self.body.tty = Some(true);
        self
    }

    /// Changes what the host gives: limits, mounts, log driver, network.
    pub(crate) fn host(mut self, change: impl FnOnce(&mut HostConfig)) -> Self {
        change(self.body.host_config.get_or_insert_default());
        self
    }

    /// Creates and starts it.
    ///
    /// # Panics
    /// When the engine will not; with its words.
    pub(crate) async fn start(self, engine: &Docker) -> Container {
        let container = self.create(engine).await;
        container.start().await;
        container
    }

    /// Creates it on an engine of the test's own, whose end is the container's end; gives the id.
    pub(crate) async fn create_on(self, engine: &Docker) -> String {
        let options = CreateContainerOptionsBuilder::new().name(&self.name).build();
        let created = engine.create_container(Some(options), self.body).await;
        created.expect("the engine makes a container").id
    }

    /// Creates it, not yet started.
    ///
    /// # Panics
    /// When the engine will not; with its words.
    pub(crate) async fn create(self, engine: &Docker) -> Container {
        let options = CreateContainerOptionsBuilder::new().name(&self.name).build();
        let created = engine
            .create_container(Some(options), self.body)
            .await
            .unwrap_or_else(|error| panic!("no container ({error}): run scripts/setup test"));
        Container { engine: engine.clone(), id: created.id, name: self.name }
    }
}

/// A container of this test; removed, with its anonymous volumes, together with the value.
#[derive(Debug)]
pub(crate) struct Container {
    engine: Docker,
    /// The full id, 64 hex digits.
    pub(crate) id: String,
    /// Without the leading `/`.
    pub(crate) name: String,
}

impl Container {
    /// Starts it, for the first time or again.
    pub(crate) async fn start(&self) {
        self.engine.start_container(&self.id, None).await.expect("the container starts");
    }

    /// Sends SIGTERM, and SIGKILL after `seconds`.
    pub(crate) async fn stop(&self, seconds: i32) {
        let options = StopContainerOptionsBuilder::new().t(seconds).build();
        self.engine.stop_container(&self.id, Some(options)).await.expect("the container stops");
    }

    /// Stops it at once and starts it again: same id, same log.
    pub(crate) async fn restart(&self) {
        let options = RestartContainerOptionsBuilder::new().t(0).build();
        self.engine.restart_container(&self.id, Some(options)).await.expect("the container restarts");
    }

    /// Sends a signal (`"KILL"`, `"USR1"` …) to its first process.
    pub(crate) async fn signal(&self, signal: &str) {
        let options = KillContainerOptionsBuilder::new().signal(signal).build();
        self.engine.kill_container(&self.id, Some(options)).await.expect("the signal is sent");
    }

    /// Waits for its end; gives the exit code.
    pub(crate) async fn exit_code(&self) -> i64 {
        eventually(&format!("the end of {}", self.name), PATIENCE, async || {
            let state = self.engine.inspect_container(&self.id, None).await.expect("it is there").state?;
            // "created" has the exit code 0 as well.
            let ended =
                state.status.is_some_and(|status| matches!(status.to_string().as_str(), "exited" | "dead"));
            ended.then_some(state.exit_code?)
        })
        .await
    }

    /// What it has written so far: stdout (and a terminal's one stream), stderr.
    pub(crate) async fn output(&self) -> (String, String) {
        output_of(&self.engine, &self.id).await
    }

    /// Waits until either stream contains `text`.
    pub(crate) async fn wait_for_output(&self, text: &str) {
        eventually(&format!("`{text}` from {}", self.name), PATIENCE, async || {
            let (stdout, stderr) = self.output().await;
            (stdout.contains(text) || stderr.contains(text)).then_some(())
        })
        .await;
    }

    /// Whether the engine still knows it.
    pub(crate) async fn exists(&self) -> bool {
        self.engine.inspect_container(&self.id, None).await.is_ok()
    }

    /// Runs a command in it, to its end.
    pub(crate) async fn run(&self, script: &str) {
        let cmd = ["sh", "-c", script].map(str::to_owned).to_vec();
        let options = bollard::models::ExecConfig { cmd: Some(cmd), ..Default::default() };
        let exec = self.engine.create_exec(&self.id, options).await.expect("a command can be made");
        self.engine.start_exec(&exec.id, None).await.expect("a command can be run");
    }

    /// Removes it now, running or not.
    pub(crate) async fn remove(&self) {
        remove(&self.engine, &self.id).await.expect("the container can be removed");
    }
}

impl Drop for Container {
    /// A thread of its own, as the test's runtime may be the one that is ending; a client of its own, as a client is tied to a runtime.
    fn drop(&mut self) {
        let id = self.id.clone();
        let removed = std::thread::spawn(move || {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime can be built")
                .block_on(async { remove(&engine(), &id).await })
        })
        .join();
        let is_removed = matches!(removed, Ok(Ok(())));
        assert!(
            is_removed || std::thread::panicking(),
            "the container {} was left behind: {removed:?}",
            self.name
        );
    }
}

/// What a container has written, as far as the engine has it: stdout (and a terminal's one stream), stderr.
pub(crate) async fn output_of(engine: &Docker, id: &str) -> (String, String) {
    let options = LogsOptionsBuilder::new().stdout(true).stderr(true).build();
    let chunks: Vec<LogOutput> =
        engine.logs(id, Some(options)).try_collect().await.expect("the log can be read");
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    for chunk in chunks {
        match chunk {
            LogOutput::StdErr { message } => stderr.extend_from_slice(&message),
            LogOutput::StdOut { message } | LogOutput::Console { message } | LogOutput::StdIn { message } => {
                stdout.extend_from_slice(&message)
            }
        }
    }
    (String::from_utf8_lossy(&stdout).into_owned(), String::from_utf8_lossy(&stderr).into_owned())
}

/// Removes a container; one that is gone already is fine.
pub(crate) async fn remove(engine: &Docker, id: &str) -> Result<(), bollard::errors::Error> {
    let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
    match engine.remove_container(id, Some(options)).await {
        Err(bollard::errors::Error::DockerResponseServerError { status_code: 404, .. }) => Ok(()),
        result => result,
    }
}
