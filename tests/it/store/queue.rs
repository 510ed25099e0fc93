//! The queue: who gets which job, and everything that ends a lease.

#![expect(clippy::unwrap_used, reason = "stories are functions, not `#[test]`s themselves")]

use std::time::Duration;

use homeostat::base::id::{AttemptId, IssueId, JobId, LeaseToken};
use homeostat::model::issue::IssueState;
use homeostat::model::job::{Heartbeat, Job, JobKind, JobPayload, JobState, JobStep, Lease, NewJob};
use homeostat::model::notice::NoticeKind;
use homeostat::model::stage::StageOutcome;
use homeostat::store::types::{AuditEntry, JobFilter};
use homeostat::store::{Store, StoreError};

use super::given::{Db, at, commit_one, group, stories};

stories! {
    a_job_is_stored_whole_and_queued_once,
    the_highest_priority_runs_first_then_the_oldest,
    a_lease_is_held_until_it_expires,
    progress_is_saved_under_the_lease_only,
    a_result_and_its_next_jobs_come_together,
    a_retry_waits_and_a_release_does_not,
    waiting_for_what_is_away_counts_as_nothing,
    a_job_out_of_tries_is_dead_and_can_be_requeued,
    a_queued_job_is_cancelled_at_once,
    a_running_job_is_cancelled_at_its_heartbeat,
    a_cancelled_job_whose_worker_is_gone_ends,
    nothing_is_leased_while_paused,
    a_fix_moves_its_issue_and_back,
    steps_are_numbered,
    jobs_are_listed_newest_first,
    a_missing_job_is_said_to_be_missing,
}

const TTL: Duration = Duration::from_secs(60);
const ALL: &[JobKind] = &JobKind::ALL;

async fn issue(store: &dyn Store) -> IssueId {
    commit_one(store, group(1, 0), 0).await.issue
}

fn job(issue: IssueId, about: &str) -> NewJob {
    NewJob::announce(issue, NoticeKind::IssueOpened, None, None, about)
}

async fn lease(store: &dyn Store, second: i64) -> Option<Lease> {
    store.lease(ALL, "test", at(second), TTL).await.unwrap()
}

/// Leases what must be there.
async fn leased(store: &dyn Store, second: i64) -> (Job, LeaseToken) {
    let lease = lease(store, second).await.expect("a job is due");
    (lease.job, lease.token)
}

async fn refused(store: &dyn Store, job: JobId, token: LeaseToken, second: i64) {
    let lost = |error| matches!(error, StoreError::LeaseLost { job: lost } if lost == job);
    assert_eq!(store.heartbeat(job, token, at(second), TTL).await.unwrap(), Heartbeat::Lost);
    assert!(lost(store.save_progress(job, token, "{}", at(second)).await.unwrap_err()));
    let outcome = StageOutcome::done("late", vec![]);
    assert!(lost(store.complete(job, token, outcome, None, at(second)).await.unwrap_err()));
}

async fn a_job_is_stored_whole_and_queued_once(db: Db) {
    let issue = issue(&*db.store).await;
    let new = NewJob { run_at: Some(at(50)), ..job(issue, "x") };
    let id = db.store.enqueue(new.clone(), at(1)).await.unwrap();
    let again = NewJob { priority: 99, ..new };
    assert_eq!(db.store.enqueue(again, at(2)).await.unwrap(), id);
    let mut expected = Job {
        id,
        issue: Some(issue),
        unique_key: "announce:issue_opened:x".to_owned(),
        priority: 5,
        run_at: at(50),
        state: JobState::Queued,
        n_failures: 0,
        n_leases: 0,
        payload: JobPayload::Announce { kind: NoticeKind::IssueOpened, attempt: None, proposal: None },
        progress: None,
        result: None,
        is_cancel_requested: false,
        created_at: at(1),
        updated_at: at(1),
    };
    assert_eq!(db.store.job(id).await.unwrap(), expected);
    assert_eq!(lease(&*db.store, 49).await, None);
    let lease = lease(&*db.store, 50).await.unwrap();
    expected.state = JobState::Running;
    expected.n_leases = 1;
    expected.updated_at = at(50);
    assert_eq!(lease, Lease { job: expected, token: lease.token, expires_at: at(110) });
}

