//! Every combination of claim and evidence that ends differently.

use std::time::Duration;

use super::*;
use crate::heal::policy::Level;
use crate::model::proof::{CheckRun, ProjectCheck, Validation};

fn run(exit_code: i64) -> CheckRun {
    CheckRun {
        command: "t".to_owned(),
        exit_code,
        is_timed_out: false,
        output: String::new(),
        took: Duration::ZERO,
        tests: None,
    }
}

/// before, whether it matches, after, reverted.
fn evidence(before: i64, matches: bool, after: i64, reverted: i64) -> Evidence {
    let proof = Proof {
        before: run(before),
        before_matches_issue: matches,
        after: run(after),
        reverted: run(reverted),
        doubts: Vec::new(),
    };
    let validation = Validation { proof, checks: Vec::new() };
    Evidence { validation, reverted_matches_issue: reverted != 0, fails_on_running: None, faults: Vec::new() }
}

fn with_checks(baseline: i64, patched: i64) -> Evidence {
    let mut evidence = evidence(1, true, 0, 1);
    let check = ProjectCheck {
        name: "tests".to_owned(),
        baseline: run(baseline),
        patched: run(patched),
        worse: Vec::new(),
        flaky: Vec::new(),
    };
    evidence.validation.checks.push(check);
    evidence
}

fn running(evidence: Evidence, fails_on_running: bool) -> Evidence {
    Evidence { fails_on_running: Some(fails_on_running), ..evidence }
}

fn check(claim: Outcome, has_rest: bool, evidence: Option<Evidence>, expected: (Outcome, bool)) {
    let facts = Facts {
        claim,
        has_rest,
        is_running_known: evidence.as_ref().is_some_and(|it| it.fails_on_running.is_some()),
        evidence: evidence.as_ref(),
        findings: &[],
    };
    let verdict = verdict(facts);
    assert_eq!((verdict.outcome, verdict.may_retry), expected, "{facts:?}");
    assert_eq!(verdict.outcome == Outcome::Fixed, verdict.reasons.is_empty(), "{verdict:?}");
    if let Some(evidence) = evidence {
        let is_fixed = verdict.outcome == Outcome::Fixed;
        assert!(!is_fixed || evidence.validation.holds(), "a fix without a proof: {evidence:?}");
    }
}

#[test]
fn a_fix_needs_the_whole_proof() {
    use Outcome as O;
    let again = |outcome| (outcome, true);
    check(O::Fixed, true, Some(evidence(1, true, 0, 1)), (O::Fixed, false));
    check(O::Fixed, true, Some(with_checks(0, 0)), (O::Fixed, false));
    check(O::Fixed, true, Some(with_checks(1, 1)), (O::Fixed, false));
    check(O::Fixed, true, Some(with_checks(0, 1)), again(O::GaveUp));
    check(O::Fixed, false, None, again(O::GaveUp));
    check(O::Fixed, true, None, again(O::NotReproduced));
    check(O::Fixed, false, Some(evidence(1, true, -1, -1)), again(O::GaveUp));
    check(O::Fixed, true, Some(evidence(0, false, 0, 0)), again(O::NotReproduced));
    check(O::Fixed, true, Some(evidence(1, false, 0, 1)), again(O::NotReproduced));
    check(O::Fixed, true, Some(evidence(1, true, 1, -1)), again(O::GaveUp));
    check(O::Fixed, true, Some(evidence(1, true, 0, 0)), again(O::GaveUp));
    let other_error = Evidence { reverted_matches_issue: false, ..evidence(1, true, 0, 1) };
    check(O::Fixed, true, Some(other_error), again(O::GaveUp));
    check(O::Fixed, true, Some(running(evidence(0, false, -1, -1), true)), (O::AlreadyFixed, false));
    check(O::Fixed, true, Some(running(evidence(0, false, -1, -1), false)), again(O::NotReproduced));
}

#[test]
fn results_of_single_tests_stand_above_exit_codes() {
    use Outcome as O;
    let with = |faults: Vec<Fault>| {
        let mut evidence = evidence(1, true, 0, 1);
        evidence.validation.proof.doubts = faults.iter().map(|it| it.text().to_owned()).collect();
        Evidence { faults, ..evidence }
    };
    let worse = Fault::Worse("`a` is skipped.".to_owned());
    let unreadable = Fault::Unreadable("odd".to_owned());
    check(O::Fixed, true, Some(with(vec![worse.clone()])), (O::GaveUp, true));
    check(O::Fixed, true, Some(with(vec![unreadable.clone()])), (O::NeedsPerson, true));
    check(O::Fixed, true, Some(with(vec![unreadable, worse])), (O::GaveUp, true));
    // A check that fails on base too, and is worse all the same.
    let mut red = with_checks(1, 1);
    red.validation.checks[0].worse = vec!["fail that passed before it: `b`".to_owned()];
    check(O::Fixed, true, Some(red), (O::GaveUp, true));
}

#[test]
fn an_earlier_fix_needs_a_test_that_shows_it() {
    use Outcome as O;
    check(O::AlreadyFixed, false, None, (O::NeedsPerson, false));
    check(O::AlreadyFixed, false, Some(evidence(0, false, -1, -1)), (O::NeedsPerson, false));
    check(O::AlreadyFixed, false, Some(evidence(1, true, -1, -1)), (O::GaveUp, true));
    check(O::AlreadyFixed, false, Some(running(evidence(0, false, -1, -1), true)), (O::AlreadyFixed, false));
    check(O::AlreadyFixed, false, Some(running(evidence(0, false, -1, -1), false)), (O::NotReproduced, true));
}

#[test]
fn other_claims_end_the_job() {
    use Outcome as O;
    for claim in [O::NotReproduced, O::Duplicate, O::NotACodeBug, O::NeedsPerson, O::GaveUp] {
        check(claim, true, Some(evidence(1, true, 0, 1)), (claim, false));
    }
    check(O::OverBudget, true, None, (O::GaveUp, false));
}

#[test]
fn a_finding_takes_the_decision_to_a_person() {
    let finding = Finding {
        level: Level::NeedsPerson,
        rule: "tests.changed",
        place: "tests/test_a.py".to_owned(),
        reason: "it is bent".to_owned(),
    };
    let evidence = evidence(1, true, 0, 1);
    let facts = Facts {
        claim: Outcome::Fixed,
        has_rest: true,
        is_running_known: false,
        evidence: Some(&evidence),
        findings: &[finding],
    };
    assert_eq!(
        verdict(facts),
        Verdict {
            outcome: Outcome::NeedsPerson,
            reasons: vec!["`tests/test_a.py`: it is bent (tests.changed).".to_owned()],
            may_retry: true
        }
    );
}
