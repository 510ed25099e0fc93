//! Every outcome, and the evidence it rests on.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use homeostat::agent::scripted::script::{Script, Turn};
use homeostat::model::attempt::{Attempt, Outcome};
use homeostat::model::issue::IssueState;
use homeostat::model::job::{JobPayload, NewJob};
use homeostat::model::money::NanoUsd;
use homeostat::model::notice::NoticeKind;
use homeostat::model::stage::{StageOutcome, StageResult};
use homeostat::repo::patch::Patch;

use super::given::{Desk, Given, RECORD, SHOP, model};
use super::play::{
    self, TEST, TEST_COMMAND, always, claim, claim_fixed, edit, edit_source, read, read_source, right_fix,
    run, write_test,
};

/// Plays the scripts against a repository; the attempts, and what the stage said.
async fn outcome_of(given: &mut Given, scripts: Vec<Script>) -> (Vec<Attempt>, StageOutcome) {
    let model = model(scripts).await;
    let leased = given.lease_fix_of(RECORD).await;
    let outcome = given.run(&leased, &model).await;
    let attempts = given.attempts().await;
    assert_eq!(given.containers().await, Vec::<String>::new());
    let paid: NanoUsd = attempts.iter().map(|attempt| attempt.cost).sum();
    assert_eq!(paid, model.books().cost, "{attempts:#?}");
    (attempts, outcome)
}

/// Plays the turns against the package, for each of two attempts; both end alike. Gives the last.
async fn check(turns: Vec<Turn>, expected: Outcome, n_attempts: usize, reason: &str) -> Attempt {
    let mut given = Given::new(SHOP).await;
    let (attempts, outcome) = outcome_of(&mut given, always(turns)).await;
    let outcomes: Vec<_> = attempts.iter().filter_map(|attempt| attempt.outcome).collect();
    assert_eq!(outcomes, vec![expected; n_attempts], "{attempts:#?}");
    let issue = given.issue();
    let mut next: Vec<_> = attempts.iter().map(|it| NewJob::report_attempt(issue, it.id)).collect();
    let last = attempts.into_iter().last().unwrap();
    assert!(last.report.contains(reason), "{}", last.report);
    assert!(last.ended_at.is_some() && last.report.contains("What to do next"));
    let about = last.id.to_string();
    next.push(NewJob::announce(issue, NoticeKind::AttemptEnded, Some(last.id), None, &about));
    let summary = format!("attempt {n_attempts}: {}", expected.name());
    assert_eq!(outcome, StageOutcome::done(summary, next));
    last
}

