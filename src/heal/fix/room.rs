//! A sandbox with a tree in it, as a repository of its own: where the agent works, and where a tree is checked.

use std::fs::File;
use std::time::Duration;

use super::project::Runner;
use crate::base::chain::Chain;
use crate::base::shutdown::Shutdown;
use crate::model::stage::Setback;
use crate::repo::Archive;
use crate::sandbox::container::Sandbox;
use crate::sandbox::engine::Engine;
use crate::sandbox::error::SandboxError;
use crate::sandbox::spec::{ExecOutput, ExecRequest, SandboxSpec};

/// The repository inside the container.
pub(super) const ROOT: &str = "/sandbox/repo";

/// A second `.git`, beside the repository, that knows the base: snapshots survive whatever happens to the first one. Nothing that
/// comes from either is trusted outside.
pub(super) const SHADOW: &str = "/sandbox/.homeostat.git";

/// Unpacks the tree from the standard input into `$1`, makes it a repository with one commit, and its shadow. Both share the objects, so
/// that the base stands in the workspace no more than twice.
const FOR_AGENT: &str = r#"
set -e
mkdir -p -- "$1"
cd "$1"
tar -xf -
git init --quiet .
# Files as they are, whatever the repository's attributes say: a snapshot that is brought back must give the same bytes.
mkdir -p .git/info
printf '* !text !crlf !eol !ident !filter !working-tree-encoding !diff !export-ignore !export-subst\n' > .git/info/attributes
git add --all --force .
git commit --quiet --allow-empty --no-verify -m 'The code as it is on the base branch'
git rev-parse HEAD
mkdir "$2"
cp -R .git/HEAD .git/config .git/index .git/refs .git/info "$2"
cp -Rl .git/objects "$2/objects"
printf '%s\n' __pycache__/ '*.pyc' .pytest_cache/ .mypy_cache/ .ruff_cache/ .coverage node_modules/ .gradle/ '*.class' > "$2/info/exclude"
"#;

/// The same for a check, which nobody takes anything out of: a repository that knows the names of its files and not their content.
const FOR_CHECK: &str = r#"
set -e
mkdir -p -- "$1"
cd "$1"
tar -xf -
git init --quiet .
git commit --quiet --allow-empty --no-verify -m 'The code as it is checked'
git add --intent-to-add --all --force .
"#;

/// What a room is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// The agent works in it: its changes can be taken out.
    Agent,
    /// One command is run over the tree.
    Check,
}

/// A container that holds a tree.
#[derive(Debug)]
pub(super) struct Room {
    sandbox: Sandbox,
    /// Id of the one commit inside: the same for the same tree, but none of the repository's own.
    pub(super) commit: String,
}

impl Room {
    /// Starts a sandbox and puts the tree into it. If `stop` is requested meanwhile, nothing is left.
    pub(super) async fn open(
        engine: &Engine,
        spec: &SandboxSpec,
        tree: Archive,
        used_for: Use,
        stop: &Shutdown,
    ) -> Result<Self, Setback> {
        // Not cut off by a stop: nobody would wait for the removal of what the engine has made by then.
        let sandbox = engine.start(spec).await.map_err(setback)?;
        let mut room = Self { sandbox, commit: String::new() };
        let filled = tokio::select! {
            filled = room.fill(tree.into_file(), used_for, &spec.image) => filled,
            () = stop.requested() => Err(Setback::Released),
        };
        match filled {
            Ok(commit) => {
                room.commit = commit;
                Ok(room)
            }
            Err(error) => {
                room.close().await;
                Err(error)
            }
        }
    }

    /// Gives the id of the commit that it makes.
    async fn fill(&self, tar: File, used_for: Use, image: &str) -> Result<String, Setback> {
        let script = match used_for {
            Use::Agent => FOR_AGENT,
            Use::Check => FOR_CHECK,
        };
        let request = ExecRequest {
            env: environment(),
            ..ExecRequest::new(["sh", "-c", script, "fill", ROOT, SHADOW])
        };
        let output = self.sandbox.exec_from(request, tar).await.map_err(setback)?;
        if output.passed() {
            return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
        }
        let said: String = String::from_utf8_lossy(&output.stderr).trim().chars().take(300).collect();
        Err(Setback::Failed {
            reason: format!("the repository cannot be put into a sandbox of the image `{image}`: {said}"),
        })
    }

    /// Runs a command in it.
    pub(super) async fn exec(&self, request: ExecRequest) -> Result<ExecOutput, SandboxError> {
        self.sandbox.exec(ExecRequest { env: environment(), ..request }).await
    }

    /// Runs a command in it whose output, as much as its cap allows, goes to a file.
    pub(super) async fn exec_into(
        &self,
        request: ExecRequest,
        file: File,
    ) -> Result<ExecOutput, SandboxError> {
        self.sandbox.exec_into(ExecRequest { env: environment(), ..request }, file).await
    }

    /// Removes it. What cannot be removed now is removed by the reaper.
    pub(super) async fn close(self) {
        let name = self.sandbox.name().to_owned();
        if let Err(error) = self.sandbox.remove().await {
            tracing::warn!(container = name, error = %Chain(&error), "failed to remove a sandbox");
        }
    }
}

/// Set for whatever runs in a room: what the test runners want, and a git that asks nobody.
fn environment() -> Vec<(String, String)> {
    let git = [
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_AUTHOR_NAME", "homeostat"),
        ("GIT_AUTHOR_EMAIL", "homeostat@localhost"),
        ("GIT_COMMITTER_NAME", "homeostat"),
        ("GIT_COMMITTER_EMAIL", "homeostat@localhost"),
        // The same tree gives the same commit, so that a resumed attempt knows its base.
        ("GIT_AUTHOR_DATE", "2026-01-01T00:00:00Z"),
        ("GIT_COMMITTER_DATE", "2026-01-01T00:00:00Z"),
        ("GIT_TERMINAL_PROMPT", "0"),
        ("GIT_PAGER", "cat"),
        ("PAGER", "cat"),
    ];
    let all = git.into_iter().chain(Runner::ENVIRONMENT.iter().copied());
    all.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// A shell command in a folder of the repository, both outputs as one.
pub(super) fn shell(command: &str, folder: &str, timeout: Duration) -> ExecRequest {
    let script = format!("exec 2>&1\n{command}");
    let workdir = if folder.is_empty() { ROOT.to_owned() } else { format!("{ROOT}/{folder}") };
    ExecRequest { workdir, timeout, ..ExecRequest::new(["sh".to_owned(), "-c".to_owned(), script]) }
}

/// An engine that is away comes back; an image that is missing does not.
pub(super) fn setback(error: SandboxError) -> Setback {
    let reason = Chain(&error).to_string();
    if error.is_transient() { Setback::Retry { reason, after: None } } else { Setback::Failed { reason } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::spec::WORKSPACE;

    #[test]
    fn both_folders_lie_where_the_sandbox_may_write() {
        for folder in [ROOT, SHADOW] {
            assert!(folder.starts_with(&format!("{WORKSPACE}/")), "{folder}");
        }
    }
}
