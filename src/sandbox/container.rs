//! One running sandbox: commands in, files in and out, removed at the end.

use std::fs::File;
use std::time::Duration;

use bollard::Docker;
use bollard::errors::Error;
use bytes::Bytes;
use tokio::sync::Mutex;
use tracing::{debug, warn};

use super::engine::{is_not_found, remove};
use super::error::SandboxError;
use super::exec::{self, ExecFailure, Streams};
use super::spec::{ExecEnd, ExecOutput, ExecRequest, WORKSPACE};
use super::sweep;
use crate::base::chain::Chain;

/// Longest wait for the removal of a sandbox that was dropped.
const DROP_PATIENCE: Duration = Duration::from_secs(10);

/// A running sandbox. Remove it with [`Sandbox::remove`]; one that is dropped is removed, too, but its caller's thread waits.
#[derive(Debug)]
pub struct Sandbox {
    docker: Docker,
    id: String,
    name: String,
    /// Held while a command runs. Whether one was begun whose end was not seen, so that it may still run.
    is_dirty: Mutex<bool>,
    is_removed: bool,
}

impl Sandbox {
    pub(super) fn new(docker: Docker, id: String, name: String) -> Self {
        Self { docker, id, name, is_dirty: Mutex::new(false), is_removed: false }
    }

    /// The engine's id of the container, 64 hex digits.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The container's name, for people.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs one command; a second one waits for its end. Afterwards none of its processes is left, nor if this future is dropped and
    /// another command follows. One that ends the sandbox itself is a value, too: every later command is then [`SandboxError::Lost`].
    pub async fn exec(&self, request: ExecRequest) -> Result<ExecOutput, SandboxError> {
        self.exec_with(request, Streams::default()).await
    }

    /// The same with the rest of `input` as its standard input, after the request's own.
    pub async fn exec_from(&self, request: ExecRequest, input: File) -> Result<ExecOutput, SandboxError> {
        self.exec_with(request, Streams { input: Some(input), output: None }).await
    }

    /// The same with its standard output in a file, as much as the request's cap allows; what is more is counted as dropped.
    pub async fn exec_into(&self, request: ExecRequest, output: File) -> Result<ExecOutput, SandboxError> {
        self.exec_with(request, Streams { input: None, output: Some(output) }).await
    }

    async fn exec_with(&self, request: ExecRequest, streams: Streams) -> Result<ExecOutput, SandboxError> {
        let mut is_dirty = self.is_dirty.lock().await;
        if *is_dirty {
            self.sweep("run a command in").await?;
        }
        *is_dirty = true;
        match exec::exec(&self.docker, &self.id, request, streams).await {
            Ok(output) if output.end == ExecEnd::EndedSandbox => {
                self.discard().await;
                Ok(output)
            }
            Ok(output) => {
                *is_dirty = false;
                Ok(output)
            }
            Err(ExecFailure::Unswept) => Err(self.lost("run a command in").await),
            Err(ExecFailure::Engine(source)) => Err(self.failed("run a command in", source).await),
        }
    }

    /// Unpacks a tar archive into `folder` (absolute; made if it is not there), as the sandbox's user.
    pub async fn upload(&self, folder: &str, tar: Bytes) -> Result<(), SandboxError> {
        let script = r#"mkdir -p -- "$1" && exec tar -xf - -C "$1""#;
        let request = ExecRequest { stdin: tar, ..ExecRequest::new(["sh", "-c", script, "upload", folder]) };
        let output = self.exec(request).await?;
        if output.passed() { Ok(()) } else { Err(self.transfer("upload files to", &output)) }
    }

    /// Packs `folder` (absolute) into a tar archive of at most `max_bytes`. The archive was made inside the sandbox: every name,
    /// link and mode in it is hostile.
    pub async fn download(&self, folder: &str, max_bytes: usize) -> Result<Vec<u8>, SandboxError> {
        let argv = ["tar", "-cf", "-", "-C", folder, "."];
        // Both halves together hold all that is allowed; one byte more and the archive has a hole.
        let request =
            ExecRequest { output_cap: max_bytes, workdir: WORKSPACE.to_owned(), ..ExecRequest::new(argv) };
        let output = self.exec(request).await?;
        if output.is_truncated() {
            let message = format!("`{folder}` is larger than {max_bytes} bytes");
            return Err(SandboxError::Transfer {
                action: "download files from",
                name: self.name.clone(),
                message,
            });
        }
        if output.passed() { Ok(output.stdout) } else { Err(self.transfer("download files from", &output)) }
    }

    /// Kills everything in it and removes it with all its files.
    pub async fn remove(mut self) -> Result<(), SandboxError> {
        let removed = remove(&self.docker, &self.id).await;
        self.is_removed = removed.is_ok();
        removed.map_err(|source| SandboxError::Engine { action: "remove", name: self.name.clone(), source })
    }

    pub(super) async fn sweep(&self, action: &'static str) -> Result<(), SandboxError> {
        if sweep::sweep(&self.docker, &self.id).await { Ok(()) } else { Err(self.lost(action).await) }
    }

    /// A container that cannot be swept may still run what it should not: it is removed at once.
    async fn lost(&self, action: &'static str) -> SandboxError {
        self.discard().await;
        SandboxError::Lost { action, name: self.name.clone() }
    }

    async fn discard(&self) {
        if let Err(error) = remove(&self.docker, &self.id).await {
            warn!(container = self.name, error = %Chain(&error), "failed to remove a lost sandbox");
        }
    }

    async fn failed(&self, action: &'static str, source: Error) -> SandboxError {
        // 409: the container is not running.
        let is_gone = is_not_found(&source)
            || matches!(source, Error::DockerResponseServerError { status_code: 409, .. });
        if is_gone {
            return self.lost(action).await;
        }
        SandboxError::Engine { action, name: self.name.clone(), source }
    }

    fn transfer(&self, action: &'static str, output: &ExecOutput) -> SandboxError {
        let message = String::from_utf8_lossy(&output.stderr);
        let message = format!("{:?}: {}", output.end, message.trim());
        SandboxError::Transfer { action, name: self.name.clone(), message }
    }
}

impl Drop for Sandbox {
    /// Waits for the removal, on a thread of its own: the runtime may be the one that is ending, and what is left to a task of it
    /// would stay behind. It takes a fraction of a second, and only where a caller went away.
    fn drop(&mut self) {
        if self.is_removed {
            return;
        }
        let (docker, id) = (self.docker.clone(), self.id.clone());
        let removal = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
            let removal = async { tokio::time::timeout(DROP_PATIENCE, remove(&docker, &id)).await };
            runtime.block_on(removal).ok()?.ok()
        });
        let is_removed = matches!(removal.join(), Ok(Some(())));
        if is_removed {
            debug!(container = self.name, "removed a sandbox that was dropped");
        } else {
            warn!(
                container = self.name,
                "failed to remove a sandbox that was dropped; the next start reaps it"
            );
        }
    }
}
