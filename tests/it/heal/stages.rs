//! From the ticket to the merge at the local forge, and everything that is refused on the way.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

use std::sync::Arc;
use std::time::Duration;

use homeostat::base::clock::{Clock, SystemClock};
use homeostat::base::id::{AttemptId, IssueId};
use homeostat::base::shutdown::Shutdown;
use homeostat::heal::worker::Settings;
use homeostat::model::attempt::{Attempt, Outcome};
use homeostat::model::issue::IssueState;
use homeostat::model::job::{Job, JobKind, JobState, Lease, NewJob};
use homeostat::model::proposal::{Proposal, ProposalState};
use homeostat::model::stage::{Progress, ProgressError, StageContext, StageOutcome};
use homeostat::repo::FetchTokens;
use homeostat::store::Store;
use homeostat::store::types::LocalTicket;

use super::given::{Given, PAGE, PATCH, quick};

pub(super) const TITLE: &str = "ZeroDivisionError: division by zero";

/// Jobs as (kind, state), in the order they were queued.
fn kinds(jobs: &[Job]) -> Vec<(&'static str, JobState)> {
    jobs.iter().map(|job| (job.kind().name(), job.state)).collect()
}

/// What the issue's timeline tells, oldest first.
async fn story(given: &Given, issue: IssueId) -> Vec<String> {
    given.detail(issue).await.timeline.into_iter().map(|entry| entry.what).collect()
}

pub(super) async fn ticket(given: &Given, issue: IssueId) -> LocalTicket {
    let ticket = given.store.ticket(issue).await.unwrap().expect("a ticket was opened");
    given.store.local_ticket(ticket.key.parse().unwrap()).await.unwrap()
}

/// Runs the worker until the issue's jobs have ended; fixes stay queued.
pub(super) async fn settle(given: &Given, issue: IssueId) -> Vec<Job> {
    let working = given.work(given.local_stages().await, quick());
    let jobs = given.quiet(issue).await;
    working.stopped().await;
    jobs
}

/// An issue with an attempt whose proposal is queued.
pub(super) async fn proposing(given: &Given, patch: &str) -> (IssueId, Attempt) {
    let issue = given.issue(TITLE, vec![NewJob::open_ticket(false)]).await;
    let attempt = given.attempt(issue, patch).await;
    let now = given.clock.now();
    given.store.enqueue(NewJob::fix(issue, 0), now).await.unwrap();
    given.store.enqueue(NewJob::propose(issue, attempt.id), now).await.unwrap();
    (issue, attempt)
}

async fn proposed(given: &Given) -> (IssueId, Proposal) {
    let (issue, _) = proposing(given, PATCH).await;
    settle(given, issue).await;
    (issue, given.store.proposals(issue).await.unwrap().remove(0))
}

/// Accepts the proposal, twice as a person who clicks again, and gives the job when it has ended.
async fn land(given: &Given, issue: IssueId, proposal: &Proposal) -> Job {
    let lands = given.jobs(issue).await;
    let job = NewJob::land(issue, proposal.id, "ada", &lands).expect("none is at work");
    let id = given.store.enqueue(job.clone(), given.clock.now()).await.unwrap();
    assert_eq!(given.store.enqueue(job, given.clock.now()).await.unwrap(), id);
    assert_eq!(NewJob::land(issue, proposal.id, "bob", &given.jobs(issue).await), None);
    settle(given, issue).await;
    given.job(id).await
}

