//! One attempt from its sandbox to its verdict. Run again after a crash, it goes on from the transcript.

use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use super::check::Checker;
use super::export::{Export, export};
use super::ground::{Ground, checker};
use super::parts::FixParts;
use super::record::{Lease, StoreLedger, StoreTranscript};
use super::report::{Known, places_of, report};
use super::subject::Subject;
use super::validate::{Evidence, validate};
use super::verdict::{Facts, Verdict, verdict};
use super::workspace::{Builder, RoomWorkspace};
use crate::agent::contract::{AgentEnd, AgentOutcome, AgentParts, AgentTask, Claim};
use crate::agent::error::AgentError;
use crate::agent::run as agent;
use crate::agent::tried::tried;
use crate::base::chain::Chain;
use crate::base::redact::Clean;
use crate::model::attempt::{Attempt, Outcome};
use crate::model::stage::{Setback, StageContext};
use crate::store::types::SpendLimits;

/// What an attempt is made with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trial<'a> {
    pub(super) parts: &'a FixParts,
    pub(super) subject: &'a Subject,
    pub(super) ground: &'a Ground,
    pub(super) context: &'a StageContext,
    /// Ended attempts at the same issue, oldest first.
    pub(super) earlier: &'a [Attempt],
}

/// How long a container lives beyond the longest run of an attempt.
const SPARE_LIFETIME: Duration = Duration::from_secs(20 * 60);

/// How long a model API is left alone that does not say for how long.
const DEFAULT_WAIT: Duration = Duration::from_secs(60);

/// Longest account of an earlier attempt that the next one is given, in bytes.
const MAX_ACCOUNT_BYTES: usize = 6_000;