#[tokio::test]
async fn a_right_fix_is_proven_three_ways() {
    let mut given = Given::new(SHOP).await;
    let model = model(always(right_fix())).await;
    let leased = given.lease_fix_of(RECORD).await;
    let desk = Desk::default();
    let outcome = given.run_until(&leased, &model, &desk).await;

    let attempt = given.attempt().await;
    assert_eq!(attempt.outcome, Some(Outcome::Fixed), "{attempt:#?}\n{:#?}", desk.steps());
    assert_eq!(attempt.base_commit, given.repository.git(&["rev-parse", "main"]));
    assert_eq!((attempt.number, attempt.n_tool_calls), (1, play::N_RIGHT_CALLS));
    assert_eq!(attempt.cost, model.books().cost);
    let spent = given.store.spend_of_attempt(attempt.id).await.unwrap();
    assert_eq!(
        (spent.settled, spent.unsettled, spent.reserved),
        (attempt.cost, NanoUsd::ZERO, NanoUsd::ZERO)
    );
    let patch = Patch::parse(&attempt.patch).unwrap();
    assert_eq!(patch.paths(), ["shop/stats.py", "tests/test_empty.py"]);

    let validation = attempt.validation.unwrap();
    assert!(validation.holds());
    let proof = &validation.proof;
    let runs = [&proof.before, &proof.after, &proof.reverted].map(|run| (run.passed(), run.command.as_str()));
    let command = "python3 -m pytest -q tests/test_empty.py";
    assert_eq!(runs, [(false, command), (true, command), (false, command)]);
    assert!(proof.before.output.contains("ZeroDivisionError: division by zero"), "{}", proof.before.output);
    let checks: Vec<_> = validation
        .checks
        .iter()
        .map(|it| (it.name.as_str(), it.baseline.passed(), it.patched.passed()))
        .collect();
    assert_eq!(checks, [("tests", true, true)]);

    let issue = given.issue();
    let next = vec![NewJob::report_attempt(issue, attempt.id), NewJob::propose(issue, attempt.id)];
    assert_eq!(outcome, StageOutcome::done("attempt 1: fixed", next));
    assert!(matches!(given.store.issue(issue).await.unwrap().state, IssueState::Fixing));
    let steps: Vec<String> =
        desk.steps().iter().map(|step| step.split(':').next().unwrap().to_owned()).collect();
    let order = ["clone", "baseline", "sandbox", "agent", "export", "validate", "outcome"];
    let places: Vec<_> = order.iter().map(|name| steps.iter().position(|step| step == name)).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{steps:?}");
    assert_eq!(given.containers().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_change_that_breaks_the_project_is_no_fix() {
    let turns = vec![
        read_source(),
        write_test(TEST),
        edit_source("    return 0"),
        claim_fixed(TEST_COMMAND, &["tests/test_empty.py"]),
    ];
    let reason = "the project's tests fail that passed before it";
    let attempt = check(turns, Outcome::GaveUp, 2, reason).await;
    let validation = attempt.validation.unwrap();
    assert!(validation.proof.holds() && !validation.holds());
    assert!(attempt.patch.contains("+    return 0"));
}

#[tokio::test]
async fn a_change_that_does_not_help_is_no_fix() {
    // The claim's own command passes, the tests of the patch do not.
    let turns = vec![
        read_source(),
        write_test(TEST),
        edit_source("    return sum(values) / len(values)  # fixed"),
        claim_fixed("true", &["tests/test_empty.py"]),
    ];
    check(turns, Outcome::GaveUp, 2, "fails with the change too").await;
}

#[tokio::test]
async fn a_claim_without_a_change_of_the_code_is_no_fix() {
    let turns = vec![write_test(TEST), claim_fixed("true", &["tests/test_empty.py"])];
    check(turns, Outcome::GaveUp, 2, "nothing was changed that could fix it").await;
}

#[tokio::test]
async fn a_change_without_a_test_is_no_fix() {
    let turns = vec![
        read_source(),
        edit_source("    return sum(values) / len(values) if values else 0"),
        claim_fixed("true", &["tests/test_stats.py"]),
    ];
    check(turns, Outcome::NotReproduced, 2, "without a test that fails before it").await;
}

#[tokio::test]
async fn a_test_that_passes_before_the_change_shows_nothing() {
    let turns = vec![
        read_source(),
        write_test("from shop.stats import mean\n\n\ndef test_mean():\n    assert mean([2]) == 2\n"),
        edit_source("    return sum(values) / len(values) if values else 0"),
        claim_fixed(TEST_COMMAND, &["tests/test_empty.py"]),
    ];
    check(turns, Outcome::NotReproduced, 2, "passes without the change").await;
}

#[tokio::test]
async fn a_test_that_fails_with_another_error_shows_nothing() {
    let turns = vec![
        read_source(),
        write_test("from shop.stats import median\n\n\ndef test_median():\n    assert median([2]) == 2\n"),
        edit_source(
            "    return sum(values) / len(values)\n\n\ndef median(values):\n    return sorted(values)[len(values) // 2]",
        ),
        claim_fixed(TEST_COMMAND, &["tests/test_empty.py"]),
    ];
    check(turns, Outcome::NotReproduced, 2, "not with the issue's error").await;
}

#[tokio::test]
async fn an_existing_test_that_is_bent_needs_a_person() {
    let turns = vec![
        read_source(),
        read("tests/test_stats.py"),
        write_test(TEST),
        edit_source("    return sum(values) // max(len(values), 1) + 1 if values else 0"),
        edit("tests/test_stats.py", "assert mean([1, 2, 6]) == 3", "assert mean([1, 2, 6]) == 4"),
        claim_fixed(TEST_COMMAND, &["tests/test_empty.py"]),
    ];
    let attempt = check(turns, Outcome::GaveUp, 2, "tests as they were before").await;
    let checks = attempt.validation.unwrap().checks;
    let names: Vec<_> = checks.iter().map(|it| (it.name.as_str(), it.patched.passed())).collect();
    assert_eq!(names, [("tests", true), ("tests as they were before", false)]);
}

#[tokio::test]
async fn an_existing_test_that_is_changed_without_need_needs_a_person() {
    let turns = vec![
        read_source(),
        read("tests/test_stats.py"),
        write_test(TEST),
        edit_source("    return sum(values) / len(values) if values else 0"),
        edit("tests/test_stats.py", "    assert mean([1, 2, 6]) == 3", "    assert mean([1, 2, 6])"),
        claim_fixed(TEST_COMMAND, &["tests/test_empty.py"]),
    ];
    let attempt = check(turns, Outcome::NeedsPerson, 2, "tests.assertion_loosened").await;
    assert!(attempt.validation.unwrap().holds());
}

#[tokio::test]
async fn a_second_attempt_knows_why_the_first_failed() {
    let wrong = vec![
        read_source(),
        write_test(TEST),
        edit_source("    return 0"),
        claim_fixed(TEST_COMMAND, &["tests/test_empty.py"]),
    ];
    let told = "tests fail that passed before it";
    let scripts = vec![Script { when: told.to_owned(), ..Script::new(right_fix()) }, Script::new(wrong)];
    let mut given = Given::new(SHOP).await;
    let (attempts, outcome) = outcome_of(&mut given, scripts).await;
    let ended: Vec<_> = attempts.iter().map(|it| (it.number, it.outcome)).collect();
    assert_eq!(ended, [(1, Some(Outcome::GaveUp)), (2, Some(Outcome::Fixed))], "{attempts:#?}");
    let proposed =
        outcome.next.iter().any(|job| job.payload == JobPayload::Propose { attempt: attempts[1].id });
    assert!(proposed, "{outcome:?}");
}

#[tokio::test]
async fn what_the_base_branch_has_fixed_already_is_told() {
    let mut given = Given::new(SHOP).await;
    given.revision = Some(given.repository.git(&["rev-parse", "main"]));
    let fixed = SHOP[3].1.replace("/ len(values)", "/ len(values) if values else 0");
    given.repository.commit("main", "An empty day has the mean 0", &[("shop/stats.py", &fixed)]);
    let turns = vec![read_source(), write_test(TEST), run(TEST_COMMAND), claim("already_fixed")];
    let (attempts, _) = outcome_of(&mut given, always(turns)).await;
    assert_eq!(attempts.len(), 1);
    assert_eq!(attempts[0].outcome, Some(Outcome::AlreadyFixed), "{attempts:#?}");
    assert!(attempts[0].report.contains("fails with the issue's error on the commit that logged it"));
    assert!(matches!(given.store.issue(given.issue()).await.unwrap().state, IssueState::Landed));
}

#[tokio::test]
async fn a_test_that_never_fails_does_not_show_an_earlier_fix() {
    let mut given = Given::new(SHOP).await;
    given.revision = Some(given.repository.git(&["rev-parse", "main"]));
    given.repository.commit("main", "Something else", &[("README.md", "shop\n")]);
    let test = "from shop.stats import mean\n\n\ndef test_mean():\n    assert mean([2]) == 2\n";
    let (attempts, _) = outcome_of(&mut given, always(vec![write_test(test), claim("already_fixed")])).await;
    let outcomes: Vec<_> = attempts.iter().filter_map(|it| it.outcome).collect();
    assert_eq!(outcomes, [Outcome::NotReproduced; 2], "{attempts:#?}");
}

#[tokio::test]
async fn what_is_no_bug_is_left_to_people() {
    let turns = vec![read_source(), claim("not_a_code_bug")];
    let attempt = check(turns, Outcome::NotACodeBug, 1, "It is not_a_code_bug.").await;
    assert_eq!((attempt.patch.as_str(), attempt.validation), ("", None));
}

#[tokio::test]
async fn an_agent_over_its_budget_is_stopped_and_its_work_is_kept() {
    let mut given = Given::new(SHOP).await;
    given.limits.model_calls = 5;
    // The fix is there, but the sixth call, which says so, is not made any more.
    let (attempts, outcome) = outcome_of(&mut given, always(right_fix())).await;
    let [attempt] = &attempts[..] else { panic!("{attempts:#?}") };
    assert_eq!((attempt.outcome, attempt.n_model_calls), (Some(Outcome::OverBudget), 5), "{attempt:#?}");
    assert!(attempt.report.contains("the agent did not say that it is done"), "{}", attempt.report);
    assert!(attempt.validation.as_ref().unwrap().holds());
    assert!(attempt.patch.contains("if values else 0"));
    assert!(matches!(outcome.result, StageResult::Done { .. }), "{outcome:?}");
    assert!(outcome.next.iter().all(|job| !matches!(job.payload, JobPayload::Propose { .. })));
}

#[tokio::test]
async fn no_call_is_made_that_could_pass_the_limit_of_the_issue() {
    let mut given = Given::new(SHOP).await;
    given.settings.spend_per_issue = NanoUsd::from_usd(0.0001);
    let (attempts, _) = outcome_of(&mut given, always(right_fix())).await;
    let [attempt] = &attempts[..] else { panic!("{attempts:#?}") };
    assert_eq!(attempt.outcome, Some(Outcome::OverBudget), "{attempt:#?}");
    assert_eq!((attempt.cost, attempt.n_tool_calls), (NanoUsd::ZERO, 0));
    assert!(attempt.report.contains("issue"), "{}", attempt.report);
}
