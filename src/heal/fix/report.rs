//! What an attempt tells people: Markdown, the same headings however it ended.
//!
//! The proof, the checks, the diff and the cost stand in the attempt itself and are shown from there. Most of this text is the
//! agent's: redacted here, escaped by whoever shows it.

use std::sync::LazyLock;

use regex::Regex;

use super::verdict::Verdict;
use crate::agent::contract::{AgentOutcome, Claim};
use crate::base::markdown::contained;
use crate::base::redact::Clean;
use crate::model::attempt::Outcome;

/// Longest report, in bytes.
const MAX_BYTES: usize = 10_000;

/// What the host adds to what the agent says.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// What the agent did, from its transcript; told where it did not come to say it itself.
    pub(super) tried: Vec<Clean>,
    /// Places that it names (`path:line`) and that are not in the repository.
    pub(super) nowhere: Vec<String>,
}

/// The report of an attempt.
pub(super) fn report(end: &AgentOutcome, verdict: &Verdict, known: &Known) -> String {
    let mut parts = Vec::new();
    match end {
        AgentOutcome::Claimed(claim) => of_claim(claim, verdict.outcome, known, &mut parts),
        AgentOutcome::OverBudget { limit } => {
            parts.push(format!("The agent was stopped because a limit was reached: {limit}."));
        }
        AgentOutcome::GaveUp { why } => parts.push(format!("The agent ended without a result: {why}.")),
        AgentOutcome::Refused { why } => parts.push(format!("The model refused to go on: {why}.")),
        AgentOutcome::Stopped => parts.push("The agent was stopped.".to_owned()),
    }
    if !matches!(end, AgentOutcome::Claimed(_)) && !known.tried.is_empty() {
        let tried: Vec<String> = known.tried.iter().map(|it| contained(it.as_str())).collect();
        parts.push(section("What was tried", &list(tried.iter().map(String::as_str))));
    }
    if !verdict.reasons.is_empty() {
        let title = match verdict.outcome {
            Outcome::AlreadyFixed => "What was shown",
            Outcome::Fixed
            | Outcome::NotReproduced
            | Outcome::Duplicate
            | Outcome::NotACodeBug
            | Outcome::NeedsPerson
            | Outcome::OverBudget
            | Outcome::GaveUp => "Why it is not proposed",
        };
        parts.push(section(title, &list(verdict.reasons.iter().map(String::as_str))));
    }
    parts.push(section("What to do next", next_step(verdict.outcome)));
    super::output::capped(&parts.join("\n\n"), MAX_BYTES)
}

/// The report of a job that could not begin.
pub(super) fn without_attempt(why: &str, next: &str) -> String {
    format!("No attempt was made: {why}.\n\n{}", section("What to do next", next))
}

/// The places (`path:line`) that a claim rests on.
pub(super) fn places_of(claim: &Claim) -> Vec<(String, usize)> {
    let cause = claim.root_cause.iter().map(|cause| (cause.file.clone(), cause.line as usize));
    let text = claim.hypotheses.iter().flat_map(|text| PLACE.captures_iter(text.as_str()));
    let of_text = text.filter_map(|found| Some((found[1].to_owned(), found[2].parse().ok()?)));
    cause.chain(of_text).collect()
}

static PLACE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"([\w./-]*\w\.\w+):(\d{1,6})\b").expect("a constant pattern"));

fn of_claim(claim: &Claim, outcome: Outcome, known: &Known, parts: &mut Vec<String>) {
    parts.push(contained(claim.summary.as_str()));
    if let Some(cause) = &claim.root_cause {
        let text = format!("`{}:{}`: {}", cause.file, cause.line, contained(cause.explanation.as_str()));
        parts.push(section("Cause", &text));
    }
    if !claim.changes.as_str().trim().is_empty() {
        let title = if outcome == Outcome::Fixed { "Change" } else { "What was tried" };
        parts.push(section(title, &contained(claim.changes.as_str())));
    }
    if !claim.hypotheses.is_empty() {
        let rows: Vec<String> = claim.hypotheses.iter().map(|it| contained(it.as_str())).collect();
        parts.push(section("Not verified", &list(rows.iter().map(String::as_str))));
    }
    if !known.nowhere.is_empty() {
        let places: Vec<String> = known.nowhere.iter().map(|place| format!("`{place}`")).collect();
        parts.push(format!("Not in the repository, though the text above names it: {}.", places.join(", ")));
    }
}

const fn next_step(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Fixed => {
            "Review the proposal: the proof shows that the error is gone, not that the change is wanted."
        }
        Outcome::AlreadyFixed => "Release the base branch; homeostat watches whether the error stays away.",
        Outcome::NotReproduced => {
            "Look at the record and say on the ticket what it takes to reproduce it, or retry when more occurrences are known."
        }
        Outcome::Duplicate => "Compare with the other issue, and mute this one if they are the same.",
        Outcome::NotACodeBug => {
            "Look at the configuration, the data or the service that it depends on, and mute this issue if it is expected."
        }
        Outcome::NeedsPerson => {
            "Read the reasons above and decide; the change is kept with the attempt and can be taken from there."
        }
        Outcome::OverBudget => {
            "Take over from the change that is kept with the attempt, or raise the limit and retry."
        }
        Outcome::GaveUp => {
            "Take over from the change and the reasons above; retry when something has changed."
        }
    }
}

fn section(title: &str, text: &str) -> String {
    format!("#### {title}\n\n{text}")
}

fn list<'a>(rows: impl Iterator<Item = &'a str>) -> String {
    rows.map(|row| format!("- {row}")).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::contract::RootCause;

    #[test]
    fn every_report_says_what_happened_and_what_is_next() {
        let claim = Claim {
            outcome: Outcome::Fixed,
            summary: Clean::trusted("An empty cart has no average."),
            root_cause: Some(RootCause {
                file: "shop.py".to_owned(),
                line: 12,
                explanation: Clean::trusted("divides by the number of items"),
            }),
            changes: Clean::trusted("`average` gives 0 for an empty cart."),
            test_command: None,
            test_files: vec!["test_shop.py".to_owned()],
            hypotheses: vec![Clean::trusted("feed.py:7: an upstream filter may drop all items")],
        };
        let fixed = Verdict { outcome: Outcome::Fixed, reasons: Vec::new(), may_retry: false };
        insta::assert_snapshot!(
            "fixed",
            report(&AgentOutcome::Claimed(claim.clone()), &fixed, &Known::default())
        );
        let places = vec![("shop.py".to_owned(), 12), ("feed.py".to_owned(), 7)];
        assert_eq!(places_of(&claim), places);
        let known = Known {
            tried: vec![Clean::trusted("It ran `pytest`: exit code 1.")],
            nowhere: vec!["feed.py:7".to_owned()],
        };
        let wrong = Verdict {
            outcome: Outcome::GaveUp,
            reasons: vec!["The new test fails with the change too.".to_owned()],
            may_retry: true,
        };
        insta::assert_snapshot!("gave_up", report(&AgentOutcome::Claimed(claim), &wrong, &known));
        let over = Verdict {
            outcome: Outcome::OverBudget,
            reasons: vec!["No test was written yet.".to_owned()],
            may_retry: false,
        };
        let end = AgentOutcome::OverBudget { limit: "cost".to_owned() };
        insta::assert_snapshot!("over_budget", report(&end, &over, &known));
        insta::assert_snapshot!("no_attempt", without_attempt("no repository is known", "Name it."));
    }
}