impl Trial<'_> {
    /// Runs `attempt` to its end and makes that durable. Gives it back with whether another one may do better.
    pub(super) async fn run(&self, mut attempt: Attempt) -> Result<(Attempt, bool), Setback> {
        let Self { parts, ground, context, .. } = *self;
        let checker =
            checker(parts, &ground.instance, context.job.id, &ground.image, &ground.project, &context.stop);
        let (end, tar) = self.work(&attempt, &checker).await?;
        // The ledger knows of calls that the transcript does not: a kill may come between the two.
        attempt.cost = parts.store.spend_of_attempt(attempt.id).await?.total();
        attempt.n_model_calls = end.totals.n_model_calls;
        attempt.n_tool_calls = end.totals.n_tool_calls;
        let exported = match tar {
            Ok(tar) => export(parts, &ground.mirror, &ground.base, self.subject, tar).await?,
            Err(why) => Err(why),
        };
        let mut known = Known::default();
        let verdict = match exported {
            Ok(exported) => {
                if let AgentOutcome::Claimed(claim) = &end.how {
                    known.nowhere = nowhere(&exported, claim).await?;
                }
                let (n_files, n_tests) = (exported.patch.files.len(), exported.plan.test_files.len());
                context
                    .progress
                    .step("export", &format!("{n_files} files changed, {n_tests} of them with tests"))
                    .await;
                attempt.patch = exported.patch.to_string();
                let evidence = self.evidence(&end.how, &exported, &checker).await?;
                let verdict = judge(&end.how, &exported, ground, evidence.as_ref());
                attempt.validation = evidence.map(|evidence| evidence.validation);
                verdict
            }
            Err(why) => {
                let reasons = vec![format!("What was changed cannot be taken out of the sandbox: {why}.")];
                Verdict { outcome: Outcome::GaveUp, reasons, may_retry: true }
            }
        };
        // What a cheaper model could not do within its limits is no answer yet.
        let was_first = attempt.model != parts.agent.model;
        let may_retry = verdict.may_retry
            || (was_first && matches!(verdict.outcome, Outcome::OverBudget | Outcome::GaveUp))
            || (was_first && matches!(end.how, AgentOutcome::Refused { .. }));
        known.tried = tried(&parts.store.transcript(attempt.id).await?, &parts.redactor);
        attempt.report = report(&end.how, &verdict, &known);
        attempt.outcome = Some(verdict.outcome);
        attempt.ended_at = Some(parts.clock.now());
        Lease::of(context).save(parts.store.as_ref(), &attempt, parts.clock.now()).await?;
        Ok((attempt, may_retry))
    }

    /// Lets the agent work in a room, and takes out what it leaves. A work folder that cannot be taken out is a value.
    async fn work(
        &self,
        attempt: &Attempt,
        checker: &Checker<'_>,
    ) -> Result<(AgentEnd, Result<File, String>), Setback> {
        let Self { parts, ground, context, .. } = *self;
        // The container outlives whatever the agent may do in it, and then its changes are taken out.
        let lifetime = parts.agent.longest_run() + SPARE_LIFETIME;
        let builder = Builder {
            engine: parts.engine.clone(),
            spec: checker.spec("agent", lifetime),
            lifetime,
            mirror: ground.mirror.clone(),
            base: ground.base.clone(),
            clock: Arc::clone(&parts.clock),
            stop: context.stop.clone(),
        };
        let workspace = Arc::new(RoomWorkspace::open(builder).await?);
        context.progress.step("sandbox", &format!("{} without a network", ground.image)).await;
        let ended = self.call_agent(attempt, &workspace).await;
        let result = match ended {
            Ok(AgentEnd { how: AgentOutcome::Stopped, .. }) => Err(Setback::Released),
            Ok(end) => {
                let max_bytes = usize::try_from(parts.settings.export.max_bytes).unwrap_or(usize::MAX);
                tokio::select! {
                    tar = workspace.take_out(max_bytes) => tar.map(|tar| (end, tar)),
                    () = context.stop.requested() => Err(Setback::Released),
                }
            }
            Err(setback) => Err(setback),
        };
        workspace.close().await;
        result
    }

    async fn call_agent(
        &self,
        attempt: &Attempt,
        workspace: &Arc<RoomWorkspace>,
    ) -> Result<AgentEnd, Setback> {
        let Self { parts, subject, context, .. } = *self;
        let limits = SpendLimits {
            per_call: parts.settings.spend_per_call,
            per_attempt: parts.agent.limits.cost,
            per_issue: parts.settings.spend_per_issue,
            per_service_day: parts.settings.spend_per_service_day,
            per_day: parts.settings.spend_per_day,
            per_month: parts.settings.spend_per_month,
        };
        let mut settings = parts.agent.clone();
        settings.model.clone_from(&attempt.model);
        let agent_parts = AgentParts {
            settings,
            workspace: Arc::<RoomWorkspace>::clone(workspace),
            transcript: Arc::new(StoreTranscript {
                store: Arc::clone(&parts.store),
                attempt: attempt.id,
                lease: Lease::of(context),
                clock: Arc::clone(&parts.clock),
            }),
            ledger: Arc::new(StoreLedger {
                store: Arc::clone(&parts.store),
                attempt: attempt.id,
                issue: subject.issue.id,
                service: subject.issue.service.clone(),
                limits,
                lease: Lease::of(context),
                clock: Arc::clone(&parts.clock),
            }),
            progress: Arc::clone(&context.progress),
            clock: Arc::clone(&parts.clock),
            redactor: parts.redactor.clone(),
        };
        context.progress.step("agent", &format!("attempt {} with {}", attempt.number, attempt.model)).await;
        let ended = agent::run(self.task(&workspace.commit), agent_parts, &context.stop);
        // The agent stops by itself when it is asked to; a step that does not notice is left where it stands.
        let overdue = async {
            context.stop.requested().await;
            tokio::time::sleep(parts.settings.stop_grace).await;
        };
        tokio::select! {
            ended = ended => match ended.map_err(of_agent) {
                Err(Setback::Postponed { reason, after }) => {
                    context.progress.step("waiting", &format!("{} s, {reason}", after.as_secs())).await;
                    Err(Setback::Postponed { reason, after })
                }
                ended => ended,
            },
            () = overdue => Err(Setback::Released),
        }
    }

    /// `commit` is the one in the room, which its git knows.
    fn task(&self, commit: &str) -> AgentTask {
        let Self { parts, subject, ground, earlier, .. } = *self;
        let issue = &subject.issue;
        let account = |attempt: &Attempt| {
            let outcome = attempt.outcome.map_or("not ended", Outcome::name);
            let text = format!(
                "Attempt {} ended as {outcome}.\n\n{}\n\nIts changes, which are not in the workspace:\n\n{}",
                attempt.number, attempt.report, attempt.patch
            );
            parts.redactor.redact(&super::output::capped(&text, MAX_ACCOUNT_BYTES))
        };
        AgentTask {
            service: issue.service.clone(),
            title: Clean::trusted(issue.title.clone()),
            record: subject.record.clone(),
            around: subject.around.clone(),
            runtime: issue.runtime,
            frames: subject.frames.clone(),
            n_occurrences: issue.count,
            first_seen: issue.first_seen,
            last_seen: issue.last_seen,
            base_commit: commit.to_owned(),
            running_commit: ground.running.as_ref().map(ToString::to_string),
            // Where its tests are run; else what the config says.
            folder: match ground.project.folder.as_str() {
                "" => subject.repository().map(|it| it.folder.clone()).unwrap_or_default(),
                folder => folder.to_owned(),
            },
            test_command: Some(ground.project.whole()),
            hints: ground.project.hints.as_deref().map(|hints| parts.redactor.redact(hints)),
            previous_failures: earlier.iter().filter(|it| it.n_model_calls > 0).map(account).collect(),
        }
    }

    /// Runs the proof where there is something to prove: a claim of a fix, or changes of an agent that was cut off.
    async fn evidence(
        &self,
        end: &AgentOutcome,
        exported: &Export,
        checker: &Checker<'_>,
    ) -> Result<Option<Evidence>, Setback> {
        let is_worth_it = match end {
            AgentOutcome::Claimed(claim) => matches!(claim.outcome, Outcome::Fixed | Outcome::AlreadyFixed),
            AgentOutcome::OverBudget { .. } | AgentOutcome::GaveUp { .. } => exported.plan.has_rest,
            AgentOutcome::Refused { .. } | AgentOutcome::Stopped => false,
        };
        if !is_worth_it {
            return Ok(None);
        }
        let progress = self.context.progress.as_ref();
        validate(exported, self.ground, &self.subject.suspect, checker, progress).await
    }
}