async fn the_highest_priority_runs_first_then_the_oldest(db: Db) {
    let issue = issue(&*db.store).await;
    let queue = [("late", 5, 9), ("urgent", 7, 10), ("early", 5, 8), ("not yet", 9, 100)];
    for (name, priority, run_at) in queue {
        let new = NewJob { priority, run_at: Some(at(run_at)), ..job(issue, name) };
        db.store.enqueue(new, at(1)).await.unwrap();
    }
    db.store.enqueue(NewJob::fix(issue, 0), at(1)).await.unwrap();
    let announce = &[JobKind::Announce];
    let mut order = Vec::new();
    while let Some(lease) = db.store.lease(announce, "test", at(10), TTL).await.unwrap() {
        order.push(lease.job.unique_key.rsplit(':').next().unwrap().to_owned());
    }
    assert_eq!(order, ["urgent", "early", "late"]);
    assert_eq!(db.store.lease(&[], "test", at(10), TTL).await.unwrap(), None);
    assert_eq!(leased(&*db.store, 10).await.0.kind(), JobKind::Fix);
}

async fn a_lease_is_held_until_it_expires(db: Db) {
    let issue = issue(&*db.store).await;
    let id = db.store.enqueue(job(issue, "x"), at(1)).await.unwrap();
    let (_, first) = leased(&*db.store, 10).await;
    assert_eq!(lease(&*db.store, 69).await, None);
    assert_eq!(db.store.heartbeat(id, first, at(69), TTL).await.unwrap(), Heartbeat::Extended);
    refused(&*db.store, id, LeaseToken::new(), 70).await;
    assert_eq!(lease(&*db.store, 128).await, None);
    // Expired at 129: lost even before somebody else takes it.
    refused(&*db.store, id, first, 129).await;
    let (job, second) = leased(&*db.store, 129).await;
    assert_eq!((job.id, job.n_leases, job.n_failures), (id, 2, 0));
    refused(&*db.store, id, first, 130).await;
    db.store.complete(id, second, StageOutcome::done("ok", vec![]), None, at(131)).await.unwrap();
    refused(&*db.store, id, second, 132).await;
    assert_eq!(db.store.job(id).await.unwrap().result.as_deref(), Some("ok"));
}