#[tokio::test]
async fn a_new_issue_gets_its_ticket_a_notice_and_its_fix() {
    let given = Given::local().await;
    let issue = given.issue(TITLE, vec![NewJob::open_ticket(true)]).await;
    let jobs = settle(&given, issue).await;
    let expected = [("ticket", JobState::Done), ("fix", JobState::Queued), ("announce", JobState::Done)];
    assert_eq!(kinds(&jobs), expected);
    assert_eq!(given.detail(issue).await.issue.state, IssueState::Fixing);
    assert_eq!(story(&given, issue).await.iter().filter(|it| *it == "ticket opened").count(), 1);
    let ticket = ticket(&given, issue).await;
    assert_eq!(ticket.title, format!("shop: {TITLE}"));
    assert!(ticket.body.starts_with(&format!("<!-- homeostat:issue:{issue} -->")), "{}", ticket.body);
    assert!(ticket.body.contains("homeostat is now trying"), "{}", ticket.body);
    assert!(ticket.body.ends_with(&format!("{PAGE}/issues/{issue}")), "{}", ticket.body);
}

#[tokio::test]
async fn a_service_that_is_only_ticketed_is_not_fixed() {
    let given = Given::local().await;
    let issue = given.issue(TITLE, vec![NewJob::open_ticket(false)]).await;
    let jobs = settle(&given, issue).await;
    assert_eq!(kinds(&jobs), [("ticket", JobState::Done), ("announce", JobState::Done)]);
    assert_eq!(given.detail(issue).await.issue.state, IssueState::Open);
}

#[tokio::test]
async fn a_validated_attempt_is_proposed_and_merged() {
    let given = Given::local().await;
    let (issue, proposal) = proposed(&given).await;
    let short = given.detail(issue).await.issue.levels.identity.short();
    assert_eq!(proposal.branch, format!("homeostat/{short}-1"));
    assert_eq!((proposal.forge.as_str(), proposal.state), ("local", ProposalState::Open));
    assert_eq!(proposal.files, ["shop.py", "tests/test_shop.py"]);
    assert_eq!(proposal.head, given.repository.git(&["rev-parse", &proposal.branch]));
    assert_eq!(given.detail(issue).await.issue.state, IssueState::Proposed);
    let message = given.repository.git(&["log", "-1", "--format=%an <%ae>%n%B", &proposal.branch]);
    assert!(message.starts_with("homeostat <homeostat@localhost>\nFix ZeroDivisionError"), "{message}");
    assert!(
        message.contains("Homeostat-Fingerprint: h1:") && message.contains("Homeostat-Job: "),
        "{message}"
    );
    let told = ticket(&given, issue).await.comments;
    assert_eq!(told.len(), 1);
    assert!(
        told[0].body.contains("fixed and proposed") && told[0].body.contains(&proposal.url),
        "{}",
        told[0].body
    );

    let landed = land(&given, issue, &proposal).await;
    assert_eq!(landed.state, JobState::Done, "{:?}", landed.result);
    assert_eq!(
        given.repository.git(&["show", "main:shop.py"]),
        "def average(total, n):\n    return total / n if n else 0"
    );
    assert_eq!(given.repository.git(&["rev-parse", "main"]), proposal.head, "a fast-forward");
    assert_eq!(given.store.proposal(proposal.id).await.unwrap().state, ProposalState::Merged);
    assert_eq!(given.detail(issue).await.issue.state, IssueState::Landed);
    assert!(story(&given, issue).await.contains(&"proposal merged".to_owned()));
}

#[tokio::test]
async fn a_base_that_moved_gets_a_merge_commit() {
    let given = Given::local().await;
    let (issue, proposal) = proposed(&given).await;
    given.repository.commit("main", "elsewhere", &[("other.py", "x = 1\n")]);
    let landed = land(&given, issue, &proposal).await;
    assert_eq!(landed.state, JobState::Done, "{:?}", landed.result);
    assert_eq!(given.repository.git(&["show", "main:other.py"]), "x = 1");
    assert!(given.repository.git(&["show", "main:shop.py"]).contains("if n else 0"));
    let parents = given.repository.git(&["log", "-1", "--format=%P%n%s%n%b", "main"]);
    assert!(parents.contains(&proposal.head), "{parents}");
    assert!(parents.contains("Accepted by ada."), "{parents}");
}

