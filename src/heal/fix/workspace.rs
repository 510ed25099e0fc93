//! The agent's workspace: a room, with snapshots that a fresh room can be brought to.
//!
//! Whatever is done to the room or to what keeps the snapshots in it harms the changes since the last snapshot and nothing else: a fresh
//! room takes its place, with all that was kept.

use std::fs::File;
use std::io::Seek as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use tokio::sync::{Mutex, MutexGuard};

use super::room::{ROOT, Room, SHADOW, Use};
use crate::agent::contract::{BoxError, CommandEnd, Snapshot, Workspace, WorkspaceCommand, WorkspaceOutput};
use crate::base::clock::SharedClock;
use crate::base::shutdown::Shutdown;
use crate::model::stage::Setback;
use crate::repo::{CommitId, Mirror};
use crate::sandbox::engine::Engine;
use crate::sandbox::error::SandboxError;
use crate::sandbox::spec::{ExecEnd, ExecOutput, ExecRequest, SandboxSpec};

/// Largest snapshot. Changes beyond it cannot become a patch anyway.
const MAX_SNAPSHOT_BYTES: usize = 4 << 20;

/// A snapshot that is not UTF-8 is written in base64 after this.
const ENCODED: &str = "base64:";

/// git on the shadow, with everything off that the repository could have set up inside.
const GIT: &str = r#"git --git-dir="$1" --work-tree="$2" -c core.hooksPath=/dev/null -c core.fsmonitor=false -c core.quotePath=false"#;

/// A snapshot as a diff to be read, where it is one.
pub(super) fn diff_of(snapshot: &str) -> Option<&str> {
    (!snapshot.starts_with(ENCODED)).then_some(snapshot)
}

/// What rooms of one attempt are made of, the first and those that take a lost one's place.
#[derive(Debug)]
pub(super) struct Builder {
    pub(super) engine: Engine,
    /// Its deadline is set anew for each room.
    pub(super) spec: SandboxSpec,
    /// How long a room may be used.
    pub(super) lifetime: Duration,
    pub(super) mirror: Mirror,
    pub(super) base: CommitId,
    pub(super) clock: SharedClock,
    pub(super) stop: Shutdown,
}

impl Builder {
    async fn build(&self) -> Result<Room, Setback> {
        let tree = self.mirror.archive(&self.base).await?;
        let spec = SandboxSpec { deadline: self.clock.now() + self.lifetime, ..self.spec.clone() };
        Room::open(&self.engine, &spec, tree, Use::Agent, &self.stop).await
    }
}

/// The agent's hands in a room.
#[derive(Debug)]
pub(super) struct RoomWorkspace {
    builder: Builder,
    /// Id of the one commit inside, of every room.
    pub(super) commit: String,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// `None` after a fresh one could not be made.
    room: Option<Room>,
    /// The last snapshot.
    last: String,
}

/// A script in the room that did not do what it is for.
#[derive(Debug)]
enum Trouble {
    /// The room, or what is in it, is not as it must be.
    Room(String),
    /// Anything else.
    Other(BoxError),
}

impl RoomWorkspace {
    /// Opens the first room.
    pub(super) async fn open(builder: Builder) -> Result<Self, Setback> {
        let room = builder.build().await?;
        let commit = room.commit.clone();
        Ok(Self { builder, commit, inner: Mutex::new(Inner { room: Some(room), last: String::new() }) })
    }

