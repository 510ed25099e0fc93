//! Healing: attempts, transcripts, tickets, proposals, the local tracker.

#![expect(clippy::unwrap_used, reason = "stories are functions, not `#[test]`s themselves")]

use std::time::Duration;

use homeostat::base::id::{AttemptId, IssueId, JobId, ProposalId, TicketId};
use homeostat::model::attempt::{Attempt, Outcome};
use homeostat::model::money::NanoUsd;
use homeostat::model::proof::{CheckRun, ProjectCheck, Proof, Validation};
use homeostat::model::proposal::{Proposal, ProposalState};
use homeostat::model::ticket::Ticket;
use homeostat::store::types::{LocalComment, LocalTicket};

use super::given::{Db, at, commit_one, group, stories};

stories! {
    an_attempt_is_written_whole_and_again,
    a_transcript_has_one_writer_and_one_order,
    the_first_ticket_of_a_tracker_stays,
    the_first_proposal_of_an_attempt_stays,
    a_local_ticket_is_opened_once_and_commented_on,
}

fn attempt(issue: IssueId, number: u32) -> Attempt {
    Attempt {
        id: AttemptId::new(),
        issue,
        job: JobId::new(),
        number,
        model: "a-model".to_owned(),
        base_commit: "c0ffee".to_owned(),
        started_at: at(i64::from(number)),
        ended_at: None,
        outcome: None,
        report: String::new(),
        patch: String::new(),
        validation: None,
        cost: NanoUsd::ZERO,
        n_model_calls: 0,
        n_tool_calls: 0,
    }
}

fn run(exit_code: i64) -> CheckRun {
    CheckRun {
        command: "pytest".to_owned(),
        exit_code,
        is_timed_out: false,
        output: "…\n\u{1b}[31m".to_owned(),
        took: Duration::from_millis(1250),
        tests: None,
    }
}

async fn an_attempt_is_written_whole_and_again(db: Db) {
    let issue = commit_one(&*db.store, group(1, 1), 1).await.issue;
    let mut first = attempt(issue, 1);
    let second = attempt(issue, 2);
    db.store.save_attempt(&second).await.unwrap();
    db.store.save_attempt(&first).await.unwrap();
    assert_eq!(db.store.attempts(issue).await.unwrap(), [first.clone(), second.clone()]);
    let proof = Proof {
        before: run(1),
        before_matches_issue: true,
        after: run(0),
        reverted: run(1),
        doubts: Vec::new(),
    };
    let check = ProjectCheck {
        name: "tests".to_owned(),
        baseline: run(0),
        patched: run(0),
        worse: Vec::new(),
        flaky: Vec::new(),
    };
    first.ended_at = Some(at(100));
    first.outcome = Some(Outcome::Fixed);
    first.report = "# Cause\nA typo.".to_owned();
    first.patch = "--- a/x\n+++ b/x\n".to_owned();
    first.validation = Some(Validation { proof, checks: vec![check] });
    first.cost = NanoUsd(1_234_567_890);
    (first.n_model_calls, first.n_tool_calls) = (7, 12);
    db.store.save_attempt(&first).await.unwrap();
    assert_eq!(db.store.attempt(first.id).await.unwrap(), first);
    assert_eq!(db.store.attempts(issue).await.unwrap(), [first, second]);
    // A number names a branch: it is given once.
    assert!(!db.store.save_attempt(&attempt(issue, 2)).await.unwrap_err().is_transient());
    let missing = AttemptId::new();
    let error = db.store.attempt(missing).await.unwrap_err();
    assert_eq!(error.to_string(), format!("there is no attempt `{missing}`"));
}