#[tokio::test]
async fn a_conflict_is_refused_and_told() {
    let given = Given::local().await;
    let (issue, proposal) = proposed(&given).await;
    let before = given.repository.commit(
        "main",
        "same line",
        &[("shop.py", "def average(total, n):\n    return 0\n")],
    );
    let landed = land(&given, issue, &proposal).await;
    assert_eq!(landed.state, JobState::Dead);
    let expected = format!(
        "`{}` conflicts with `main` in shop.py: it must be made anew or merged by hand",
        proposal.branch
    );
    assert_eq!(landed.result.as_deref(), Some(expected.as_str()));
    assert_eq!(given.repository.git(&["rev-parse", "main"]), before);
    assert_eq!(given.store.proposal(proposal.id).await.unwrap().state, ProposalState::Open);
    assert!(story(&given, issue).await.contains(&"merge refused".to_owned()));

    // Somebody puts the base right and accepts again: it is tried again, and merged once.
    given.repository.git(&["update-ref", "refs/heads/main", &format!("{before}^")]);
    let landed = land(&given, issue, &proposal).await;
    assert_eq!(landed.state, JobState::Done, "{:?}", landed.result);
    assert_eq!(given.repository.git(&["rev-parse", "main"]), proposal.head);
    assert_eq!(given.detail(issue).await.issue.state, IssueState::Landed);
    let told = story(&given, issue).await;
    assert_eq!(told.iter().filter(|it| *it == "proposal merged").count(), 1, "{told:?}");
}

#[tokio::test]
async fn only_what_was_shown_is_merged() {
    let given = Given::local().await;
    let (issue, proposal) = proposed(&given).await;
    given.repository.git(&["update-ref", &format!("refs/heads/{}", proposal.branch), "refs/heads/main"]);
    let landed = land(&given, issue, &proposal).await;
    assert_eq!(landed.state, JobState::Dead);
    assert!(landed.result.unwrap().contains("but what was proposed is"));
}

#[tokio::test]
async fn a_merge_that_was_done_already_is_found() {
    let given = Given::local().await;
    let (issue, proposal) = proposed(&given).await;
    // What a kill between the push and the store leaves behind.
    given.repository.git(&["update-ref", "refs/heads/main", &proposal.head]);
    given.repository.commit("main", "later", &[("later.py", "y\n")]);
    let main = given.repository.git(&["rev-parse", "main"]);
    let landed = land(&given, issue, &proposal).await;
    assert_eq!(landed.state, JobState::Done, "{:?}", landed.result);
    assert_eq!(given.repository.git(&["rev-parse", "main"]), main);
}

#[tokio::test]
async fn nothing_is_pushed_that_has_not_passed_the_diff_policy() {
    let given = Given::local().await;
    let patch = "diff --git a/.github/workflows/ci.yml b/.github/workflows/ci.yml
new file mode 100644
--- /dev/null
+++ b/.github/workflows/ci.yml
@@ -0,0 +1 @@
+key: ghp_0123456789abcdefghijklmnopqrstuvwxyz
";
    let (issue, attempt) = proposing(&given, patch).await;
    settle(&given, issue).await;
    assert_eq!(given.repository.branches(), ["main"], "nothing was pushed");
    assert_eq!(given.store.proposals(issue).await.unwrap(), []);
    assert_eq!(given.store.attempt(attempt.id).await.unwrap().outcome, Some(Outcome::NeedsPerson));
    assert_eq!(given.detail(issue).await.issue.state, IssueState::NeedsPerson);
    let told = ticket(&given, issue).await.comments.remove(0).body;
    assert!(told.contains("a person must go on from here"), "{told}");
    assert!(told.contains("`.github/workflows/ci.yml`: git's or the forge's own files"), "{told}");
    assert!(told.contains("+key: [redacted:github-token]") && !told.contains("ghp_0123"), "{told}");
    let jobs = given.jobs(issue).await;
    let announced = jobs.iter().filter(|job| job.kind() == JobKind::Announce).count();
    assert_eq!(announced, 2, "the issue, and the attempt that ended");
}

