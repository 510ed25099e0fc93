//! The local forge: a bare git repository on this machine.
//!
//! Real, not a stand-in: proposals are branches of the repository and rows of the store, read on the dashboard, and
//! accepting one merges it here. For those without a forge, and for the demo.

use std::path::{Path, PathBuf};

use super::contract::{Forge, ForgeError, Merge, Merged, NewProposal, ProposalRef, Push, Pushed, Settings};
use super::git::{Git, failure};
use super::push::push_branch;
use super::scratch::{Scratch, sweep};
use crate::model::proposal::ProposalState;
use crate::model::service::Repository;

/// How often a merge is tried while others write to the base branch.
const MAX_MERGES: u32 = 5;

/// Repositories given by path.
#[derive(Debug)]
pub struct LocalForge {
    settings: Settings,
    /// Address of the dashboard, without a slash at the end.
    public_url: String,
}

impl LocalForge {
    /// A forge whose proposals are read at `public_url`. Removes what an earlier process left behind.
    pub fn new(settings: Settings, public_url: &str) -> Self {
        let n_removed = sweep(&settings.scratch);
        if n_removed > 0 {
            tracing::info!(n_removed, "removed merges that a killed process left behind");
        }
        Self { settings, public_url: public_url.trim_end_matches('/').to_owned() }
    }

    const fn git(&self) -> Git<'_> {
        Git { timeout: self.settings.git_timeout, credential: None, identity: None }
    }

    /// One try: fetch both branches, merge in memory, push. `None` if the base branch moved in between.
    async fn try_merge(&self, url: &str, merge: Merge<'_>) -> Result<Option<Merged>, ForgeError> {
        let folder = Clone::make(self.git(), &self.settings.scratch, url, merge).await?;
        let head = folder.expect_head(merge).await?;
        let base = folder.commit_of(&merge.proposal.base_branch).await?;
        if folder.is_below(&head, &base).await? {
            return Ok(Some(Merged { commit: base }));
        }
        let commit = if folder.is_below(&base, &head).await? {
            head
        } else {
            folder.merge_commit(&self.settings, merge, &base, &head).await?
        };
        let is_pushed = folder.push(url, &merge.proposal.base_branch, &base, &commit).await?;
        Ok(is_pushed.then_some(Merged { commit }))
    }
}

#[async_trait::async_trait]
impl Forge for LocalForge {
    fn name(&self) -> &'static str {
        "local"
    }

    fn accepts(&self, repository: &Repository) -> bool {
        path_of(&repository.url).is_some()
    }

    async fn push(&self, push: Push<'_>) -> Result<Pushed, ForgeError> {
        push_branch(self.git(), &url_of(push.repository)?, push).await
    }

    /// Nothing to look for: opening makes nothing outside of the store, which keeps one proposal per attempt.
    async fn find(&self, _: &Repository, _: &str) -> Result<Option<ProposalRef>, ForgeError> {
        Ok(None)
    }

    async fn open(&self, proposal: &NewProposal<'_>) -> Result<ProposalRef, ForgeError> {
        Ok(ProposalRef {
            key: proposal.branch.to_owned(),
            url: format!("{}/issues/{}#proposal-{}", self.public_url, proposal.issue, proposal.id),
            is_draft: false,
            state: ProposalState::Open,
        })
    }

    async fn merge(&self, merge: Merge<'_>) -> Result<Merged, ForgeError> {
        let url = url_of(merge.repository)?;
        for _ in 0..MAX_MERGES {
            if let Some(merged) = self.try_merge(&url, merge).await? {
                return Ok(merged);
            }
        }
        let stderr = format!("`{}` moved {MAX_MERGES} times meanwhile", merge.proposal.base_branch);
        Err(ForgeError::Away { action: "merge the proposal", stderr })
    }
}

/// The folder that a local address names: an absolute path or `file://`.
fn path_of(url: &str) -> Option<PathBuf> {
    let path = url.strip_prefix("file://").unwrap_or(url);
    Path::new(path).is_absolute().then(|| PathBuf::from(path))
}

fn url_of(repository: &Repository) -> Result<String, ForgeError> {
    let foreign = || ForgeError::ForeignRepository { forge: "local", url: repository.url.clone() };
    let path = path_of(&repository.url).ok_or_else(foreign)?;
    Ok(format!("file://{}", path.display()))
}

