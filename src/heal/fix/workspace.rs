//! The agent's workspace: a room, with snapshots that a fresh room can be brought to.

use std::sync::Arc;
use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::room::{ROOT, Room, SHADOW};
use crate::agent::contract::{BoxError, CommandEnd, Workspace, WorkspaceCommand, WorkspaceOutput};
use crate::sandbox::spec::{ExecEnd, ExecRequest};

/// Largest snapshot. Changes beyond it cannot become a patch anyway, so the attempt goes on with the last one that fitted.
const MAX_SNAPSHOT_BYTES: usize = 4 << 20;

/// A snapshot that is not UTF-8 is written in base64 after this.
const ENCODED: &str = "base64:";

/// git on the shadow, with everything off that the repository could have set up inside.
const GIT: &str = r#"git --git-dir="$1" --work-tree="$2" -c core.hooksPath=/dev/null -c core.fsmonitor=false -c core.quotePath=false"#;

/// A snapshot as a diff to be read, where it is one.
pub(super) fn diff_of(snapshot: &str) -> Option<&str> {
    (!snapshot.starts_with(ENCODED)).then_some(snapshot)
}

/// The agent's hands in a room.
#[derive(Debug)]
pub(super) struct RoomWorkspace {
    room: Arc<Room>,
    /// The last snapshot that fitted.
    last: Mutex<String>,
}

impl RoomWorkspace {
    pub(super) fn new(room: Arc<Room>) -> Self {
        Self { room, last: Mutex::default() }
    }

    async fn script(
        &self,
        script: &str,
        stdin: Bytes,
        output_cap: usize,
    ) -> Result<(Vec<u8>, bool), BoxError> {
        let request = ExecRequest {
            stdin,
            output_cap,
            ..ExecRequest::new(["sh", "-c", script, "snapshot", SHADOW, ROOT])
        };
        let output = self.room.exec(request).await?;
        if !output.passed() {
            let said: String = String::from_utf8_lossy(&output.stderr).trim().chars().take(300).collect();
            return Err(format!("git in the sandbox failed: {:?}: {said}", output.end).into());
        }
        Ok((output.stdout, output.n_dropped > 0))
    }
}

#[async_trait::async_trait]
impl Workspace for RoomWorkspace {
    fn root(&self) -> &str {
        ROOT
    }

    async fn run(&self, command: WorkspaceCommand) -> Result<WorkspaceOutput, BoxError> {
        let request = ExecRequest {
            stdin: command.stdin,
            env: Vec::new(),
            workdir: ROOT.to_owned(),
            timeout: command.timeout,
            output_cap: command.output_cap,
            argv: command.argv,
        };
        let output = self.room.exec(request).await?;
        let is_truncated = output.is_truncated();
        let end = match output.end {
            ExecEnd::Exited { code } => CommandEnd::Exited { code },
            ExecEnd::TimedOut => CommandEnd::TimedOut,
            ExecEnd::Flooded => CommandEnd::Flooded,
        };
        Ok(WorkspaceOutput { end, stdout: output.stdout, stderr: output.stderr, is_truncated })
    }

    async fn snapshot(&self) -> Result<String, BoxError> {
        let script = format!(
            "set -e\n{GIT} add --all .\n{GIT} diff --cached --binary --full-index --no-color --no-ext-diff --no-textconv HEAD"
        );
        let (diff, is_cut) = self.script(&script, Bytes::new(), MAX_SNAPSHOT_BYTES).await?;
        let mut last = self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if is_cut {
            tracing::warn!(
                "the changes in a sandbox are too large to be kept, the last ones that fitted stay"
            );
            return Ok(last.clone());
        }
        *last = match String::from_utf8(diff) {
            Ok(text) => text,
            Err(error) => format!("{ENCODED}{}", STANDARD.encode(error.as_bytes())),
        };
        Ok(last.clone())
    }

    async fn restore(&self, snapshot: &str) -> Result<(), BoxError> {
        snapshot.clone_into(&mut self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        if snapshot.is_empty() {
            return Ok(());
        }
        let diff = match snapshot.strip_prefix(ENCODED) {
            Some(encoded) => STANDARD.decode(encoded)?,
            None => snapshot.as_bytes().to_vec(),
        };
        let script = format!("cd \"$2\" && {GIT} apply --whitespace=nowarn -");
        self.script(&script, diff.into(), 1 << 16).await?;
        Ok(())
    }
}