#[tokio::test]
async fn an_attempt_whose_proof_does_not_hold_is_never_pushed() {
    let given = Given::local().await;
    let issue = given.issue(TITLE, vec![]).await;
    let mut attempt = given.attempt(issue, PATCH).await;
    attempt.validation.as_mut().unwrap().proof.reverted = super::given::run(0, "passes all the same");
    given.store.save_attempt(&attempt).await.unwrap();
    let now = given.clock.now();
    given.store.enqueue(NewJob::fix(issue, 0), now).await.unwrap();
    given.store.enqueue(NewJob::propose(issue, attempt.id), now).await.unwrap();
    settle(&given, issue).await;
    assert_eq!(given.repository.branches(), ["main"]);
    let report = given.store.attempt(attempt.id).await.unwrap().report;
    assert!(report.contains("- the new test passes with the change taken back"), "{report}");
}

#[tokio::test]
async fn a_fix_that_cannot_be_proposed_is_told_with_its_diff() {
    let given = Given::local().await;
    let (issue, attempt) = proposing(&given, PATCH).await;
    // What the fix stage queues beside the proposal: it leaves the telling to the proposal while that is under way.
    given.store.enqueue(NewJob::report_attempt(issue, attempt.id), given.clock.now()).await.unwrap();
    let repos = given.repos(FetchTokens::default()).await;
    let stages = given.stages(vec![given.local_tracker()], vec![], repos, vec![]);
    let working = given.work(stages, Settings { n_short: 1, ..quick() });
    let jobs = given.quiet(issue).await;
    working.stopped().await;
    let propose = jobs.iter().find(|job| job.kind() == JobKind::Propose).unwrap();
    assert_eq!(propose.state, JobState::Dead);
    let told = ticket(&given, issue).await.comments;
    assert_eq!(told.len(), 1, "{told:#?}");
    assert!(
        told[0].body.contains("It could not be proposed, a person must help: no forge"),
        "{}",
        told[0].body
    );
    assert!(told[0].body.contains("+    return total / n if n else 0"), "{}", told[0].body);
    assert_eq!(given.detail(issue).await.issue.state, IssueState::NeedsPerson);
    let announced = jobs.iter().any(|job| job.unique_key.ends_with(&format!("{}:stuck", attempt.id)));
    assert!(announced, "{jobs:#?}");
}

#[tokio::test]
async fn a_proposal_whose_retries_are_used_up_is_told_with_its_diff_and_can_be_requeued() {
    let given = Given::local().await;
    let (issue, _) = proposing(&given, PATCH).await;
    // The forge cannot be reached: its folder is away.
    let (bare, away) = (given.repository.bare(), given.folder.path().join("away"));
    std::fs::rename(&bare, &away).unwrap();
    let working = given.work(given.local_stages().await, Settings { max_failures: 2, ..quick() });
    let jobs = given.quiet(issue).await;
    working.stopped().await;
    let propose = jobs.iter().find(|job| job.kind() == JobKind::Propose).unwrap();
    assert_eq!(propose.state, JobState::Dead, "{propose:#?}");
    let told = ticket(&given, issue).await.comments;
    assert_eq!(told.len(), 1, "{told:#?}");
    assert!(told[0].body.contains("It could not be proposed, a person must help: "), "{}", told[0].body);
    assert!(told[0].body.contains("+    return total / n if n else 0"), "{}", told[0].body);
    assert_eq!(given.detail(issue).await.issue.state, IssueState::NeedsPerson);

    std::fs::rename(&away, &bare).unwrap();
    given.store.requeue_job(propose.id, "ada", given.clock.now()).await.unwrap();
    settle(&given, issue).await;
    assert_eq!(given.detail(issue).await.issue.state, IssueState::Proposed);
    let told = ticket(&given, issue).await.comments;
    assert!(told.last().unwrap().body.contains("fixed and proposed"), "{told:#?}");
}

