//! Stopped, killed and cut off: nothing is done twice, nothing is left.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::time::{Duration, Instant};

use homeostat::agent::scripted::script::Instead;
use homeostat::base::clock::{Clock, SystemClock};
use homeostat::base::id::ReservationId;
use homeostat::heal::fix::FixStage;
use homeostat::model::attempt::Outcome;
use homeostat::model::job::JobPayload;
use homeostat::model::money::NanoUsd;
use homeostat::model::stage::{JobEnd, Stage, StageOutcome, StageResult};
use homeostat::repo::patch::Patch;
use homeostat::store::types::{NewReservation, Reserved, SpendLimits};

use super::given::{Desk, Given, RECORD, SHOP, model};
use super::play::{N_RIGHT_CALLS, always, right_fix, run};
use crate::support::wait::{PATIENCE, eventually};

/// Stops the job at `step`, runs it again, and looks at the whole.
async fn stop_and_go_on(step: &str) {
    let mut given = Given::new(SHOP).await;
    let model = model(always(right_fix())).await;
    let leased = given.lease_fix_of(RECORD).await;
    let desk = Desk::stopping_at(step);
    let outcome = given.run_until(&leased, &model, &desk).await;
    assert_eq!(outcome, StageOutcome::released(), "stopped at {step}: {:#?}", desk.steps());
    assert_eq!(given.containers().await, Vec::<String>::new());
    given.release(&leased).await;

    let again = given.lease().await;
    let desk = Desk::default();
    given.run_until(&again, &model, &desk).await;
    let attempt = given.attempt().await;
    assert_eq!(attempt.outcome, Some(Outcome::Fixed), "{attempt:#?}\n{:#?}", desk.steps());
    // The server refuses a history that is not the one it knows, so the prefix was the same byte for byte.
    assert_eq!(attempt.n_tool_calls, N_RIGHT_CALLS);
    let spent = given.store.spend_of_attempt(attempt.id).await.unwrap();
    assert!(spent.total() >= model.books().cost && spent.reserved == NanoUsd::ZERO, "{spent:?}");
    let runs = desk.steps().iter().filter(|step| step.starts_with("baseline")).count();
    assert_eq!(runs, usize::from(step.starts_with("clone")), "the baseline is run once: {:#?}", desk.steps());
}

#[tokio::test]
async fn a_stop_before_the_agent() {
    stop_and_go_on("clone").await;
}

#[tokio::test]
async fn a_stop_in_the_middle_of_the_agents_work() {
    stop_and_go_on("tool run: edit_file").await;
}

/// A snapshot brings back the bytes, whatever the repository says about line ends.
#[tokio::test]
async fn a_stop_in_a_repository_with_attributes() {
    let mut files = SHOP.to_vec();
    files.push((".gitattributes", "* text=auto eol=crlf\n"));
    let mut given = Given::new(&files).await;
    let model = model(always(right_fix())).await;
    let leased = given.lease_fix_of(RECORD).await;
    let desk = Desk::stopping_at("export");
    assert_eq!(given.run_until(&leased, &model, &desk).await, StageOutcome::released());
    given.release(&leased).await;
    let again = given.lease().await;
    given.run(&again, &model).await;
    let attempt = given.attempt().await;
    assert_eq!(attempt.outcome, Some(Outcome::Fixed), "{attempt:#?}");
    assert!(!attempt.patch.contains('\r'), "{}", attempt.patch);
    let patch = Patch::parse(&attempt.patch).unwrap();
    assert_eq!(patch.files[0].n_changed(), (1, 1), "{}", attempt.patch);
}

#[tokio::test]
async fn a_stop_in_the_validation() {
    stop_and_go_on("validate: with the change").await;
}

