//! What the evidence says, whatever the agent says.

use super::patch::Finding;
use super::results::compare::Fault;
use super::validate::Evidence;
use crate::model::attempt::Outcome;
use crate::model::proof::Proof;

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) outcome: Outcome,
    /// Why it is not a fix, for people and for the next attempt. Empty for a fix.
    pub(super) reasons: Vec<String>,
    /// Whether another attempt that knows the reasons may do better.
    pub(super) may_retry: bool,
}

/// What was left behind, in short.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts<'a> {
    /// What the agent says.
    pub(super) claim: Outcome,
    pub(super) has_rest: bool,
    /// Whether the commit that logged the error is known and another than the base.
    pub(super) is_running_known: bool,
    pub(super) evidence: Option<&'a Evidence>,
    pub(super) findings: &'a [Finding],
}

/// Judges a claim by the evidence.
pub(super) fn verdict(facts: Facts<'_>) -> Verdict {
    match facts.claim {
        Outcome::Fixed => of_fix(facts),
        Outcome::AlreadyFixed => of_earlier_fix(facts),
        // Said by the agent alone; nothing is changed on its word, a person reads it.
        Outcome::NotReproduced
        | Outcome::Duplicate
        | Outcome::NotACodeBug
        | Outcome::NeedsPerson
        | Outcome::GaveUp => last(facts.claim, "The agent says so; nothing was proven."),
        Outcome::OverBudget => {
            last(Outcome::GaveUp, "The agent ended by itself, for want of budget as it says.")
        }
    }
}

fn of_fix(facts: Facts<'_>) -> Verdict {
    let Some(evidence) = facts.evidence else {
        return if facts.has_rest {
            again(Outcome::NotReproduced, "The change comes without a test that fails before it.")
        } else {
            again(Outcome::GaveUp, "Nothing was changed.")
        };
    };
    let proof = &evidence.validation.proof;
    if proof.before.passed() {
        return match evidence.fails_on_running {
            Some(true) => already_fixed(),
            Some(false) | None => again(
                Outcome::NotReproduced,
                "The new test passes without the change, so it does not show the error.",
            ),
        };
    }
    if !proof.before_matches_issue {
        return again(
            Outcome::NotReproduced,
            "The new test fails without the change, but not with the issue's error: another type, another place, or another message.",
        );
    }
    if !facts.has_rest {
        return again(
            Outcome::GaveUp,
            "A test reproduces the error, but nothing was changed that could fix it.",
        );
    }
    if let Some(reason) = proof_fault(proof, evidence.reverted_matches_issue) {
        return again(Outcome::GaveUp, reason);
    }
    if let Some(verdict) = of_faults(&evidence.faults) {
        return verdict;
    }
    // What the results of single tests do not show, the exit codes may.
    let worse = evidence.validation.checks.iter().find(|check| !check.is_no_worse());
    if let Some(check) = worse {
        let reason = format!("With the change the project's {} fail that passed before it.", check.name);
        return again(Outcome::GaveUp, &reason);
    }
    if facts.findings.is_empty() {
        return Verdict { outcome: Outcome::Fixed, reasons: Vec::new(), may_retry: false };
    }
    let reasons = facts.findings.iter().map(|it| format!("`{}`: {} ({}).", it.place, it.reason, it.rule));
    Verdict { outcome: Outcome::NeedsPerson, reasons: reasons.collect(), may_retry: true }
}

/// What is wrong with a proof that begins well.
fn proof_fault(proof: &Proof, reverted_matches_issue: bool) -> Option<&'static str> {
    if proof.after.is_timed_out {
        return Some("With the change the new test does not end.");
    }
    if !proof.after.passed() {
        return Some("The new test fails with the change too.");
    }
    if !proof.doubts.is_empty() {
        return None;
    }
    if proof.reverted.passed() {
        return Some("The new test passes with the change taken back, so it proves nothing.");
    }
    (!reverted_matches_issue).then_some(
        "With the change taken back the new test fails, but not with the issue's error, so it does not fail reliably.",
    )
}

/// The results of single tests against a change: what is worse is tried again, what cannot be read is a person's.
fn of_faults(faults: &[Fault]) -> Option<Verdict> {
    let reasons: Vec<String> = faults.iter().map(|fault| fault.text().to_owned()).collect();
    let is_worse = faults.iter().any(|fault| matches!(fault, Fault::Worse(_)));
    let outcome = if is_worse { Outcome::GaveUp } else { Outcome::NeedsPerson };
    (!reasons.is_empty()).then_some(Verdict { outcome, reasons, may_retry: true })
}

fn of_earlier_fix(facts: Facts<'_>) -> Verdict {
    let Some(evidence) = facts.evidence else {
        let reason = "The agent says that the base branch is fixed already, but left no test that shows it.";
        return last(Outcome::NeedsPerson, reason);
    };
    if !evidence.validation.proof.before.passed() {
        return again(
            Outcome::GaveUp,
            "It was said to be fixed already, but the new test fails on the base branch.",
        );
    }
    match evidence.fails_on_running {
        Some(true) if !facts.findings.is_empty() => {
            let reasons = facts.findings.iter().map(|it| format!("{}.", it.shown())).collect();
            Verdict { outcome: Outcome::NeedsPerson, reasons, may_retry: false }
        }
        Some(true) => already_fixed(),
        Some(false) => again(
            Outcome::NotReproduced,
            "The new test passes on the base branch, but also on the commit that logged the error, so it does not show it.",
        ),
        None if facts.is_running_known => last(
            Outcome::NeedsPerson,
            "The new test passes on the base branch; it could not be run on the commit that logged the error.",
        ),
        // Any test that passes would do: nothing is closed on the agent's word.
        None => last(
            Outcome::NeedsPerson,
            "The new test passes on the base branch. Which commit logged the error is not known, so it was not shown to fail there.",
        ),
    }
}

fn already_fixed() -> Verdict {
    Verdict {
        outcome: Outcome::AlreadyFixed,
        reasons: vec!["The new test fails with the issue's error on the commit that logged it, and passes on the base branch.".to_owned()],
        may_retry: false,
    }
}

fn again(outcome: Outcome, reason: &str) -> Verdict {
    Verdict { outcome, reasons: vec![reason.to_owned()], may_retry: true }
}

fn last(outcome: Outcome, reason: &str) -> Verdict {
    Verdict { outcome, reasons: vec![reason.to_owned()], may_retry: false }
}

#[cfg(test)]
mod tests;