#[tokio::test]
async fn a_patch_that_does_not_apply_is_kept_for_a_person() {
    let given = Given::local().await;
    let (issue, attempt) = proposing(&given, &PATCH.replace("return total / n\n", "return n\n")).await;
    settle(&given, issue).await;
    assert_eq!(given.repository.branches(), ["main"]);
    let report = given.store.attempt(attempt.id).await.unwrap().report;
    assert!(report.contains("the patch does not apply"), "{report}");
}

#[tokio::test]
async fn a_branch_of_others_is_left_alone() {
    let given = Given::local().await;
    let (issue, _) = proposing(&given, PATCH).await;
    let short = given.detail(issue).await.issue.levels.identity.short();
    let theirs = format!("homeostat/{short}-1");
    let head = given.repository.commit(&theirs, "theirs", &[("theirs.py", "z\n")]);
    settle(&given, issue).await;
    let proposal = given.store.proposals(issue).await.unwrap().remove(0);
    assert_eq!(proposal.branch, format!("homeostat/{short}-2"));
    assert_eq!(given.repository.git(&["rev-parse", &theirs]), head);
}

#[tokio::test]
async fn an_ended_attempt_is_told_once_with_its_diff() {
    let given = Given::local().await;
    let issue = given.issue(TITLE, vec![]).await;
    let attempt =
        Attempt { outcome: Some(Outcome::GaveUp), validation: None, ..given.attempt(issue, PATCH).await };
    // Another one of the same job followed it: both are told on the ticket, and people of the last one alone.
    let last = Attempt {
        id: AttemptId::new(),
        number: 2,
        outcome: Some(Outcome::NotReproduced),
        patch: String::new(),
        ..attempt.clone()
    };
    for attempt in [&attempt, &last] {
        given.store.save_attempt(attempt).await.unwrap();
    }
    for attempt in [&attempt, &last] {
        given.store.enqueue(NewJob::report_attempt(issue, attempt.id), given.clock.now()).await.unwrap();
        settle(&given, issue).await;
    }
    let jobs = given.jobs(issue).await;
    let done = |kind| jobs.iter().filter(|it| it.kind() == kind && it.state == JobState::Done).count();
    assert_eq!((done(JobKind::Ticket), done(JobKind::Announce)), (2, 1), "{jobs:#?}");
    let told = ticket(&given, issue).await.comments;
    assert_eq!(told.len(), 2);
    assert!(told[0].body.contains("**Attempt 1: no fix was found.**"), "{}", told[0].body);
    assert!(told[0].body.contains("```diff\ndiff --git a/shop.py b/shop.py"), "{}", told[0].body);
    assert!(told[1].body.contains("**Attempt 2: the error could not be reproduced"), "{}", told[1].body);
}

#[tokio::test]
async fn an_error_that_is_back_is_told_and_fixed_again() {
    let given = Given::local().await;
    let issue = given.issue(TITLE, vec![NewJob::open_ticket(false)]).await;
    given.attempt(issue, PATCH).await;
    settle(&given, issue).await;
    let mut again = NewJob::report_reopened(true, given.clock.now());
    again.issue = Some(issue);
    given.store.enqueue(again, given.clock.now()).await.unwrap();
    let jobs = settle(&given, issue).await;
    let fix = jobs.iter().find(|job| job.kind() == JobKind::Fix).expect("a fix was queued");
    assert_eq!(
        (fix.state, jobs.iter().filter(|job| job.kind() == JobKind::Fix).count()),
        (JobState::Queued, 1)
    );
    let told = ticket(&given, issue).await.comments;
    assert_eq!(told.len(), 1);
    assert!(told[0].body.contains("The error is back: seen 3 times"), "{}", told[0].body);
}