    /// Everything in its repository that git tracks or would, as a hostile tar: no build output, nothing of `.git`. The inner error
    /// is a tree that cannot be taken out.
    pub(super) async fn take_out(&self, max_bytes: usize) -> Result<Result<File, String>, Setback> {
        let mut inner = self.inner.lock().await;
        let script = format!(
            "set -e\n{GIT} add --all .\ntree=$({GIT} write-tree)\n{GIT} archive --format=tar \"$tree\""
        );
        let mut first = None;
        loop {
            let mut tar = tempfile::tempfile().map_err(no_file)?;
            let output = tar.try_clone().map_err(no_file)?;
            let why = match self.script_into(&mut inner, &script, max_bytes, output).await {
                Ok((_, true)) => return Ok(Err(format!("it is larger than {max_bytes} bytes"))),
                Ok((_, false)) => {
                    tar.rewind().map_err(no_file)?;
                    return Ok(Ok(tar));
                }
                Err(Trouble::Room(why)) => why,
                Err(Trouble::Other(error)) => {
                    return Err(Setback::Retry { reason: error.to_string(), after: None });
                }
            };
            if first.is_some() {
                return Ok(Err(why));
            }
            first = Some(why);
            // What was kept with the last tool run is taken out of a fresh one.
            self.renew(&mut inner).await?;
        }
    }

    /// Removes the room.
    pub(super) async fn close(&self) {
        if let Some(room) = self.inner.lock().await.room.take() {
            room.close().await;
        }
    }

    /// Puts a fresh room, with the changes of the last snapshot, in the place of whatever there is.
    async fn renew(&self, inner: &mut Inner) -> Result<(), Setback> {
        if let Some(room) = inner.room.take() {
            room.close().await;
        }
        inner.room = Some(self.builder.build().await?);
        self.apply(inner).await.map_err(|trouble| match trouble {
            Trouble::Room(reason) => Setback::Retry { reason, after: None },
            Trouble::Other(error) => Setback::Retry { reason: error.to_string(), after: None },
        })
    }

    /// Runs a command in the room; one that was taken away from outside before is renewed first.
    async fn exec(&self, inner: &mut Inner, request: ExecRequest) -> Result<ExecOutput, BoxError> {
        if let Some(room) = &inner.room {
            match room.exec(request.clone()).await {
                Err(SandboxError::Lost { .. }) => {}
                ran => return Ok(ran?),
            }
        }
        self.renew(inner).await.map_err(as_error)?;
        let room = inner.room.as_ref().ok_or("the sandbox is gone")?;
        Ok(room.exec(request).await?)
    }

    /// Runs a script of ours over the shadow; gives its output and whether some of it is missing.
    async fn script(
        &self,
        inner: &mut Inner,
        script: &str,
        stdin: Bytes,
        output_cap: usize,
    ) -> Result<(Vec<u8>, bool), Trouble> {
        let request = ExecRequest {
            stdin,
            output_cap,
            ..ExecRequest::new(["sh", "-c", script, "snapshot", SHADOW, ROOT])
        };
        let Some(room) = &inner.room else { return Err(Trouble::Room("the sandbox is gone".to_owned())) };
        judged(room.exec(request).await)
    }

    /// The same with its output in a file.
    async fn script_into(
        &self,
        inner: &mut Inner,
        script: &str,
        output_cap: usize,
        file: File,
    ) -> Result<(Vec<u8>, bool), Trouble> {
        let request =
            ExecRequest { output_cap, ..ExecRequest::new(["sh", "-c", script, "snapshot", SHADOW, ROOT]) };
        let Some(room) = &inner.room else { return Err(Trouble::Room("the sandbox is gone".to_owned())) };
        judged(room.exec_into(request, file).await)
    }

    /// Applies the last snapshot to a room at the base commit.
    async fn apply(&self, inner: &mut Inner) -> Result<(), Trouble> {
        if inner.last.is_empty() {
            return Ok(());
        }
        let diff = match inner.last.strip_prefix(ENCODED) {
            Some(encoded) => STANDARD.decode(encoded).map_err(|error| Trouble::Other(error.into()))?,
            None => inner.last.as_bytes().to_vec(),
        };
        let script = format!("cd \"$2\" && {GIT} apply --whitespace=nowarn -");
        self.script(inner, &script, diff.into(), 1 << 16).await?;
        Ok(())
    }

    async fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().await
    }
}

fn no_file(error: std::io::Error) -> Setback {
    Setback::Retry { reason: format!("failed to keep what an agent has changed: {error}"), after: None }
}