/// A temporary bare clone with the two branches of a merge.
struct Clone<'a> {
    folder: Scratch,
    git: Git<'a>,
}

impl<'a> Clone<'a> {
    async fn make(git: Git<'a>, scratch: &Path, url: &str, merge: Merge<'_>) -> Result<Self, ForgeError> {
        let action = "fetch the branches to merge";
        let folder = Scratch::make(scratch).map_err(|source| ForgeError::Machine { action, source })?;
        let clone = Self { folder, git };
        clone.run(&["init", "--quiet", "--bare"], action).await?;
        let (base, branch) = (&merge.proposal.base_branch, &merge.proposal.branch);
        let refspec = |name: &str| format!("+refs/heads/{name}:refs/heads/{name}");
        clone.run(&["fetch", "--quiet", "--no-tags", url, &refspec(base), &refspec(branch)], action).await?;
        Ok(clone)
    }

    async fn run(&self, arguments: &[&str], action: &'static str) -> Result<String, ForgeError> {
        self.git.run(self.folder.path(), arguments, action).await
    }

    async fn commit_of(&self, branch: &str) -> Result<String, ForgeError> {
        let reference = format!("refs/heads/{branch}^{{commit}}");
        self.run(&["rev-parse", "--verify", "--quiet", &reference], "read a branch").await
    }

    /// The head of the proposal's branch, which people have seen and accepted.
    async fn expect_head(&self, merge: Merge<'_>) -> Result<String, ForgeError> {
        let actual = self.commit_of(&merge.proposal.branch).await?;
        if actual == merge.proposal.head {
            return Ok(actual);
        }
        let (branch, expected) = (merge.proposal.branch.clone(), merge.proposal.head.clone());
        Err(ForgeError::HeadMoved { branch, expected, actual })
    }

    async fn is_below(&self, lower: &str, upper: &str) -> Result<bool, ForgeError> {
        let arguments = ["merge-base", "--is-ancestor", lower, upper];
        self.git.ask(self.folder.path(), &arguments, "compare the branches").await
    }

    /// A commit with both parents, made without a work tree: <https://git-scm.com/docs/git-merge-tree>.
    async fn merge_commit(
        &self,
        settings: &Settings,
        merge: Merge<'_>,
        base: &str,
        head: &str,
    ) -> Result<String, ForgeError> {
        let action = "merge the branches";
        let arguments = ["merge-tree", "--write-tree", "--no-messages", "--name-only", base, head];
        let output = self.git.output(self.folder.path(), &arguments, action).await?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut lines = text.lines();
        let tree = lines.next().unwrap_or_default().to_owned();
        match output.status.code() {
            Some(0) => {}
            Some(1) => {
                let (branch, base) = (merge.proposal.branch.clone(), merge.proposal.base_branch.clone());
                let files = lines.filter(|line| !line.is_empty()).take(20).collect::<Vec<_>>().join(", ");
                return Err(ForgeError::Conflict { branch, base, files });
            }
            _ => return Err(failure(action, &output)),
        }
        let date = merge.at.to_string();
        let identity = Some((settings.committer_name.as_str(), settings.committer_email.as_str(), &date[..]));
        let arguments = ["commit-tree", &tree, "-p", base, "-p", head, "-m", merge.message];
        Git { identity, ..self.git }.run(self.folder.path(), &arguments, action).await
    }

    /// Moves the base branch from where it was seen; `false` if it is not there any more.
    async fn push(&self, url: &str, branch: &str, seen: &str, commit: &str) -> Result<bool, ForgeError> {
        let action = "push the merge";
        let reference = format!("refs/heads/{branch}");
        let lease = format!("--force-with-lease={reference}:{seen}");
        let refspec = format!("{commit}:{reference}");
        let arguments = ["push", "--quiet", "--porcelain", "--no-verify", &lease, url, &refspec];
        let output = self.git.output(self.folder.path(), &arguments, action).await?;
        if output.status.success() {
            return Ok(true);
        }
        let said = [&output.stdout[..], &output.stderr[..]].concat();
        let said = String::from_utf8_lossy(&said).to_lowercase();
        let has_moved = ["stale info", "cannot lock ref"].iter().any(|words| said.contains(words));
        if has_moved { Ok(false) } else { Err(failure(action, &output)) }
    }
}
