//! Pushing one commit to one branch, so that running it twice, or half, leaves one branch.

use super::contract::{ForgeError, Push, Pushed};
use super::git::{Git, failure};

/// Where a branch is when nobody else writes to it, plus the times somebody may get in between.
const MAX_LOOKS: u32 = 3;

/// Creates `push.branch` at `url`, or finds that it is ours already. An existing branch is never moved.
pub(super) async fn push_branch(git: Git<'_>, url: &str, push: Push<'_>) -> Result<Pushed, ForgeError> {
    let reference = format!("refs/heads/{}", push.branch);
    for _ in 0..MAX_LOOKS {
        if let Some(head) = look(git, url, push, &reference).await? {
            let is_ours = head == push.commit || holds(git, url, push, &reference, &head).await?;
            return Ok(if is_ours { Pushed::Ours { head } } else { Pushed::Taken });
        }
        if create(git, url, push, &reference).await? {
            return Ok(Pushed::Ours { head: push.commit.to_owned() });
        }
    }
    let stderr = format!("`{}` keeps coming and going", push.branch);
    Err(ForgeError::Away { action: "push the branch", stderr })
}

/// The commit that the branch points to.
async fn look(
    git: Git<'_>,
    url: &str,
    push: Push<'_>,
    reference: &str,
) -> Result<Option<String>, ForgeError> {
    let listed =
        git.run(push.clone, &["ls-remote", "--quiet", url, reference], "look for the branch").await?;
    let mut heads = listed.lines().filter_map(|line| line.split_once('\t'));
    Ok(heads.find(|(_, name)| *name == reference).map(|(head, _)| head.to_owned()))
}

/// Whether the branch was made by an earlier run: the same files, or our commit below what people added.
async fn holds(
    git: Git<'_>,
    url: &str,
    push: Push<'_>,
    reference: &str,
    head: &str,
) -> Result<bool, ForgeError> {
    let fetch = ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", url, reference];
    git.run(push.clone, &fetch, "fetch the branch").await?;
    let tree = async |commit: &str| {
        let tree = format!("{commit}^{{tree}}");
        git.run(push.clone, &["rev-parse", "--verify", "--quiet", &tree], "compare the branch").await
    };
    if tree(head).await? == tree(push.commit).await? {
        return Ok(true);
    }
    let is_below = ["merge-base", "--is-ancestor", push.commit, head];
    git.ask(push.clone, &is_below, "compare the branch").await
}

/// Pushes if the branch does not exist; `false` if somebody made it in between.
async fn create(git: Git<'_>, url: &str, push: Push<'_>, reference: &str) -> Result<bool, ForgeError> {
    let action = "push the branch";
    // An empty expectation is "must not exist": https://git-scm.com/docs/git-push#Documentation/git-push.txt---force-with-lease
    let lease = format!("--force-with-lease={reference}:");
    let refspec = format!("{}:{reference}", push.commit);
    let arguments = ["push", "--quiet", "--porcelain", "--no-verify", &lease, url, &refspec];
    let output = git.output(push.clone, &arguments, action).await?;
    if output.status.success() {
        return Ok(true);
    }
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    let said = String::from_utf8_lossy(&said).to_lowercase();
    let is_late =
        ["stale info", "already exists", "cannot lock ref"].iter().any(|words| said.contains(words));
    if is_late { Ok(false) } else { Err(failure(action, &output)) }
}