#[tokio::test]
async fn an_error_that_is_back_is_fixed_again_after_a_fix_that_died_before_its_first_attempt() {
    let given = Given::local().await;
    let issue = given.issue(TITLE, vec![NewJob::open_ticket(true)]).await;
    settle(&given, issue).await;
    let now = given.clock.now();
    let lease =
        given.store.lease(&[JobKind::Fix], "test", now, Duration::from_secs(60)).await.unwrap().unwrap();
    let died = StageOutcome::failed("the repository is away");
    given.store.complete(lease.job.id, lease.token, died, None, now).await.unwrap();
    let mut again = NewJob::report_reopened(true, now);
    again.issue = Some(issue);
    let again = given.store.enqueue(again, now).await.unwrap();

    // Killed after the fix was queued and before that was complete; meanwhile the fix came to its end.
    let stage = given.local_stages().await.remove(0);
    let reopening = async || {
        let now = given.clock.now();
        let kinds = [JobKind::Ticket];
        let lease = given.store.lease(&kinds, "test", now, Duration::from_secs(60)).await.unwrap().unwrap();
        assert_eq!(lease.job.id, again);
        let saves = Saves { store: Arc::clone(&given.store), lease: lease.clone() };
        let context = StageContext { job: lease.job, stop: Shutdown::new(), progress: Arc::new(saves) };
        stage.run(context).await
    };
    reopening().await;
    let fixes = |jobs: Vec<Job>| jobs.into_iter().filter(|job| job.kind() == JobKind::Fix).count();
    assert_eq!(fixes(given.jobs(issue).await), 2, "another fix is queued");
    assert_eq!(given.detail(issue).await.issue.state, IssueState::Fixing);
    given.hands.put_forward(61);
    let now = given.clock.now();
    let lease =
        given.store.lease(&[JobKind::Fix], "test", now, Duration::from_secs(60)).await.unwrap().unwrap();
    let done = StageOutcome::done("attempt 1: gave_up", Vec::new());
    given.store.complete(lease.job.id, lease.token, done, None, now).await.unwrap();
    reopening().await;
    assert_eq!(fixes(given.jobs(issue).await), 2, "and not a third one");
}

/// Saves a job's progress and shows nothing.
#[derive(Debug)]
struct Saves {
    store: Arc<dyn Store>,
    lease: Lease,
}

#[async_trait::async_trait]
impl Progress for Saves {
    async fn step(&self, _: &'static str, _: &str) {}

    async fn save(&self, state: &str) -> Result<(), ProgressError> {
        let now = SystemClock.now();
        let saved = self.store.save_progress(self.lease.job.id, self.lease.token, state, now).await;
        saved.map_err(|error| ProgressError::Store(error.into()))
    }
}

#[tokio::test]
async fn an_issue_whose_ticket_cannot_be_opened_is_announced_all_the_same() {
    let given = Given::local().await;
    let issue = given.issue(TITLE, vec![NewJob::open_ticket(true)]).await;
    let repos = given.repos(FetchTokens::default()).await;
    let working = given.work(given.stages(vec![], vec![], repos, vec![]), quick());
    let jobs = given.quiet(issue).await;
    working.stopped().await;
    assert_eq!(kinds(&jobs), [("ticket", JobState::Dead), ("announce", JobState::Done)]);
    assert!(story(&given, issue).await.contains(&"ticket not opened".to_owned()));
}

#[tokio::test]
async fn a_muted_issue_is_neither_announced_nor_fixed() {
    use homeostat::model::issue::IssueEvent;
    use homeostat::store::types::TimelineEntry;
    let given = Given::local().await;
    let issue = given.issue(TITLE, vec![NewJob::open_ticket(true)]).await;
    let entry = TimelineEntry {
        at: given.clock.now(),
        actor: "ada".to_owned(),
        what: "muted".to_owned(),
        detail: String::new(),
    };
    let event = IssueEvent::Muted { until: None };
    given.store.apply_issue_event(issue, event, vec![], entry).await.unwrap();
    let jobs = settle(&given, issue).await;
    assert_eq!(kinds(&jobs), [("ticket", JobState::Done)]);
}
