//! The three-way proof and the project's own tests, each run in a clean container.

use super::check::{Checked, Checker, in_words, not_run};
use super::export::Export;
use super::ground::Ground;
use super::judge::Suspect;
use crate::model::proof::{CheckRun, ProjectCheck, Proof, Validation};
use crate::model::stage::{Progress, Setback};
use crate::repo::patch::Change;
use crate::repo::{Reverse, WorkTree};

/// What the runs showed.
#[derive(Debug)]
pub(super) struct Evidence {
    pub(super) validation: Validation,
    /// Whether the tests fail with the issue's error again once the change is taken back.
    pub(super) reverted_matches_issue: bool,
    /// Whether the tests fail with the issue's error on the commit that logged it; asked only where they pass on the base commit.
    pub(super) fails_on_running: Option<bool>,
}

/// Runs what is needed to judge the export. `None` without any test: there is nothing to run.
pub(super) async fn validate(
    export: &Export,
    ground: &Ground,
    suspect: &Suspect,
    checker: &Checker<'_>,
    progress: &dyn Progress,
) -> Result<Option<Evidence>, Setback> {
    if export.plan.test_files.is_empty() {
        return Ok(None);
    }
    let clone = &export.clone;
    let command = ground.project.only(&export.plan.test_files);
    let before = checker.run(clone.archive(&export.tests).await?, &command).await?;
    let before_matches_issue = !before.run.passed() && suspect.is_in(&before.output);
    let said = if before_matches_issue { ", with the issue's error" } else { "" };
    progress.step("validate", &format!("without the change: {}{said}", in_words(&before.run))).await;

    let mut proof = Proof {
        before: before.run,
        before_matches_issue,
        after: not_run(&command),
        reverted: not_run(&command),
    };
    let mut fails_on_running = None;
    if proof.before.passed() {
        fails_on_running = on_running(export, ground, suspect, checker, &command).await?;
    } else if export.plan.has_rest {
        proof.after = checker.run(clone.archive(&export.whole).await?, &command).await?.run;
        progress.step("validate", &format!("with the change: {}", in_words(&proof.after))).await;
    }
    let mut checks = Vec::new();
    let mut reverted_matches_issue = false;
    if proof.after.passed() {
        let reverted = clone.patched(&export.whole, &export.rest_patch, Reverse::Yes).await?;
        let reverted = checker.run(clone.archive(&reverted).await?, &command).await?;
        reverted_matches_issue = !reverted.run.passed() && suspect.is_in(&reverted.output);
        proof.reverted = reverted.run;
        let said = if reverted_matches_issue { ", with the issue's error" } else { "" };
        progress
            .step("validate", &format!("with the change taken back: {}{said}", in_words(&proof.reverted)))
            .await;
        checks = project_checks(export, ground, checker, progress, &proof.after).await?;
    }
    let validation = Validation { proof, checks };
    Ok(Some(Evidence { validation, reverted_matches_issue, fails_on_running }))
}

/// The whole of the project's tests, and once more with the tests as they were where the patch changes existing ones.
async fn project_checks(
    export: &Export,
    ground: &Ground,
    checker: &Checker<'_>,
    progress: &dyn Progress,
    after: &CheckRun,
) -> Result<Vec<ProjectCheck>, Setback> {
    let clone = &export.clone;
    let whole = ground.project.whole();
    let patched = if whole == after.command {
        after.clone()
    } else {
        checker.run(clone.archive(&export.whole).await?, &whole).await?.run
    };
    progress.step("validate", &format!("all tests with the change: {}", in_words(&patched))).await;
    let mut checks =
        vec![ProjectCheck { name: "tests".to_owned(), baseline: ground.baseline.clone(), patched }];
    let changes_tests = export
        .patch
        .files
        .iter()
        .any(|file| file.change != Change::Added && export.plan.test_files.contains(&file.path));
    if changes_tests {
        // A patch of the rest that does not fit without the tests says nothing about them.
        if let Ok(rest_only) = clone.patched(&clone.base_tree(), &export.rest_patch, Reverse::No).await {
            let Checked { run: patched, .. } = checker.run(clone.archive(&rest_only).await?, &whole).await?;
            progress.step("validate", &format!("the older tests as they were: {}", in_words(&patched))).await;
            let name = "tests as they were before".to_owned();
            checks.push(ProjectCheck { name, baseline: ground.baseline.clone(), patched });
        }
    }
    Ok(checks)
}

/// Runs the tests on the commit that logged the error; `None` where it is not known, is the base itself, or does not take the tests.
async fn on_running(
    export: &Export,
    ground: &Ground,
    suspect: &Suspect,
    checker: &Checker<'_>,
    command: &str,
) -> Result<Option<bool>, Setback> {
    let Some(running) = &ground.running else { return Ok(None) };
    let clone = &export.clone;
    let tree = WorkTree::tree_of(running);
    let Ok(with_tests) = clone.patched(&tree, &export.tests_patch, Reverse::No).await else {
        return Ok(None);
    };
    let Checked { run, output } = checker.run(clone.archive(&with_tests).await?, command).await?;
    Ok(Some(!run.passed() && suspect.is_in(&output)))
}