#[tokio::test]
async fn a_killed_attempt_goes_on_from_its_transcript() {
    let mut given = Given::new(SHOP).await;
    let model = model(always(right_fix())).await;
    let leased = given.lease_fix_of(RECORD).await;
    let desk = Desk::default();
    let stage = FixStage::new(given.parts(&model).await);
    let job = tokio::spawn({
        let context = given.context(&leased, &desk);
        async move { stage.run(context).await }
    });
    // In the tool run after the test was written and run: the sixth entry of the script's history is under way.
    eventually("the edit", PATIENCE, async || {
        desk.steps().iter().any(|step| step.starts_with("tool run: edit_file")).then_some(())
    })
    .await;
    job.abort();
    job.await.unwrap_err();
    let killed = given.attempt().await;
    let before = given.store.transcript(killed.id).await.unwrap();
    // As if the kill had come between a reservation and its entry in the transcript.
    let stray = NewReservation {
        id: ReservationId::new(),
        attempt: killed.id,
        issue: killed.issue,
        service: "shop".to_owned(),
        model: killed.model,
        amount: NanoUsd(1_000_000),
        at: SystemClock.now(),
    };
    let limit = NanoUsd::from_usd(9.0);
    let limits = SpendLimits { per_attempt: limit, per_issue: limit, per_day: limit, ..SpendLimits::NONE };
    assert_eq!(given.store.reserve(stray, limits).await.unwrap(), Reserved::Granted);
    given.release(&leased).await;

    let again = given.lease().await;
    given.run(&again, &model).await;
    let attempt = given.attempt().await;
    assert_eq!(attempt.outcome, Some(Outcome::Fixed), "{attempt:#?}");
    let after = given.store.transcript(attempt.id).await.unwrap();
    assert_eq!(after[..before.len()], before[..]);
    let spent = given.store.spend_of_attempt(attempt.id).await.unwrap();
    assert_eq!((spent.unsettled, attempt.cost), (NanoUsd(1_000_000), spent.total()));
    assert_eq!(attempt.n_tool_calls, N_RIGHT_CALLS);
    eventually("no container is left", PATIENCE, async || given.containers().await.is_empty().then_some(()))
        .await;
}

#[tokio::test]
async fn a_job_that_dies_keeps_what_was_paid_for_and_goes_on_when_it_is_requeued() {
    let mut given = Given::new(SHOP).await;
    let mut turns = right_fix();
    turns[4].before = vec![Instead::status(401, "authentication_error")];
    let model = model(always(turns)).await;
    let leased = given.lease_fix_of(RECORD).await;
    let stage = FixStage::new(given.parts(&model).await);
    let context = given.context(&leased, &Desk::default());
    let outcome = stage.run(context.clone()).await;
    let StageResult::Failed { reason } = outcome.result else { panic!("{outcome:?}") };
    assert!(reason.contains("the model API refused the request: status 401"), "{reason}");
    assert_eq!(given.containers().await, Vec::<String>::new());

    let next = stage.close(&context, &JobEnd::Dead { reason: reason.clone() }).await;
    let attempt = given.attempt().await;
    assert_eq!((attempt.outcome, attempt.n_model_calls, attempt.n_tool_calls), (None, 4, 4));
    assert_eq!(attempt.cost, model.books().cost);
    let patch = Patch::parse(&attempt.patch).unwrap();
    assert_eq!(patch.paths(), ["shop/stats.py", "tests/test_empty.py"]);
    assert_eq!(
        next.iter().map(|job| &job.payload).collect::<Vec<_>>(),
        [&JobPayload::ReportAttempt { attempt: attempt.id }]
    );
    given.release(&leased).await;

    let again = given.lease().await;
    given.run(&again, &model).await;
    let attempt = given.attempt().await;
    assert_eq!(
        (attempt.outcome, attempt.n_tool_calls),
        (Some(Outcome::Fixed), N_RIGHT_CALLS),
        "{attempt:#?}"
    );
}

