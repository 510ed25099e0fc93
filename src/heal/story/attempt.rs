//! The comment that tells how an attempt ended, honestly.

use super::evidence;
use super::marker;
use crate::base::markdown::{code, prose};
use crate::model::attempt::{Attempt, Outcome};
use crate::model::proposal::Proposal;

/// Longest report of the agent shown, in bytes.
pub const MAX_REPORT_BYTES: usize = 12_000;
/// Longest reason shown, in bytes.
const MAX_REASON_BYTES: usize = 2_000;
/// Longest diff shown, in bytes.
const MAX_DIFF_BYTES: usize = 24_000;

/// Marker and body of the comment. With a proposal it points there; without one it keeps what was paid for: the
/// reasons and the diff. `stuck` is why a fix could not be proposed, or why an attempt could not come to its end.
/// `whole` is where its diff can be had whole.
pub fn comment(
    attempt: &Attempt,
    proposal: Option<&Proposal>,
    stuck: Option<&str>,
    whole: &str,
) -> (String, String) {
    let stand = match (proposal, attempt.outcome) {
        (Some(_), _) => "proposed",
        (None, Some(outcome)) => outcome.name(),
        (None, None) => "stuck",
    };
    let marker = marker::attempt(attempt.id, stand);
    let mut parts = vec![marker.clone(), headline(attempt, proposal)];
    if let Some(proposal) = proposal {
        parts.push(format!("Proposal: {} (branch {})", proposal.url, code(&proposal.branch, 120)));
    }
    if let Some(stuck) = stuck {
        let could_not = if attempt.outcome.is_some() { "be proposed" } else { "go on" };
        parts.push(format!(
            "It could not {could_not}, a person must help: {}\n\nWhen that is put right, requeue its job on the issue's page: \
             it goes on where it stopped.",
            prose(stuck, MAX_REASON_BYTES)
        ));
    }
    if !attempt.report.trim().is_empty() {
        parts.push(prose(&attempt.report, MAX_REPORT_BYTES));
    }
    if let Some(validation) = &attempt.validation {
        parts.push(evidence::checks(validation));
        if proposal.is_none() {
            parts.push(evidence::proof(&validation.proof));
        }
    }
    if attempt.outcome == Some(Outcome::NotReproduced) && !attempt.patch.is_empty() {
        // A diagnosis, no patch: a change that rests on no reproduction would only be copied.
        let text = "What was changed on the way rests on no reproduction. It is kept on the issue's page and not shown here.";
        parts.push(text.to_owned());
    } else if proposal.is_none() && !attempt.patch.is_empty() {
        let summary = "What was changed (not proposed)";
        parts.push(evidence::diff(summary, &attempt.patch, MAX_DIFF_BYTES));
        if attempt.patch.len() > MAX_DIFF_BYTES {
            parts.push(format!("It is too long for here; the whole of it is at {whole}"));
        }
    }
    parts.push(format!("Cost: {}", evidence::cost(attempt)));
    (marker, parts.join("\n\n"))
}

fn headline(attempt: &Attempt, proposal: Option<&Proposal>) -> String {
    let n = attempt.number;
    match (proposal, attempt.outcome) {
        (Some(_), _) => {
            format!("**Attempt {n}: fixed and proposed.** A person decides whether it is merged.")
        }
        (None, Some(outcome)) => format!("**Attempt {n}: {}**", ending(outcome)),
        (None, None) => format!("**Attempt {n} has not ended.**"),
    }
}

/// How an outcome is told to people.
pub const fn ending(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Fixed => "fixed and validated.",
        Outcome::NotReproduced => "the error could not be reproduced, so nothing is proposed.",
        Outcome::AlreadyFixed => "the base branch does not have this error any more.",
        Outcome::Duplicate => "this is the same error as another issue.",
        Outcome::NotACodeBug => "this is not an error in the code.",
        Outcome::NeedsPerson => "a person must go on from here.",
        Outcome::OverBudget => "stopped because the budget was used up.",
        Outcome::GaveUp => "no fix was found.",
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    #[test]
    fn each_ending_is_told() {
        let attempt = Attempt { outcome: Some(Outcome::NeedsPerson), ..fixture::attempt() };
        insta::assert_snapshot!("needs_person", comment(&attempt, None, None, "").1);
        insta::assert_snapshot!(
            "proposed",
            comment(&fixture::attempt(), Some(&fixture::proposal()), None, "").1
        );
        let unshown = Attempt { outcome: Some(Outcome::NotReproduced), ..fixture::attempt() };
        let told = comment(&unshown, None, None, "").1;
        assert!(told.contains("rests on no reproduction") && !told.contains("```diff"), "{told}");
        let bare = Attempt {
            outcome: Some(Outcome::OverBudget),
            validation: None,
            patch: String::new(),
            report: "@team `a` <b>see [this](https://evil.example)</b>".to_owned(),
            ..fixture::attempt()
        };
        insta::assert_snapshot!("over_budget", comment(&bare, None, Some("the token may not"), "").1);
    }
}