/// Its output and whether some of it is missing, of a script that did what it is for.
fn judged(ran: Result<ExecOutput, SandboxError>) -> Result<(Vec<u8>, bool), Trouble> {
    let output = match ran {
        Ok(output) => output,
        Err(error @ SandboxError::Lost { .. }) => return Err(Trouble::Room(error.to_string())),
        Err(error) => return Err(Trouble::Other(error.into())),
    };
    if output.passed() {
        return Ok((output.stdout, output.n_dropped > 0));
    }
    let said: String = String::from_utf8_lossy(&output.stderr).trim().chars().take(300).collect();
    Err(Trouble::Room(match output.end {
        ExecEnd::Exited { code } => format!("git in the sandbox ended with code {code}: {said}"),
        ExecEnd::TimedOut => "git in the sandbox did not come to an end".to_owned(),
        ExecEnd::Flooded => "they are far too large".to_owned(),
        ExecEnd::EndedSandbox => "the sandbox came to an end".to_owned(),
    }))
}

#[async_trait::async_trait]
impl Workspace for RoomWorkspace {
    fn root(&self) -> &str {
        ROOT
    }

    async fn run(&self, command: WorkspaceCommand) -> Result<WorkspaceOutput, BoxError> {
        let mut inner = self.lock().await;
        let request = ExecRequest {
            stdin: command.stdin,
            env: Vec::new(),
            workdir: ROOT.to_owned(),
            timeout: command.timeout,
            output_cap: command.output_cap,
            argv: command.argv,
        };
        let output = self.exec(&mut inner, request).await?;
        let is_truncated = output.is_truncated();
        let end = match output.end {
            ExecEnd::Exited { code } => CommandEnd::Exited { code },
            ExecEnd::TimedOut => CommandEnd::TimedOut,
            ExecEnd::Flooded => CommandEnd::Flooded,
            ExecEnd::EndedSandbox => {
                self.renew(&mut inner).await.map_err(as_error)?;
                CommandEnd::EndedWorkspace
            }
        };
        Ok(WorkspaceOutput { end, stdout: output.stdout, stderr: output.stderr, is_truncated })
    }

    async fn snapshot(&self) -> Result<Snapshot, BoxError> {
        let mut inner = self.lock().await;
        let script = format!(
            "set -e\n{GIT} add --all .\n{GIT} diff --cached --binary --full-index --no-color --no-ext-diff --no-textconv HEAD"
        );
        let why = match self.script(&mut inner, &script, Bytes::new(), MAX_SNAPSHOT_BYTES).await {
            Ok((diff, false)) => {
                inner.last = match String::from_utf8(diff) {
                    Ok(text) => text,
                    Err(error) => format!("{ENCODED}{}", STANDARD.encode(error.as_bytes())),
                };
                return Ok(Snapshot::Kept(inner.last.clone()));
            }
            Ok((_, true)) => format!(
                "all changes together are a diff of more than {} MiB; put what is not part of the fix into /tmp",
                MAX_SNAPSHOT_BYTES >> 20
            ),
            Err(Trouble::Room(why)) => why,
            Err(Trouble::Other(error)) => return Err(error),
        };
        self.renew(&mut inner).await.map_err(as_error)?;
        Ok(Snapshot::TakenBack { why })
    }

    async fn restore(&self, snapshot: &str) -> Result<(), BoxError> {
        let mut inner = self.lock().await;
        snapshot.clone_into(&mut inner.last);
        self.apply(&mut inner).await.map_err(|trouble| match trouble {
            Trouble::Room(why) => why.into(),
            Trouble::Other(error) => error,
        })
    }
}

/// A setback as the agent sees it: it cannot go on here and now.
fn as_error(setback: Setback) -> BoxError {
    match setback {
        Setback::Retry { reason, .. } | Setback::Failed { reason } | Setback::Postponed { reason, .. } => {
            reason.into()
        }
        Setback::Released => "a stop was requested".into(),
    }
}
