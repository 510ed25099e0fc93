//! From a hostile work folder to a patch, made by the host's git against the base commit, in its two halves.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;

use super::parts::FixParts;
use super::patch::{Finding, Look, Plan, examine, is_test_path, plan};
use super::project::{Style, is_python_test};
use super::subject::Subject;
use crate::base::chain::Chain;
use crate::model::stage::Setback;
use crate::repo::patch::{Change, FilePatch, Patch};
use crate::repo::{CommitId, Mirror, RepoError, TreeId, WorkTree};

/// What the agent left behind.
#[derive(Debug)]
pub(super) struct Export {
    /// A clone of its own that knows the trees.
    pub(super) clone: WorkTree,
    pub(super) patch: Patch,
    pub(super) plan: Plan,
    pub(super) findings: Vec<Finding>,
    /// Of its tests.
    pub(super) style: Style,
    /// base + T.
    pub(super) tests: TreeId,
    /// base + T + S.
    pub(super) whole: TreeId,
    /// T and S as patches, S on top of T.
    pub(super) tests_patch: String,
    pub(super) rest_patch: String,
}

/// Takes in `tar`. What is wrong with it is a value: the attempt ends with those words.
pub(super) async fn export(
    parts: &FixParts,
    mirror: &Mirror,
    base: &CommitId,
    subject: &Subject,
    tar: File,
) -> Result<Result<Export, String>, Setback> {
    let clone = mirror.checkout(base).await?;
    let taken = match clone.replace_with(BufReader::new(tar), parts.settings.export.clone()).await {
        Ok(taken) => taken,
        Err(error) => return fault(error),
    };
    let whole = clone.stage().await?;
    let text = match clone.diff_trees(&clone.base_tree(), &whole).await {
        Ok(text) => text,
        Err(error) => return fault(error),
    };
    if text.len() > parts.settings.max_patch_bytes {
        return Ok(Err(format!("the changes are {} bytes, too many to be kept", text.len())));
    }
    let patch = match Patch::parse(&text) {
        Ok(patch) => patch,
        Err(error) => return Ok(Err(Chain(&error).to_string())),
    };
    let before = texts(&clone, &clone.base_tree(), &patch).await?;
    let after = texts(&clone, &whole, &patch).await?;
    let plan = plan(&patch, |path| before.get(path).cloned(), |path| after.get(path).cloned());
    let tests = clone.compose(&clone.base_tree(), &whole, plan.steps.clone()).await?;
    let tests_patch = clone.diff_trees(&clone.base_tree(), &tests).await?;
    let rest_patch = clone.diff_trees(&tests, &whole).await?;
    let look = Look {
        left_out: &taken.refused,
        record: subject.record.as_str(),
        has_frames: !subject.frames.is_empty(),
        levels: &parts.settings.levels,
    };
    let in_python = plan.test_files.iter().filter(|path| is_python_test(path));
    let style = Style::of(in_python.filter_map(|path| after.get(path)).map(String::as_str));
    let findings = examine(&patch, look, |path| after.get(path).cloned());
    Ok(Ok(Export { clone, patch, plan, findings, style, tests, whole, tests_patch, rest_patch }))
}

/// A tree that breaks the rules is the agent's doing; a disk that is full is not.
fn fault(error: RepoError) -> Result<Result<Export, String>, Setback> {
    if matches!(error, RepoError::TooLarge { .. } | RepoError::NotText) {
        Ok(Err(error.to_string()))
    } else {
        Err(error.into())
    }
}

/// Texts of what holds tests: Rust sources may have them beside other code.
async fn texts(clone: &WorkTree, tree: &TreeId, patch: &Patch) -> Result<BTreeMap<String, String>, Setback> {
    let mut texts = BTreeMap::new();
    let wanted = |file: &&FilePatch| {
        file.change != Change::Deleted
            && !file.is_binary
            && (file.path.ends_with(".rs") || is_test_path(&file.path))
    };
    for file in patch.files.iter().filter(wanted) {
        if let Some(content) = clone.read(tree, &file.path).await? {
            texts.insert(file.path.clone(), String::from_utf8_lossy(&content).into_owned());
        }
    }
    Ok(texts)
}
