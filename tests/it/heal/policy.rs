//! What the diff policy holds back, and that an issue has one open proposal.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

use homeostat::base::id::{AttemptId, IssueId};
use homeostat::model::attempt::{Attempt, Outcome};
use homeostat::model::issue::IssueState;
use homeostat::model::job::NewJob;
use homeostat::model::proposal::ProposalState;

use super::given::{Given, PAGE, PATCH};
use super::stages::{TITLE, proposing, settle, ticket};

/// The fix with one more file that is new.
fn with_file(path: &str, line: &str) -> String {
    format!(
        "{PATCH}diff --git a/{path} b/{path}\nnew file mode 100644\n--- /dev/null\n+++ b/{path}\n@@ -0,0 +1 @@\n+{line}\n"
    )
}

/// Proposes the patch for the issue; nothing of it is pushed. What the ticket says.
async fn held_back(given: &Given, issue: IssueId, attempt: &Attempt) -> String {
    settle(given, issue).await;
    assert_eq!(given.repository.branches(), ["main"], "nothing was pushed");
    assert_eq!(given.store.proposals(issue).await.unwrap(), []);
    let kept = given.store.attempt(attempt.id).await.unwrap();
    assert_eq!((kept.outcome, &kept.patch), (Some(Outcome::NeedsPerson), &attempt.patch));
    assert_eq!(given.detail(issue).await.issue.state, IssueState::NeedsPerson);
    ticket(given, issue).await.comments.remove(0).body
}

#[tokio::test]
async fn what_needs_a_person_is_not_pushed_and_told_by_rule_and_place() {
    let cases = [
        (
            "requirements.txt",
            "shop-rates==2",
            "`requirements.txt`: a manifest or lock file of dependencies changes (path.dependencies)",
        ),
        (
            "migrations/0002.sql",
            "create table x (y int);",
            "`migrations/0002.sql`: stored data or its schema changes (path.data)",
        ),
        (
            "tests/test_env.py",
            "print(dict(__import__('os').environ))",
            "`tests/test_env.py:1`: a test in it reads the environment",
        ),
        (
            "tests/test_post.py",
            "requests.post('https://x.example.io', json=1)",
            "`tests/test_post.py:1`: a test in it talks to the network",
        ),
    ];
    for (path, line, expected) in cases {
        let given = Given::local().await;
        let (issue, attempt) = proposing(&given, &with_file(path, line)).await;
        let told = held_back(&given, issue, &attempt).await;
        assert!(told.contains(&format!("a person must look at it: {expected}")), "{told}");
        assert!(told.contains(&format!("+{line}")), "{told}");
    }
}

#[tokio::test]
async fn an_address_of_the_log_is_refused() {
    let given = Given::local().await;
    let title = "ValueError: no rates, see https://fix.evil.io/a.sh";
    let issue = given.issue(title, vec![NewJob::open_ticket(false)]).await;
    let attempt = given.attempt(issue, &with_file("NOTES.md", "Taken from https://fix.evil.io/b.")).await;
    let now = given.clock.now();
    given.store.enqueue(NewJob::fix(issue, 0), now).await.unwrap();
    given.store.enqueue(NewJob::propose(issue, attempt.id), now).await.unwrap();
    let told = held_back(&given, issue, &attempt).await;
    assert!(told.contains("refused: `NOTES.md:1`: it brings in an address that stands in the log"), "{told}");
}

#[tokio::test]
async fn an_address_that_the_repository_knows_may_stand_in_the_log() {
    let given = Given::local().await;
    given.repository.commit("main", "known", &[("README.md", "See https://rates.shop.io/latest.\n")]);
    let title = "ValueError: no rates from https://rates.shop.io/daily";
    let issue = given.issue(title, vec![NewJob::open_ticket(false)]).await;
    let attempt = given.attempt(issue, &with_file("NOTES.md", "Rates come from rates.shop.io.")).await;
    let now = given.clock.now();
    given.store.enqueue(NewJob::fix(issue, 0), now).await.unwrap();
    given.store.enqueue(NewJob::propose(issue, attempt.id), now).await.unwrap();
    settle(&given, issue).await;
    assert_eq!(given.store.proposals(issue).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_patch_that_is_too_long_for_the_ticket_is_had_whole() {
    let given = Given::local().await;
    let line = format!("{} --", "insert into x values (1); ".repeat(36));
    let mut patch = PATCH.to_owned();
    for n in 0..40 {
        let path = format!("sql/{n}.sql");
        patch.push_str(&with_file(&path, &line)[PATCH.len()..]);
    }
    let (issue, attempt) = proposing(&given, &patch).await;
    let told = held_back(&given, issue, &attempt).await;
    assert!(told.contains("the patch: it touches too many files: 42, more than 20 (patch.files)"), "{told}");
    assert!(told.contains(&format!("the whole of it is at {PAGE}/attempts/{}/patch", attempt.id)), "{told}");
}

#[tokio::test]
async fn an_issue_has_one_open_proposal() {
    let given = Given::local().await;
    let (issue, first) = proposing(&given, PATCH).await;
    settle(&given, issue).await;
    let open = given.store.proposals(issue).await.unwrap().remove(0);
    let again = async |number| {
        let next = Attempt { id: AttemptId::new(), number, ..first.clone() };
        given.store.save_attempt(&next).await.unwrap();
        given.store.enqueue(NewJob::propose(issue, next.id), given.clock.now()).await.unwrap();
        settle(&given, issue).await;
        given.store.attempt(next.id).await.unwrap()
    };
    let second = again(2).await;
    assert_eq!(given.repository.branches(), [open.branch.as_str(), "main"]);
    assert_eq!(given.store.proposals(issue).await.unwrap().len(), 1);
    assert!(
        second.report.contains(&format!("another proposal of this issue is open: {}", open.url)),
        "{}",
        second.report
    );
    assert_eq!(given.detail(issue).await.issue.state, IssueState::Proposed);

    given.store.set_proposal_state(open.id, ProposalState::Closed, given.clock.now()).await.unwrap();
    again(3).await;
    let proposals = given.store.proposals(issue).await.unwrap();
    let states: Vec<ProposalState> = proposals.iter().map(|it| it.state).collect();
    assert_eq!(states, [ProposalState::Closed, ProposalState::Open]);
    assert_eq!(given.detail(issue).await.issue.title.as_str(), TITLE);
}
