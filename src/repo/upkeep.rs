//! Keeps a mirror from growing for ever: every fetch leaves a pack or loose objects, and branches that are rewritten leave commits that
//! nothing leads to.

use std::path::Path;

use super::error::RepoError;
use super::git::Git;

/// Commits that nothing leads to stay so long: an attempt at one of them is over by then, and it can be fetched again.
const GRACE: &str = "--prune=2.weeks.ago";

/// Packs what fetches left behind, if it is much. The caller holds the mirror's lock.
pub(super) async fn tidy(git: &Git, folder: &Path) -> Result<(), RepoError> {
    let counted =
        git.call("count the objects of a mirror").within(folder).args(["count-objects", "-v"]).text().await?;
    let number = |name: &str| {
        let value = counted.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        value.and_then(|value| value.parse::<u64>().ok()).unwrap_or(0)
    };
    let settings = &git.settings;
    if number("packs") <= settings.max_packs && number("count") <= settings.max_loose_objects {
        return Ok(());
    }
    let call = git.call("pack a mirror").within(folder).timeout(settings.fetch_timeout);
    call.args(["gc", "--quiet", GRACE]).output().await?;
    Ok(())
}