#[tokio::test]
async fn a_job_that_dies_before_its_first_attempt_is_told_and_can_be_requeued() {
    let mut given = Given::new(SHOP).await;
    let model = model(always(right_fix())).await;
    let leased = given.lease_fix_of(RECORD).await;
    let stage = FixStage::new(given.parts(&model).await);
    let context = given.context(&leased, &Desk::default());
    for _ in 0..2 {
        let next = stage.close(&context, &JobEnd::Dead { reason: "the engine is away".to_owned() }).await;
        let attempt = given.attempt().await;
        assert_eq!((attempt.number, attempt.outcome), (1, None));
        assert_eq!(next.len(), 1);
    }
    given.run(&leased, &model).await;
    let attempt = given.attempt().await;
    assert_eq!(attempt.outcome, Some(Outcome::Fixed), "{attempt:#?}");
    assert_eq!(attempt.base_commit, given.repository.git(&["rev-parse", "main"]));
}

/// Nobody is at fault when the model API is away for hours: the job waits in the queue, its container is gone, and it goes on.
#[tokio::test]
async fn a_model_api_that_is_away_is_waited_for_in_the_queue() {
    let mut given = Given::new(SHOP).await;
    let mut turns = right_fix();
    let headers = vec![("retry-after".to_owned(), "3600".to_owned())];
    turns[2].before = vec![Instead::Status { status: 529, kind: "overloaded_error".to_owned(), headers }];
    let model = model(always(turns)).await;
    let leased = given.lease_fix_of(RECORD).await;
    let desk = Desk::default();
    let outcome = given.run_until(&leased, &model, &desk).await;
    let StageResult::Postponed { reason, after } = &outcome.result else { panic!("{outcome:?}") };
    assert_eq!(*after, Duration::from_secs(3600));
    assert!(reason.starts_with("failed to call the model API: status 529"), "{reason}");
    assert!(desk.steps().iter().any(|step| step.starts_with("waiting: 3600 s, ")), "{:#?}", desk.steps());
    assert_eq!(given.containers().await, Vec::<String>::new());
    given.release(&leased).await;

    let again = given.lease().await;
    given.run(&again, &model).await;
    let attempt = given.attempt().await;
    assert_eq!((attempt.outcome, attempt.cost), (Some(Outcome::Fixed), model.books().cost), "{attempt:#?}");
}

#[tokio::test]
async fn a_pause_stops_a_running_command_within_seconds() {
    let mut given = Given::new(SHOP).await;
    let mut turns = right_fix();
    turns[0] = run("trap '' TERM; sleep 600 & sleep 600");
    let model = model(always(turns)).await;
    let leased = given.lease_fix_of(RECORD).await;
    let desk = Desk::default();
    let (outcome, took) = tokio::join!(given.run_until(&leased, &model, &desk), async {
        eventually("the command", PATIENCE, async || {
            desk.steps().iter().any(|step| step.starts_with("tool run: run_command")).then_some(())
        })
        .await;
        desk.stop.request();
        Instant::now()
    });
    assert_eq!(outcome, StageOutcome::released());
    assert!(took.elapsed() < Duration::from_secs(10), "{:?}", took.elapsed());
    assert_eq!(given.containers().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_stream_that_breaks_off_is_asked_for_again_and_paid() {
    let mut given = Given::new(SHOP).await;
    let mut turns = right_fix();
    turns[1].before.push(Instead::BreakOff { n_events: 4 });
    turns[3].before.push(Instead::status(529, "overloaded_error"));
    let model = model(always(turns)).await;
    let leased = given.lease_fix_of(RECORD).await;
    given.run(&leased, &model).await;
    let attempt = given.attempt().await;
    assert_eq!(attempt.outcome, Some(Outcome::Fixed), "{attempt:#?}");
    let books = model.books();
    assert_eq!((books.n_broken_off, books.n_faults), (1, 1));
    let spent = given.store.spend_of_attempt(attempt.id).await.unwrap();
    // What was answered whole is paid to the cent; the call that broke off counts with all that was reserved for it.
    assert_eq!(spent.settled, books.cost);
    assert!(spent.unsettled > NanoUsd::ZERO && spent.reserved == NanoUsd::ZERO, "{spent:?}");
}
