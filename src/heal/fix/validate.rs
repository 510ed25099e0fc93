//! The three-way proof and the project's own tests, each run in a clean container.
//!
//! What counts is what the runner says of each test; an exit code alone counts only for commands that never say more.

use std::collections::BTreeSet;

use super::check::{Checked, Checker, in_words, not_run};
use super::export::Export;
use super::ground::Ground;
use super::judge::Suspect;
use super::project::Style;
use super::results::compare::{Fault, flaky, of_all_tests, of_new_tests};
use super::results::{Results, Told};
use crate::model::proof::{ProjectCheck, Proof, Validation};
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
    /// What the results of single tests say against the change; its texts stand in the validation too.
    pub(super) faults: Vec<Fault>,
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
    let command = ground.project.only(&export.plan.test_files, export.style);
    let before = checker.run(clone.archive(&export.tests).await?, &command).await?;
    let before_matches_issue = !before.run.passed() && suspect.is_in(&before.output);
    let said = if before_matches_issue { ", with the issue's error" } else { "" };
    progress.step("validate", &format!("without the change: {}{said}", in_words(&before.run))).await;

    let mut proof = Proof {
        before: before.run,
        before_matches_issue,
        after: not_run(&command),
        reverted: not_run(&command),
        doubts: Vec::new(),
    };
    let mut faults = Vec::new();
    let mut after = None;
    let mut fails_on_running = None;
    if proof.before.passed() {
        fails_on_running = on_running(export, ground, suspect, checker, &command).await?;
    } else if export.plan.has_rest {
        let checked = checker.run(clone.archive(&export.whole).await?, &command).await?;
        proof.after = checked.run.clone();
        progress.step("validate", &format!("with the change: {}", in_words(&proof.after))).await;
        if proof.after.passed() {
            let is_known = export.style != Style::Script && checker.project.runner.forms().is_some();
            faults.extend(doubt(&before.results, &checked, is_known, suspect));
            proof.doubts = faults.iter().map(|it| it.text().to_owned()).collect();
        }
        after = Some(checked);
    }
    let mut checks = Vec::new();
    let mut reverted_matches_issue = false;
    if let Some(after) = after.filter(|after| after.run.passed() && faults.is_empty()) {
        let reverted = clone.patched(&export.whole, &export.rest_patch, Reverse::Yes).await?;
        let reverted = checker.run(clone.archive(&reverted).await?, &command).await?;
        reverted_matches_issue = !reverted.run.passed() && suspect.is_in(&reverted.output);
        proof.reverted = reverted.run;
        let said = if reverted_matches_issue { ", with the issue's error" } else { "" };
        progress
            .step("validate", &format!("with the change taken back: {}{said}", in_words(&proof.reverted)))
            .await;
        (checks, faults) = project_checks(export, ground, checker, progress, after).await?;
    }
    let validation = Validation { proof, checks };
    Ok(Some(Evidence { validation, reverted_matches_issue, fails_on_running, faults }))
}

/// What the run with the change says against it although it ended well. `is_known` as [`of_new_tests`] takes it.
fn doubt(before: &Results, after: &Checked, is_known: bool, suspect: &Suspect) -> Option<Fault> {
    of_new_tests(before, &after.results, is_known).or_else(|| {
        // Nothing else tells of single tests here, so what is printed has to do.
        let is_still_there = after.results == Results::Silent && suspect.is_in(&after.output);
        is_still_there
            .then(|| Fault::Worse("With the change the run still prints the issue's error.".to_owned()))
    })
}

/// The whole of the project's tests, and once more with the tests as they were where the patch changes existing ones.
async fn project_checks(
    export: &Export,
    ground: &Ground,
    checker: &Checker<'_>,
    progress: &dyn Progress,
    after: Checked,
) -> Result<(Vec<ProjectCheck>, Vec<Fault>), Setback> {
    let clone = &export.clone;
    let whole = ground.project.whole();
    let patched = if whole == after.run.command {
        after
    } else {
        checker.run(clone.archive(&export.whole).await?, &whole).await?
    };
    progress.step("validate", &format!("all tests with the change: {}", in_words(&patched.run))).await;
    let mut comparison = Comparison { ground, checker, again: None };
    let mut faults = Vec::new();
    let mut checks = vec![comparison.of("tests", patched, clone, &mut faults).await?];
    let changes_tests = export
        .patch
        .files
        .iter()
        .any(|file| file.change != Change::Added && export.plan.test_files.contains(&file.path));
    if changes_tests {
        // A patch of the rest that does not fit without the tests says nothing about them.
        if let Ok(rest_only) = clone.patched(&clone.base_tree(), &export.rest_patch, Reverse::No).await {
            let patched = checker.run(clone.archive(&rest_only).await?, &whole).await?;
            let said = in_words(&patched.run);
            progress.step("validate", &format!("the older tests as they were: {said}")).await;
            checks.push(comparison.of("tests as they were before", patched, clone, &mut faults).await?);
        }
    }
    Ok((checks, faults))
}

/// Holds runs of all tests against the one on base, which is repeated once where something seems worse: what ends otherwise then is
/// flaky, and counts neither way.
struct Comparison<'a> {
    ground: &'a Ground,
    checker: &'a Checker<'a>,
    /// The repeated run on base.
    again: Option<Checked>,
}

impl Comparison<'_> {
    async fn of(
        &mut self,
        name: &str,
        patched: Checked,
        clone: &WorkTree,
        faults: &mut Vec<Fault>,
    ) -> Result<ProjectCheck, Setback> {
        let baseline = &self.ground.baseline;
        let is_known = self.checker.project.runner.forms().is_some();
        let compare = |base: &Results, flaky: &BTreeSet<String>| {
            let patched = (&patched.results, patched.run.exit_code);
            of_all_tests((base, baseline.run.exit_code), patched, flaky, is_known)
        };
        let mut unstable = BTreeSet::new();
        let mut found = compare(&baseline.results, &unstable);
        if !found.is_empty() && matches!(&baseline.results, Results::Told(Told { .. })) {
            if self.again.is_none() {
                let tree = clone.archive(&clone.base_tree()).await?;
                self.again = Some(self.checker.run(tree, &baseline.run.command).await?);
            }
            if let Some(again) = &self.again {
                unstable = flaky(&baseline.results, &again.results);
                found = compare(&baseline.results, &unstable);
            }
        }
        let worse = found.iter().map(|it| it.text().to_owned()).collect();
        faults.extend(found.into_iter().map(|fault| fault.about(name)));
        Ok(ProjectCheck {
            name: name.to_owned(),
            baseline: baseline.run.clone(),
            patched: patched.run,
            worse,
            flaky: unstable.into_iter().collect(),
        })
    }
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
    let Checked { run, output, .. } = checker.run(clone.archive(&with_tests).await?, command).await?;
    Ok(Some(!run.passed() && suspect.is_in(&output)))
}
