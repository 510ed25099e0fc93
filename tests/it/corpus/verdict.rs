//! How each script of a bug ended, against how it must.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::LazyLock;

use homeostat::base::id::IssueId;
use homeostat::model::attempt::Outcome;
use homeostat::model::job::JobState;
use homeostat::model::proposal::ProposalState;
use regex::Regex;

use super::bug::{Bug, Case, Proposed};
use super::given::Given;
use super::record::record_of;

/// How a finding is told: its rule in brackets.
static RULE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\(([a-z_]+(?:\.[a-z_]+)+)\)").unwrap());

/// Plays every script of a bug, and fails with everything that ended otherwise than it must.
pub(crate) async fn check(name: &str) {
    let bug = Bug::read(name);
    assert_eq!(bug.forgotten(), Vec::<String>::new());
    let found = record_of(&bug).await;
    let mut given = Given::new(name, &bug).await;
    let main = given.repository.git(&["rev-parse", "main"]);
    given.work().await;
    // The first one runs the baseline for all.
    let mut issues = given.log(&found, &bug.cases[..1]).await;
    given.has_baseline().await;
    issues.extend(given.log(&found, &bug.cases[1..]).await);
    given.rest().await;

    let mut wrong = String::new();
    for (case, issue) in bug.cases.iter().zip(&issues) {
        if let Err(why) = check_case(&given, case, *issue).await {
            writeln!(wrong, "=== {name}/{}: {why}", case.name).unwrap();
        }
    }
    for job in given.jobs().await.iter().filter(|job| job.state != JobState::Done) {
        writeln!(wrong, "=== {name}: job {} is {:?}: {:?}", job.unique_key, job.state, job.result).unwrap();
    }
    assert!(wrong.is_empty(), "\n{wrong}");
    assert_eq!(given.model.refusals(), Vec::<String>::new());
    assert_eq!(given.containers().await, Vec::<String>::new());
    assert_eq!(given.repository.git(&["rev-parse", "main"]), main, "somebody pushed to the base branch");
}

async fn check_case(given: &Given, case: &Case, issue: IssueId) -> Result<(), String> {
    let attempts = given.store.attempts(issue).await.unwrap();
    let proposals = given.store.proposals(issue).await.unwrap();
    let [attempt] = &attempts[..] else { return Err(format!("{} attempts", attempts.len())) };
    let all = || {
        let (report, patch, validation) = (&attempt.report, &attempt.patch, &attempt.validation);
        format!("\n{report}\n--- patch\n{patch}\n--- validation\n{validation:#?}\n{proposals:#?}")
    };
    if given.store.ticket(issue).await.unwrap().is_none() {
        return Err("it has no ticket".to_owned());
    }
    let proposed = match &proposals[..] {
        [] => Proposed::No,
        [proposal] if proposal.state == ProposalState::Open && proposal.is_draft => Proposed::Draft,
        [proposal] if proposal.state == ProposalState::Open => Proposed::Ready,
        _ => return Err(format!("several proposals, or not an open one{}", all())),
    };
    let outcome = attempt.outcome.map_or("not ended", Outcome::name);
    if (outcome, proposed) != (case.outcome.as_str(), case.proposed) {
        return Err(format!(
            "{outcome} and {proposed:?}, not {} and {:?}{}",
            case.outcome,
            case.proposed,
            all()
        ));
    }
    if proposed == Proposed::Ready && !attempt.validation.as_ref().is_some_and(|it| it.holds()) {
        return Err(format!("proposed without a proof{}", all()));
    }
    if let [proposal] = &proposals[..] {
        let head = given.repository.git(&["rev-parse", &proposal.branch]);
        if head != proposal.head {
            return Err(format!("its branch is at {head}, not at {}", proposal.head));
        }
    }
    let met: BTreeSet<&str> =
        RULE.captures_iter(&attempt.report).map(|it| it.get(1).unwrap().as_str()).collect();
    let unmet: Vec<&String> = case.rules.iter().filter(|rule| !met.contains(rule.as_str())).collect();
    if !unmet.is_empty() {
        return Err(format!("{unmet:?} were not met, only {met:?}{}", all()));
    }
    let unsaid: Vec<&String> = case.says.iter().filter(|text| !attempt.report.contains(*text)).collect();
    if !unsaid.is_empty() {
        return Err(format!("its report does not say {unsaid:?}{}", all()));
    }
    Ok(())
}