/// Most places of a claim that are looked up.
const MAX_PLACES: usize = 8;

/// Places that a claim names, but that are neither in the base nor in what the agent left.
async fn nowhere(exported: &Export, claim: &Claim) -> Result<Vec<String>, Setback> {
    let mut nowhere = Vec::new();
    for (file, line) in places_of(claim).into_iter().take(MAX_PLACES) {
        let mut is_there = false;
        for tree in [&exported.clone.base_tree(), &exported.whole] {
            let text = exported.clone.read(tree, &file).await?;
            is_there |= text.is_some_and(|text| line > 0 && line <= text.split(|it| *it == b'\n').count());
        }
        if !is_there {
            nowhere.push(format!("{file}:{line}"));
        }
    }
    nowhere.dedup();
    Ok(nowhere)
}

/// The verdict over any end of the agent.
fn judge(end: &AgentOutcome, exported: &Export, ground: &Ground, evidence: Option<&Evidence>) -> Verdict {
    let facts = |claim| Facts {
        claim,
        has_rest: exported.plan.has_rest,
        is_running_known: ground.running.is_some(),
        evidence,
        findings: &exported.findings,
    };
    let (outcome, may_retry) = match end {
        AgentOutcome::Claimed(claim) => return verdict(facts(claim.outcome)),
        AgentOutcome::OverBudget { .. } => (Outcome::OverBudget, false),
        AgentOutcome::GaveUp { .. } => (Outcome::GaveUp, true),
        AgentOutcome::Refused { .. } | AgentOutcome::Stopped => (Outcome::NeedsPerson, false),
    };
    if evidence.is_none() {
        return Verdict { outcome, reasons: Vec::new(), may_retry };
    }
    let as_it_stands = verdict(facts(Outcome::Fixed));
    if as_it_stands.outcome == Outcome::Fixed {
        let reason = "The change as it stands passes the proof and the project's tests, but the agent did not say that it is done.";
        return Verdict { outcome, reasons: vec![reason.to_owned()], may_retry: false };
    }
    Verdict { outcome, reasons: as_it_stands.reasons, may_retry }
}

/// A lost workspace or a busy database come back, and so does an overloaded API, at no fault of the job's; a refused key or an unknown
/// price do not.
fn of_agent(error: AgentError) -> Setback {
    let reason = Chain(&error).to_string();
    if !error.is_transient() {
        return Setback::Failed { reason };
    }
    match error {
        AgentError::ModelAway { retry_after, .. } => {
            Setback::Postponed { reason, after: retry_after.unwrap_or(DEFAULT_WAIT) }
        }
        AgentError::UnknownPrice { .. }
        | AgentError::ModelRefused { .. }
        | AgentError::Workspace { .. }
        | AgentError::Transcript { .. }
        | AgentError::BrokenTranscript { .. }
        | AgentError::Ledger { .. } => Setback::Retry { reason, after: None },
    }
}
