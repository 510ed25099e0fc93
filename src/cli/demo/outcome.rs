//! What came of the demo, as one line of JSON that others script against.

use std::time::Duration;

use serde_json::{Value, json};

use crate::base::id::IssueId;
use crate::model::attempt::{Attempt, Outcome};
use crate::model::issue::Issue;
use crate::model::proposal::Proposal;

/// A loop that has closed.
#[derive(Debug)]
pub(super) struct Closed {
    pub(super) issue: Issue,
    pub(super) attempt: Attempt,
    pub(super) proposal: Proposal,
}

impl Closed {
    pub(super) const fn issue(&self) -> IssueId {
        self.issue.id
    }

    /// The last line of `homeostat demo --headless --json`.
    pub(super) fn json(&self, took: Duration) -> Value {
        let proof = self.attempt.validation.as_ref().map(|it| &it.proof);
        json!({
            "outcome": self.attempt.outcome.map(Outcome::name),
            "issue": self.issue.id.to_string(),
            "fingerprint": self.issue.levels.identity.full(),
            "occurrences": self.issue.count,
            "proof": {
                "fails_before": proof.is_some_and(|it| !it.before.passed() && it.before_matches_issue),
                "passes_after": proof.is_some_and(|it| it.after.passed()),
                "fails_when_reverted": proof.is_some_and(|it| !it.reverted.passed()),
            },
            "proposal": { "branch": self.proposal.branch, "files": self.proposal.files },
            "cost_usd": self.attempt.cost.usd(),
            "seconds": took.as_secs_f64(),
        })
    }
}
