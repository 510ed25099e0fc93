//! An issue with everything that can follow from it, for the snapshots.

use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::base::id::{AttemptId, IssueId, JobId, ProposalId, TicketId};
use crate::base::redact::Clean;
use crate::model::attempt::{Attempt, Outcome};
use crate::model::detection::{Action, Severity};
use crate::model::fingerprint::{Fingerprint, Levels};
use crate::model::issue::{Issue, IssueState};
use crate::model::money::NanoUsd;
use crate::model::occurrence::{Around, Sample};
use crate::model::proof::{CheckRun, ProjectCheck, Proof, Tests, Validation};
use crate::model::proposal::{Proposal, ProposalState};
use crate::model::ticket::Ticket;
use crate::model::trace::Runtime;

const ID: uuid::Uuid = uuid::Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001);

/// So many minutes after the first occurrence.
pub(super) fn at(minute: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + minute * 60).expect("a time in range")
}

pub(super) const fn job() -> JobId {
    JobId::from_uuid(ID)
}

pub(super) fn issue() -> Issue {
    let identity = Fingerprint::from_bytes([0xab; 32]);
    Issue {
        id: IssueId::from_uuid(ID),
        service: "shop".to_owned(),
        levels: Levels {
            exact: identity,
            identity,
            place: Some(identity),
            template: "division by zero".to_owned(),
        },
        preimage: String::new(),
        title: "ZeroDivisionError: division by zero".to_owned(),
        rule: "python.traceback".to_owned(),
        severity: Severity::Error,
        action: Action::Issue,
        runtime: Runtime::Python,
        state: IssueState::Open,
        count: 12,
        first_seen: at(0),
        last_seen: at(7),
        updated_at: at(7),
    }
}

pub(super) fn sample() -> Sample {
    let text = "Traceback (most recent call last):\n  File \"/app/shop.py\", line 12, in average\n    return total / n\nZeroDivisionError: division by zero";
    Sample {
        around: Around::default(),
        at: at(7),
        text: Clean::trusted(text),
        origin: "shop-web-1".to_owned(),
        revision: Some("4f3c2b1a".to_owned()),
        merged_from: None,
    }
}

fn run(exit_code: i64, output: &str) -> CheckRun {
    CheckRun {
        command: "python -m pytest tests/test_average.py".to_owned(),
        exit_code,
        is_timed_out: false,
        output: output.to_owned(),
        took: Duration::from_millis(1_250),
        tests: None,
    }
}

pub(super) fn attempt() -> Attempt {
    let mut passed = run(0, "1 passed in 0.01s\n");
    passed.tests = Some(Tests { n_passed: 1, ..Tests::default() });
    let mut failed = run(1, "E   ZeroDivisionError: division by zero\n1 failed in 0.02s\n");
    let name = "tests/test_average.py::test_empty".to_owned();
    failed.tests = Some(Tests { n_failed: 1, failed: vec![name], ..Tests::default() });
    let check = ProjectCheck {
        name: "pytest".to_owned(),
        baseline: passed.clone(),
        patched: passed.clone(),
        worse: Vec::new(),
        flaky: Vec::new(),
    };
    Attempt {
        id: AttemptId::from_uuid(ID),
        issue: IssueId::from_uuid(ID),
        job: job(),
        number: 1,
        model: "claude-opus-5-5".to_owned(),
        base_commit: "1234567890123456789012345678901234567890".to_owned(),
        started_at: at(8),
        ended_at: Some(at(9)),
        outcome: Some(Outcome::Fixed),
        report: "## Cause\n\n`average` in `shop.py:12` divides by the number of items, which is 0 for an empty cart.".to_owned(),
        patch: "diff --git a/shop.py b/shop.py\n--- a/shop.py\n+++ b/shop.py\n@@ -12 +12 @@\n-    return total / n\n+    return total / n if n else 0\n".to_owned(),
        validation: Some(Validation {
            proof: Proof {
                before: failed.clone(),
                before_matches_issue: true,
                after: passed,
                reverted: failed,
                doubts: Vec::new(),
            },
            checks: vec![check],
        }),
        cost: NanoUsd(123_400_000),
        n_model_calls: 9,
        n_tool_calls: 14,
    }
}

pub(super) fn ticket() -> Ticket {
    Ticket {
        id: TicketId::from_uuid(ID),
        issue: IssueId::from_uuid(ID),
        tracker: "github".to_owned(),
        key: "acme/shop#7".to_owned(),
        url: "https://github.com/acme/shop/issues/7".to_owned(),
        opened_at: at(1),
    }
}

pub(super) fn proposal() -> Proposal {
    Proposal {
        id: ProposalId::from_uuid(ID),
        issue: IssueId::from_uuid(ID),
        attempt: AttemptId::from_uuid(ID),
        forge: "github".to_owned(),
        key: "8".to_owned(),
        url: "https://github.com/acme/shop/pull/8".to_owned(),
        branch: "homeostat/abababababab-1".to_owned(),
        base_branch: "main".to_owned(),
        head: "2".repeat(40),
        files: vec!["shop.py".to_owned()],
        title: "Fix ZeroDivisionError: division by zero".to_owned(),
        body: String::new(),
        is_draft: false,
        state: ProposalState::Open,
        opened_at: at(9),
    }
}