async fn progress_is_saved_under_the_lease_only(db: Db) {
    let issue = issue(&*db.store).await;
    let id = db.store.enqueue(job(issue, "x"), at(1)).await.unwrap();
    let (_, token) = leased(&*db.store, 10).await;
    db.store.save_progress(id, token, r#"{"step":1}"#, at(11)).await.unwrap();
    db.store.save_progress(id, token, r#"{"step":2}"#, at(12)).await.unwrap();
    let (job, _) = leased(&*db.store, 100).await;
    assert_eq!(job.progress.as_deref(), Some(r#"{"step":2}"#));
    refused(&*db.store, id, token, 101).await;
    assert_eq!(db.store.job(id).await.unwrap().progress, job.progress);
}

async fn a_result_and_its_next_jobs_come_together(db: Db) {
    let issue = issue(&*db.store).await;
    let id = db.store.enqueue(job(issue, "x"), at(1)).await.unwrap();
    let (_, token) = leased(&*db.store, 10).await;
    let stranger = NewJob::fix(IssueId::new(), 0);
    let impossible = StageOutcome::done("done", vec![job(issue, "y"), stranger]);
    db.store.complete(id, token, impossible, None, at(11)).await.unwrap_err();
    assert_eq!(db.store.job(id).await.unwrap().state, JobState::Running);
    assert_eq!(db.store.jobs(&JobFilter::default()).await.unwrap().len(), 1);

    let attempt = AttemptId::new();
    let next = vec![job(issue, "x"), NewJob { issue: None, ..NewJob::report_attempt(issue, attempt) }];
    db.store.complete(id, token, StageOutcome::done("done", next), None, at(12)).await.unwrap();
    let done = db.store.job(id).await.unwrap();
    assert_eq!((done.state, done.result.as_deref(), done.updated_at), (JobState::Done, Some("done"), at(12)));
    let queued = JobFilter { state: Some(JobState::Queued), ..JobFilter::default() };
    let next = db.store.jobs(&queued).await.unwrap();
    assert_eq!(next.len(), 1, "the key of the job itself is taken: {next:?}");
    assert_eq!((next[0].issue, next[0].run_at), (Some(issue), at(12)));
    assert_eq!(next[0].payload, JobPayload::ReportAttempt { attempt });
}

async fn a_retry_waits_and_a_release_does_not(db: Db) {
    let issue = issue(&*db.store).await;
    let id = db.store.enqueue(job(issue, "x"), at(1)).await.unwrap();
    let (_, token) = leased(&*db.store, 10).await;
    let retry = StageOutcome::retry("away", None);
    db.store.complete(id, token, retry, Some(at(30)), at(11)).await.unwrap();
    assert_eq!(lease(&*db.store, 29).await, None);
    let (job, token) = leased(&*db.store, 30).await;
    assert_eq!((job.n_failures, job.n_leases, job.result.as_deref()), (1, 2, Some("away")));
    db.store.complete(id, token, StageOutcome::released(), None, at(31)).await.unwrap();
    let (job, _) = leased(&*db.store, 31).await;
    assert_eq!((job.n_failures, job.n_leases, job.result.as_deref()), (1, 3, Some("away")));
}

async fn waiting_for_what_is_away_counts_as_nothing(db: Db) {
    let issue = issue(&*db.store).await;
    let id = db.store.enqueue(job(issue, "x"), at(1)).await.unwrap();
    for second in [10, 20, 30] {
        let (_, token) = leased(&*db.store, second).await;
        let outcome = StageOutcome::postponed("the model is busy", Duration::from_secs(10));
        db.store.complete(id, token, outcome, Some(at(second + 10)), at(second)).await.unwrap();
        assert_eq!(lease(&*db.store, second + 9).await, None);
        let job = db.store.job(id).await.unwrap();
        let seen = (job.state, job.n_failures, job.n_leases, job.result.as_deref());
        assert_eq!(seen, (JobState::Queued, 0, 0, Some("the model is busy")));
    }
}

async fn a_job_out_of_tries_is_dead_and_can_be_requeued(db: Db) {
    let issue = issue(&*db.store).await;
    let id = db.store.enqueue(job(issue, "x"), at(1)).await.unwrap();
    for (outcome, second) in [(StageOutcome::retry("away", None), 10), (StageOutcome::failed("no"), 20)] {
        let (_, token) = leased(&*db.store, second).await;
        db.store.complete(id, token, outcome, None, at(second)).await.unwrap();
        let dead = db.store.job(id).await.unwrap();
        assert_eq!((dead.state, dead.n_failures), (JobState::Dead, 1));
        assert_eq!(lease(&*db.store, second).await, None);
        let again = db.store.requeue_job(id, "ada", at(second + 1)).await.unwrap();
        assert_eq!((again.state, again.n_failures, &again.result), (JobState::Queued, 0, &None));
        assert_eq!(db.store.job(id).await.unwrap(), again);
        // Twice is once.
        assert_eq!(db.store.requeue_job(id, "ada", at(second + 2)).await.unwrap(), again);
    }
    let actions: Vec<_> = db.store.audit_entries(0).await.unwrap().into_iter().map(|it| it.action).collect();
    assert_eq!(actions, ["requeue job", "requeue job"]);
}

async fn a_queued_job_is_cancelled_at_once(db: Db) {
    let issue = issue(&*db.store).await;
    let id = db.store.enqueue(job(issue, "x"), at(1)).await.unwrap();
    let cancelled = db.store.cancel_job(id, "ada", at(2)).await.unwrap();
    assert_eq!((cancelled.state, cancelled.updated_at), (JobState::Cancelled, at(2)));
    assert_eq!(db.store.cancel_job(id, "ada", at(3)).await.unwrap(), cancelled);
    assert_eq!(lease(&*db.store, 4).await, None);
    let entries = db.store.audit_entries(0).await.unwrap();
    let hash = entries[0].hash.clone();
    let expected = AuditEntry {
        seq: 1,
        at: at(2),
        actor: "ada".to_owned(),
        action: "cancel job".to_owned(),
        subject: format!("job {id}"),
        detail: "announce, announce:issue_opened:x".to_owned(),
        hash,
    };
    assert_eq!(entries, [expected]);
    db.store.requeue_job(id, "ada", at(5)).await.unwrap();
    assert_eq!(leased(&*db.store, 5).await.0.id, id);
}

async fn a_running_job_is_cancelled_at_its_heartbeat(db: Db) {
    let issue = issue(&*db.store).await;
    for (name, outcome, expected) in [
        ("released", StageOutcome::released(), JobState::Cancelled),
        ("retry", StageOutcome::retry("stopped", None), JobState::Cancelled),
        ("done", StageOutcome::done("was quicker", vec![]), JobState::Done),
    ] {
        let id = db.store.enqueue(job(issue, name), at(1)).await.unwrap();
        let (_, token) = leased(&*db.store, 10).await;
        let asked = db.store.cancel_job(id, "ada", at(11)).await.unwrap();
        assert_eq!((asked.state, asked.is_cancel_requested), (JobState::Running, true));
        assert_eq!(db.store.heartbeat(id, token, at(12), TTL).await.unwrap(), Heartbeat::CancelRequested);
        db.store.complete(id, token, outcome, Some(at(13)), at(13)).await.unwrap();
        assert_eq!(db.store.job(id).await.unwrap().state, expected, "{name}");
        assert_eq!(lease(&*db.store, 200).await, None);
    }
}

async fn a_cancelled_job_whose_worker_is_gone_ends(db: Db) {
    let issue = issue(&*db.store).await;
    let id = db.store.enqueue(NewJob::fix(issue, 0), at(1)).await.unwrap();
    leased(&*db.store, 10).await;
    db.store.cancel_job(id, "ada", at(11)).await.unwrap();
    assert_eq!(lease(&*db.store, 69).await, None);
    assert_eq!(db.store.job(id).await.unwrap().state, JobState::Running);
    assert_eq!(lease(&*db.store, 70).await, None);
    assert_eq!(db.store.job(id).await.unwrap().state, JobState::Cancelled);
    assert_eq!(db.store.issue(issue).await.unwrap().state, IssueState::NeedsPerson);
}

async fn nothing_is_leased_while_paused(db: Db) {
    let issue = issue(&*db.store).await;
    let running = db.store.enqueue(job(issue, "x"), at(1)).await.unwrap();
    let (_, token) = leased(&*db.store, 10).await;
    db.store.enqueue(job(issue, "y"), at(1)).await.unwrap();
    assert!(!db.store.is_paused().await.unwrap());
    db.store.set_paused(true, "ada", at(11)).await.unwrap();
    assert_eq!(lease(&*db.store, 12).await, None);
    assert_eq!(db.store.heartbeat(running, token, at(12), TTL).await.unwrap(), Heartbeat::Paused);
    // It holds for every process, and for the next one.
    let other = db.opened_again().await;
    assert!(other.is_paused().await.unwrap());
    assert_eq!(lease(&*other, 12).await, None);
    other.set_paused(false, "bob", at(13)).await.unwrap();
    assert_eq!(db.store.heartbeat(running, token, at(14), TTL).await.unwrap(), Heartbeat::Extended);
    assert_eq!(leased(&*db.store, 14).await.0.unique_key, "announce:issue_opened:y");
    let entries = db.store.audit_entries(0).await.unwrap();
    let told: Vec<_> = entries.iter().map(|it| (it.actor.as_str(), it.action.as_str())).collect();
    assert_eq!(told, [("bob", "resume"), ("ada", "pause")]);
}

async fn a_fix_moves_its_issue_and_back(db: Db) {
    let issue = issue(&*db.store).await;
    let state = async || db.store.issue(issue).await.unwrap().state;
    let id = db.store.enqueue(NewJob::fix(issue, 0), at(1)).await.unwrap();
    assert_eq!(state().await, IssueState::Fixing);
    let (_, token) = leased(&*db.store, 10).await;
    db.store.complete(id, token, StageOutcome::failed("no engine"), None, at(11)).await.unwrap();
    assert_eq!(state().await, IssueState::NeedsPerson);
    db.store.requeue_job(id, "ada", at(12)).await.unwrap();
    assert_eq!(state().await, IssueState::Fixing);
    db.store.cancel_job(id, "ada", at(13)).await.unwrap();
    assert_eq!(state().await, IssueState::NeedsPerson);
    // A fix that follows from another job, as after a ticket.
    db.store.enqueue(NewJob { issue: Some(issue), ..NewJob::open_ticket(true) }, at(20)).await.unwrap();
    let (ticket, token) = leased(&*db.store, 21).await;
    let next = StageOutcome::done("opened", vec![NewJob::fix(issue, 1)]);
    db.store.complete(ticket.id, token, next, None, at(22)).await.unwrap();
    assert_eq!(state().await, IssueState::Fixing);
    // Its proposal, which nobody runs any more either.
    let propose = NewJob::propose(issue, AttemptId::new());
    let id = db.store.enqueue(propose, at(30)).await.unwrap();
    let lease = db.store.lease(&[JobKind::Propose], "me", at(31), Duration::from_secs(60)).await.unwrap();
    let away = StageOutcome::retry("the forge is away", None);
    db.store.complete(id, lease.unwrap().token, away, None, at(32)).await.unwrap();
    assert_eq!(state().await, IssueState::NeedsPerson);
    let timeline = db.store.issue_detail(issue).await.unwrap().timeline;
    let told: Vec<_> = timeline.iter().map(|it| (it.what.as_str(), it.detail.as_str())).collect();
    let expected = [
        ("issue opened", "ValueError: order 1"),
        ("fix queued", ""),
        ("fix stopped", "no engine"),
        ("fix queued", ""),
        ("fix stopped", "cancelled by ada"),
        ("fix queued", ""),
        ("proposal stopped", "the forge is away"),
    ];
    assert_eq!(told, expected);
}

async fn steps_are_numbered(db: Db) {
    let issue = issue(&*db.store).await;
    let id = db.store.enqueue(job(issue, "x"), at(1)).await.unwrap();
    let step = |seq: i64, name: &str| JobStep {
        job: id,
        seq,
        at: at(seq),
        name: name.to_owned(),
        detail: format!("{name} in detail"),
    };
    let expected = [step(1, "clone"), step(2, "model call"), step(3, "model call")];
    for JobStep { at, name, detail, .. } in &expected {
        db.store.add_step(id, *at, name, detail).await.unwrap();
    }
    assert_eq!(db.store.steps(id, 0).await.unwrap(), expected);
    assert_eq!(db.store.steps(id, 2).await.unwrap(), expected[2..]);
    assert_eq!(db.store.steps(JobId::new(), 0).await.unwrap(), []);
}

async fn jobs_are_listed_newest_first(db: Db) {
    let issue = issue(&*db.store).await;
    let other = commit_one(&*db.store, group(2, 0), 0).await.issue;
    let mut ids = Vec::new();
    for (second, new) in [(1, job(issue, "a")), (2, NewJob::fix(other, 0)), (3, job(other, "b"))] {
        ids.push(db.store.enqueue(new, at(second)).await.unwrap());
    }
    db.store.cancel_job(ids[2], "ada", at(4)).await.unwrap();
    let all = JobFilter::default();
    let cases = [
        (all.clone(), vec![ids[2], ids[1], ids[0]]),
        (JobFilter { limit: 2, ..all.clone() }, vec![ids[2], ids[1]]),
        (JobFilter { issue: Some(other), ..all.clone() }, vec![ids[2], ids[1]]),
        (JobFilter { kind: Some(JobKind::Fix), ..all.clone() }, vec![ids[1]]),
        (JobFilter { state: Some(JobState::Queued), ..all.clone() }, vec![ids[1], ids[0]]),
        (JobFilter { issue: Some(other), state: Some(JobState::Cancelled), ..all }, vec![ids[2]]),
    ];
    for (filter, expected) in cases {
        let listed: Vec<_> = db.store.jobs(&filter).await.unwrap().iter().map(|job| job.id).collect();
        assert_eq!(listed, expected, "{filter:?}");
    }
}

async fn a_missing_job_is_said_to_be_missing(db: Db) {
    let id = JobId::new();
    let expected = format!("there is no job `{id}`");
    assert_eq!(db.store.job(id).await.unwrap_err().to_string(), expected);
    assert_eq!(db.store.cancel_job(id, "ada", at(1)).await.unwrap_err().to_string(), expected);
    assert_eq!(db.store.requeue_job(id, "ada", at(1)).await.unwrap_err().to_string(), expected);
    assert_eq!(db.store.add_step(id, at(1), "a", "b").await.unwrap_err().to_string(), expected);
    refused(&*db.store, id, LeaseToken::new(), 1).await;
}