async fn a_transcript_has_one_writer_and_one_order(db: Db) {
    let issue = commit_one(&*db.store, group(1, 1), 1).await.issue;
    let attempt = attempt(issue, 1);
    db.store.save_attempt(&attempt).await.unwrap();
    let id = attempt.id;
    let entries = [r#"{"n":1,"é":" "}"#, r#"{"n": 2}"#, r#"{"n":3}"#];
    db.store.append_transcript(id, 1, entries[0], at(1)).await.unwrap();
    db.store.append_transcript(id, 2, entries[1], at(2)).await.unwrap();
    // The same call again, as after an answer that was lost on its way.
    db.store.append_transcript(id, 2, entries[1], at(3)).await.unwrap();
    for (seq, entry) in [(2, entries[2]), (1, entries[0]), (4, entries[2]), (0, entries[2])] {
        let error = db.store.append_transcript(id, seq, entry, at(4)).await.unwrap_err();
        assert!(!error.is_transient(), "{seq}");
    }
    db.store.append_transcript(id, 3, entries[2], at(5)).await.unwrap();
    assert_eq!(db.store.transcript(id).await.unwrap(), entries);
    let missing = AttemptId::new();
    let error = db.store.append_transcript(missing, 1, "{}", at(6)).await.unwrap_err();
    assert_eq!(error.to_string(), format!("there is no attempt `{missing}`"));
    assert_eq!(db.store.transcript(missing).await.unwrap(), [""; 0]);
}

async fn the_first_ticket_of_a_tracker_stays(db: Db) {
    let issue = commit_one(&*db.store, group(1, 1), 1).await.issue;
    let ticket = |tracker: &str, key: &str, second| Ticket {
        id: TicketId::new(),
        issue,
        tracker: tracker.to_owned(),
        key: key.to_owned(),
        url: format!("http://tracker/{key}"),
        opened_at: at(second),
    };
    assert_eq!(db.store.ticket(issue).await.unwrap(), None);
    let first = ticket("local", "1", 1);
    assert_eq!(db.store.save_ticket(&first).await.unwrap(), first);
    assert_eq!(db.store.save_ticket(&ticket("local", "2", 2)).await.unwrap(), first);
    assert_eq!(db.store.ticket(issue).await.unwrap(), Some(first));
    let elsewhere = ticket("github", "shop/shop#7", 3);
    assert_eq!(db.store.save_ticket(&elsewhere).await.unwrap(), elsewhere);
    assert_eq!(db.store.ticket(issue).await.unwrap(), Some(elsewhere));
}

async fn the_first_proposal_of_an_attempt_stays(db: Db) {
    let issue = commit_one(&*db.store, group(1, 1), 1).await.issue;
    let proposal = |attempt, key: &str, second| Proposal {
        id: ProposalId::new(),
        issue,
        attempt,
        forge: "local".to_owned(),
        key: key.to_owned(),
        url: "http://localhost/1".to_owned(),
        branch: "homeostat/0102-1".to_owned(),
        base_branch: "main".to_owned(),
        head: "c0ffee".to_owned(),
        files: vec!["src/a \"b\".py".to_owned(), "tests/ä.py".to_owned()],
        title: "Fix it".to_owned(),
        body: "# Why\n".to_owned(),
        is_draft: key == "2",
        state: ProposalState::Open,
        opened_at: at(second),
    };
    let (one, two) = (AttemptId::new(), AttemptId::new());
    let first = proposal(one, "1", 10);
    assert_eq!(db.store.save_proposal(&first).await.unwrap(), first);
    assert_eq!(db.store.save_proposal(&proposal(one, "9", 11)).await.unwrap(), first);
    let second = proposal(two, "2", 12);
    assert_eq!(db.store.save_proposal(&second).await.unwrap(), second);
    db.store.set_proposal_state(first.id, ProposalState::Merged, at(20)).await.unwrap();
    let merged = Proposal { state: ProposalState::Merged, ..first };
    assert_eq!(db.store.proposal(merged.id).await.unwrap(), merged);
    assert_eq!(db.store.proposals(issue).await.unwrap(), [merged, second]);
    let missing = ProposalId::new();
    let expected = format!("there is no proposal `{missing}`");
    assert_eq!(db.store.proposal(missing).await.unwrap_err().to_string(), expected);
    let error = db.store.set_proposal_state(missing, ProposalState::Closed, at(21)).await.unwrap_err();
    assert_eq!(error.to_string(), expected);
}

async fn a_local_ticket_is_opened_once_and_commented_on(db: Db) {
    let open = async |marker: &str, second| {
        db.store.open_local_ticket(marker, &format!("About {marker}"), "body", at(second)).await.unwrap()
    };
    assert_eq!(
        (open("a", 1).await, open("b", 2).await, open("a", 3).await, open("c", 4).await),
        (1, 2, 1, 3)
    );
    let comment = |marker: &str, second| LocalComment {
        marker: marker.to_owned(),
        at: at(second),
        body: format!("body at {second}"),
    };
    db.store.comment_local_ticket(1, comment("x", 9)).await.unwrap();
    db.store.comment_local_ticket(1, comment("y", 8)).await.unwrap();
    db.store.comment_local_ticket(1, comment("x", 10)).await.unwrap();
    db.store.comment_local_ticket(2, comment("x", 11)).await.unwrap();
    let expected = LocalTicket {
        number: 1,
        marker: "a".to_owned(),
        title: "About a".to_owned(),
        body: "body".to_owned(),
        is_open: true,
        opened_at: at(1),
        comments: vec![comment("x", 9), comment("y", 8)],
    };
    assert_eq!(db.store.local_ticket(1).await.unwrap(), expected);
    assert_eq!(db.store.local_ticket(2).await.unwrap().comments, [comment("x", 11)]);
    let error = db.store.comment_local_ticket(9, comment("x", 1)).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no local ticket `9`");
    assert_eq!(db.store.local_ticket(9).await.unwrap_err().to_string(), "there is no local ticket `9`");
}
