//! Leases, retries, panics, pauses, stops: the worker over a real store, with stages made for the purpose.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use homeostat::base::id::{JobId, ProposalId};
use homeostat::heal::worker::Settings;
use homeostat::model::job::{JobKind, JobPayload, JobState, NewJob};
use homeostat::model::stage::{JobEnd, ProgressError, Stage, StageContext, StageOutcome, StageResult};
use homeostat::store::types::JobFilter;

use super::given::{Given, quick};
use crate::support::wait::{PATIENCE, eventually};

type Run = dyn Fn(StageContext) -> BoxFuture<'static, StageOutcome> + Send + Sync;

/// A stage that does what a test says.
struct Scripted {
    kind: JobKind,
    run: Box<Run>,
}

#[async_trait::async_trait]
impl Stage for Scripted {
    fn kind(&self) -> JobKind {
        self.kind
    }

    async fn run(&self, context: StageContext) -> StageOutcome {
        (self.run)(context).await
    }
}

fn stage<F>(kind: JobKind, run: impl Fn(StageContext) -> F + Send + Sync + 'static) -> Arc<dyn Stage>
where
    F: Future<Output = StageOutcome> + Send + 'static,
{
    Arc::new(Scripted { kind, run: Box::new(move |context| Box::pin(run(context))) })
}

/// A job of the land stage, or of the fix stage; which issue it is about does not matter here.
fn job(key: &str, kind: JobKind) -> NewJob {
    let payload = match kind {
        JobKind::Fix => JobPayload::Fix,
        JobKind::Ticket | JobKind::Propose | JobKind::Land | JobKind::Announce => {
            JobPayload::Land { proposal: ProposalId::new(), actor: "test".to_owned() }
        }
    };
    NewJob { issue: None, unique_key: key.to_owned(), priority: 0, run_at: None, payload }
}

async fn queued(given: &Given, key: &str, kind: JobKind) -> JobId {
    given.store.enqueue(job(key, kind), given.clock.now()).await.unwrap()
}

async fn until_stopped(context: StageContext) -> StageOutcome {
    context.stop.requested().await;
    StageOutcome::released()
}

#[tokio::test]
async fn an_outcome_and_its_next_jobs_become_durable() {
    let given = Given::local().await;
    let first = queued(&given, "first", JobKind::Land).await;
    let land = stage(JobKind::Land, async |context: StageContext| {
        context.progress.step("looked", "around").await;
        let next =
            if context.job.unique_key == "first" { vec![job("second", JobKind::Land)] } else { vec![] };
        StageOutcome::done("did it", next)
    });
    let working = given.work(vec![land], quick());
    let first = given.ended(first).await;
    assert_eq!((first.state, first.result.as_deref()), (JobState::Done, Some("did it")));
    let second = given.store.enqueue(job("second", JobKind::Land), given.clock.now()).await.unwrap();
    assert_eq!(given.ended(second).await.n_leases, 1, "queued by the first, run once");
    let steps = given.store.steps(first.id, 0).await.unwrap();
    assert_eq!(
        steps.iter().map(|it| (it.name.as_str(), it.detail.as_str())).collect::<Vec<_>>(),
        [("looked", "around")]
    );
    working.stopped().await;
}

#[tokio::test]
async fn failures_and_panics_are_retried_until_the_job_is_dead() {
    let given = Given::local().await;
    let id = queued(&given, "bad", JobKind::Land).await;
    let land = stage(JobKind::Land, async |context: StageContext| {
        assert!(context.job.n_failures != 1, "the {}nd time", 2);
        StageOutcome::retry("not yet", Some(Duration::from_millis(1)))
    });
    let working = given.work(vec![land], Settings { max_failures: 3, ..quick() });
    let dead = given.ended(id).await;
    assert_eq!((dead.state, dead.n_failures, dead.n_leases), (JobState::Dead, 3, 3));
    assert_eq!(dead.result.as_deref(), Some("not yet"));
    working.stopped().await;
}

#[tokio::test]
async fn a_panic_leaves_its_text() {
    let given = Given::local().await;
    let id = queued(&given, "bad", JobKind::Land).await;
    let land = stage(JobKind::Land, async |_| panic!("no more {}", "tea"));
    let working = given.work(vec![land], Settings { max_failures: 1, ..quick() });
    let dead = given.ended(id).await;
    assert_eq!(dead.result.as_deref(), Some("the stage panicked: no more tea"));
    working.stopped().await;
}

#[tokio::test]
async fn a_server_that_asks_to_wait_is_waited_for() {
    let given = Given::local().await;
    let id = queued(&given, "limited", JobKind::Land).await;
    let before = given.clock.now();
    let land =
        stage(JobKind::Land, async |_| StageOutcome::retry("asked to wait", Some(Duration::from_secs(900))));
    let working = given.work(vec![land], quick());
    let waiting = eventually("the job to wait", PATIENCE, async || {
        let job = given.job(id).await;
        (job.n_failures == 1).then_some(job)
    })
    .await;
    let wait = waiting.run_at.as_second() - before.as_second();
    assert!((899..=960).contains(&wait), "{wait}");
    working.stopped().await;
}

/// Says how its job ended, as the key of a job that follows.
struct Closing(StageOutcome);

#[async_trait::async_trait]
impl Stage for Closing {
    fn kind(&self) -> JobKind {
        JobKind::Land
    }

    async fn run(&self, context: StageContext) -> StageOutcome {
        if self.0.result == StageResult::Released {
            context.stop.requested().await;
        }
        self.0.clone()
    }

    async fn close(&self, _: &StageContext, end: &JobEnd) -> Vec<NewJob> {
        vec![job(&format!("{end:?}"), JobKind::Fix)]
    }
}

#[tokio::test]
async fn a_stage_is_told_of_the_end_of_a_job_that_is_not_done() {
    let check = async |outcome: StageOutcome, is_cancelled: bool, expected: (JobState, Option<&str>)| {
        let given = Given::local().await;
        let id = queued(&given, "x", JobKind::Land).await;
        let stages: Vec<Arc<dyn Stage>> = vec![Arc::new(Closing(outcome))];
        let working = given.work(stages, Settings { max_failures: 2, ..quick() });
        if is_cancelled {
            running(&given, id).await;
            given.store.cancel_job(id, "ada", given.clock.now()).await.unwrap();
        }
        let ended = given.ended(id).await;
        working.stopped().await;
        let filter = JobFilter { kind: Some(JobKind::Fix), ..JobFilter::default() };
        let jobs = given.store.jobs(&filter).await.unwrap();
        let said: Vec<String> = jobs.into_iter().map(|job| job.unique_key).collect();
        let expected_said: Vec<String> = expected.1.map(str::to_owned).into_iter().collect();
        assert_eq!((ended.state, said), (expected.0, expected_said));
    };
    check(StageOutcome::done("x", vec![]), false, (JobState::Done, None)).await;
    let dead = Some("Dead { reason: \"why\" }");
    check(StageOutcome::failed("why"), false, (JobState::Dead, dead)).await;
    // Once, after the last of two.
    check(StageOutcome::retry("why", None), false, (JobState::Dead, dead)).await;
    check(StageOutcome::released(), true, (JobState::Cancelled, Some("Cancelled"))).await;
}

#[tokio::test]
async fn a_failure_for_good_is_not_repeated() {
    let given = Given::local().await;
    let id = queued(&given, "hopeless", JobKind::Land).await;
    let land = stage(JobKind::Land, async |_| StageOutcome::failed("a person must look"));
    let working = given.work(vec![land], quick());
    let dead = given.ended(id).await;
    assert_eq!((dead.state, dead.n_leases), (JobState::Dead, 1));
    working.stopped().await;
}

#[tokio::test]
async fn a_job_that_is_leased_without_end_is_dead() {
    let given = Given::local().await;
    let id = queued(&given, "killer", JobKind::Land).await;
    for _ in 0..3 {
        // What a process that dies leaves behind: a lease that nobody completes.
        let now = given.clock.now();
        given.store.lease(&[JobKind::Land], "dead", now, Duration::ZERO).await.unwrap().unwrap();
    }
    let land = stage(JobKind::Land, async |_| StageOutcome::done("never reached", vec![]));
    let working = given.work(vec![land], Settings { max_leases: 3, ..quick() });
    let dead = given.ended(id).await;
    assert_eq!((dead.state, dead.result.as_deref()), (JobState::Dead, Some("leased 4 times without an end")));
    working.stopped().await;
}

#[tokio::test]
async fn a_cancel_stops_the_running_stage() {
    let given = Given::local().await;
    let id = queued(&given, "long", JobKind::Land).await;
    let working = given.work(vec![stage(JobKind::Land, until_stopped)], quick());
    running(&given, id).await;
    given.store.cancel_job(id, "ada", given.clock.now()).await.unwrap();
    assert_eq!(given.ended(id).await.state, JobState::Cancelled);
    working.stopped().await;
}

#[tokio::test]
async fn the_pause_switch_stops_what_runs_and_leases_nothing() {
    let given = Given::local().await;
    let id = queued(&given, "long", JobKind::Land).await;
    let land = stage(JobKind::Land, async |context: StageContext| {
        if context.job.n_leases > 1 {
            StageOutcome::done("after the pause", vec![])
        } else {
            until_stopped(context).await
        }
    });
    let working = given.work(vec![land], quick());
    running(&given, id).await;
    given.store.set_paused(true, "ada", given.clock.now()).await.unwrap();
    let released = eventually("the release", PATIENCE, async || {
        let job = given.job(id).await;
        (job.state == JobState::Queued).then_some(job)
    })
    .await;
    assert_eq!((released.n_leases, released.n_failures), (1, 0));
    given.store.set_paused(false, "ada", given.clock.now()).await.unwrap();
    assert_eq!(given.ended(id).await.result.as_deref(), Some("after the pause"));
    working.stopped().await;
}

#[tokio::test]
async fn a_stop_releases_what_runs_and_drops_what_does_not_listen() {
    let given = Given::local().await;
    let good = queued(&given, "good", JobKind::Land).await;
    let deaf = queued(&given, "deaf", JobKind::Fix).await;
    let stages = vec![
        stage(JobKind::Land, until_stopped),
        stage(JobKind::Fix, async |_| std::future::pending().await),
    ];
    let working = given.work(stages, quick());
    running(&given, good).await;
    running(&given, deaf).await;
    working.stopped().await;
    for id in [good, deaf] {
        let job = given.job(id).await;
        assert_eq!((job.state, job.n_failures), (JobState::Queued, 0), "{}", job.unique_key);
    }
}

#[tokio::test]
async fn a_lost_lease_writes_nothing() {
    let given = Given::local().await;
    let id = queued(&given, "slow", JobKind::Land).await;
    let saved = Arc::new(std::sync::Mutex::new(None));
    let seen = Arc::clone(&saved);
    let land = stage(JobKind::Land, move |context: StageContext| {
        let seen = Arc::clone(&seen);
        async move {
            // Somebody else takes the job over and ends it, meanwhile.
            while !matches!(context.progress.save("{}").await, Err(ProgressError::LeaseLost)) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            context.progress.step("too late", "").await;
            *seen.lock().unwrap() = Some(context.stop.is_requested());
            StageOutcome::done("too late", vec![job("ghost", JobKind::Land)])
        }
    });
    let settings = Settings {
        lease_ttl: Duration::from_millis(200),
        heartbeat_every: Duration::from_secs(3_600),
        ..quick()
    };
    let working = given.work(vec![land], settings);
    running(&given, id).await;
    let lease = eventually("the lease to expire", PATIENCE, async || {
        let now = given.clock.now();
        given.store.lease(&[JobKind::Land], "other", now, Duration::from_secs(60)).await.unwrap()
    })
    .await;
    let outcome = StageOutcome::done("by the other", vec![]);
    given.store.complete(id, lease.token, outcome, None, given.clock.now()).await.unwrap();
    eventually("the stage to notice", PATIENCE, async || *saved.lock().unwrap()).await;
    working.stopped().await;
    assert_eq!(*saved.lock().unwrap(), Some(true), "the stage is told to stop at once");
    assert_eq!(given.job(id).await.result.as_deref(), Some("by the other"));
    assert!(given.store.steps(id, 0).await.unwrap().is_empty());
    let ghost = given.store.enqueue(job("ghost", JobKind::Land), given.clock.now()).await.unwrap();
    assert_eq!(given.job(ghost).await.n_leases, 0, "its next job was never queued");
}

#[tokio::test]
async fn short_jobs_never_wait_behind_fixes() {
    let given = Given::local().await;
    for n in 0..5 {
        queued(&given, &format!("fix {n}"), JobKind::Fix).await;
    }
    let n_running = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let (running, peak) = (Arc::clone(&n_running), Arc::clone(&most));
    let fix = stage(JobKind::Fix, move |context: StageContext| {
        let (running, peak) = (Arc::clone(&running), Arc::clone(&peak));
        async move {
            peak.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            let outcome = until_stopped(context).await;
            running.fetch_sub(1, Ordering::SeqCst);
            outcome
        }
    });
    let land = stage(JobKind::Land, async |_| StageOutcome::done("at once", vec![]));
    let working = given.work(vec![fix, land], Settings { n_fixes: 2, ..quick() });
    eventually("two fixes", PATIENCE, async || (n_running.load(Ordering::SeqCst) == 2).then_some(())).await;
    let short = queued(&given, "short", JobKind::Land).await;
    assert_eq!(given.ended(short).await.state, JobState::Done);
    assert_eq!(most.load(Ordering::SeqCst), 2, "no more fixes at once than the limit");
    working.stopped().await;
}

#[tokio::test]
async fn two_workers_run_each_job_once() {
    let given = Given::local().await;
    let n_runs = Arc::new(AtomicUsize::new(0));
    let counted = || {
        let n_runs = Arc::clone(&n_runs);
        stage(JobKind::Land, move |_| {
            let n_runs = Arc::clone(&n_runs);
            async move {
                n_runs.fetch_add(1, Ordering::SeqCst);
                StageOutcome::done("", vec![])
            }
        })
    };
    let (first, second) = (given.work(vec![counted()], quick()), given.work(vec![counted()], quick()));
    let mut ids = Vec::new();
    for n in 0..40 {
        ids.push(queued(&given, &format!("job {n}"), JobKind::Land).await);
    }
    for id in ids {
        given.ended(id).await;
    }
    assert_eq!(n_runs.load(Ordering::SeqCst), 40);
    first.stopped().await;
    second.stopped().await;
}

async fn running(given: &Given, id: JobId) {
    eventually("the job to run", PATIENCE, async || {
        (given.job(id).await.state == JobState::Running).then_some(())
    })
    .await;
}
