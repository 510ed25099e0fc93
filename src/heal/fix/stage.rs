//! The stage: begins or continues attempts until one ends the job.

use super::baseline::Baselines;
use super::ground::{Halt, prepare};
use super::parts::FixParts;
use super::record::Lease;
use super::report::without_attempt;
use super::subject::Subject;
use super::trial::Trial;
use super::workspace::diff_of;
use crate::agent::entry::LeftBehind;
use crate::base::chain::Chain;
use crate::base::id::{AttemptId, IssueId};
use crate::heal::story::timeline::{ACTOR, Happened, tell_once};
use crate::model::attempt::{Attempt, Outcome};
use crate::model::issue::{IssueEvent, IssueState};
use crate::model::job::{JobKind, NewJob};
use crate::model::money::NanoUsd;
use crate::model::notice::NoticeKind;
use crate::model::proposal::Proposal;
use crate::model::stage::{JobEnd, Setback, Stage, StageContext, StageOutcome};
use crate::store::StoreError;

/// Runs fix jobs.
#[derive(Debug)]
pub struct FixStage {
    parts: FixParts,
    baselines: Baselines,
}

#[async_trait::async_trait]
impl Stage for FixStage {
    fn kind(&self) -> JobKind {
        JobKind::Fix
    }

    async fn run(&self, context: StageContext) -> StageOutcome {
        self.work(&context).await.unwrap_or_else(StageOutcome::from)
    }

    async fn close(&self, context: &StageContext, end: &JobEnd) -> Vec<NewJob> {
        self.keep_unfinished(context, end).await.unwrap_or_else(|error| {
            tracing::error!(job = %context.job.id, error = %Chain(&error), "what a fix leaves behind could not be kept");
            Vec::new()
        })
    }
}

impl FixStage {
    /// The stage over `parts`.
    pub fn new(parts: FixParts) -> Self {
        Self { parts, baselines: Baselines::default() }
    }

    async fn work(&self, context: &StageContext) -> Result<StageOutcome, Setback> {
        let parts = &self.parts;
        let Some(issue) = context.job.issue else {
            return Err(Setback::Failed { reason: "the job names no issue".to_owned() });
        };
        let subject = Subject::load(parts, issue).await?;
        if matches!(subject.issue.state, IssueState::Muted { .. }) {
            return Ok(StageOutcome::done("the issue is muted", Vec::new()));
        }
        let proposals = parts.store.proposals(issue).await?;
        if let Some(open) = Proposal::open_of(&proposals)
            && parts.store.attempts(issue).await?.iter().all(|it| it.job != context.job.id)
        {
            return Ok(StageOutcome::done(open.in_the_way(), Vec::new()));
        }
        // What an earlier lease of this job left behind when its process was killed.
        let instance = parts.store.instance_id().await?;
        parts.engine.remove_of_job(&instance, context.job.id).await.map_err(super::room::setback)?;

        let mut attempts = parts.store.attempts(issue).await?;
        if let Some(ended) = attempts.iter().rfind(|it| it.job == context.job.id && it.outcome.is_some())
            && attempts.last().is_some_and(|last| last.id == ended.id)
        {
            // Ended durably, killed before the job was completed.
            return self.finish(&attempts, context).await;
        }
        let open = attempts.pop_if(|it| it.job == context.job.id && it.outcome.is_none());
        let base = open.as_ref().map(|it| it.base_commit.clone()).filter(|it| !it.is_empty());
        let ground = match prepare(parts, &self.baselines, &subject, base.as_deref(), context).await {
            Ok(ground) => ground,
            Err(Halt::Setback(setback)) => return Err(setback),
            Err(Halt::Missing { base, why, next }) => {
                let base = base.map(|base| base.to_string()).unwrap_or_default();
                let attempt = open.unwrap_or_else(|| self.begin(issue, context, &attempts, base));
                return self.end_without(attempts, attempt, &why, next, context).await;
            }
        };
        let mut next = match open {
            // One that ended before its ground was known has no base yet.
            Some(attempt) => Attempt { base_commit: ground.base.to_string(), ..attempt },
            None => self.begin(issue, context, &attempts, ground.base.to_string()),
        };
        loop {
            Lease::of(context).save(parts.store.as_ref(), &next, parts.clock.now()).await?;
            let trial = Trial { parts, subject: &subject, ground: &ground, context, earlier: &attempts };
            let (ended, may_retry) = trial.run(next).await?;
            let outcome = ended.outcome.map_or("not ended", Outcome::name);
            context.progress.step("outcome", &format!("attempt {}: {outcome}", ended.number)).await;
            attempts.push(ended);
            let n_attempts = attempts.iter().filter(|it| it.job == context.job.id).count();
            if !may_retry || n_attempts >= parts.settings.max_attempts as usize {
                return self.finish(&attempts, context).await;
            }
            next = self.begin(issue, context, &attempts, ground.base.to_string());
        }
    }

    /// An attempt that has not begun.
    fn begin(&self, issue: IssueId, context: &StageContext, earlier: &[Attempt], base: String) -> Attempt {
        let number = earlier.iter().map(|it| it.number).max().unwrap_or(0) + 1;
        let n_of_job = earlier.iter().filter(|it| it.job == context.job.id).count();
        Attempt {
            id: AttemptId::new(),
            issue,
            job: context.job.id,
            number,
            model: self.parts.agent.model_of_attempt(n_of_job).to_owned(),
            base_commit: base,
            started_at: self.parts.clock.now(),
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

    /// Ends an attempt that has nothing to stand on.
    async fn end_without(
        &self,
        mut attempts: Vec<Attempt>,
        mut attempt: Attempt,
        why: &str,
        next: &str,
        context: &StageContext,
    ) -> Result<StageOutcome, Setback> {
        self.keep_work(&mut attempt).await?;
        attempt.report = without_attempt(why, next);
        attempt.outcome = Some(Outcome::NeedsPerson);
        attempt.ended_at = Some(self.parts.clock.now());
        let now = self.parts.clock.now();
        Lease::of(context).save(self.parts.store.as_ref(), &attempt, now).await?;
        context.progress.step("outcome", why).await;
        attempts.push(attempt);
        self.finish(&attempts, context).await
    }

    /// Keeps what an attempt has cost and changed when its job ends before it does. The attempt stays open: a person who requeues the
    /// job lets it go on from its transcript.
    async fn keep_unfinished(&self, context: &StageContext, end: &JobEnd) -> Result<Vec<NewJob>, StoreError> {
        let Some(issue) = context.job.issue else { return Ok(Vec::new()) };
        let store = &self.parts.store;
        let attempts = store.attempts(issue).await?;
        let last = attempts.iter().rfind(|it| it.job == context.job.id);
        let mut attempt = match (last, end) {
            (Some(last), _) => last.clone(),
            // Nothing was begun; what is told on a ticket is told of an attempt.
            (None, JobEnd::Dead { .. }) => self.begin(issue, context, &attempts, String::new()),
            (None, JobEnd::Cancelled) => return Ok(Vec::new()),
        };
        // The job makes no call any more: what it left open was cut off, and is told as such.
        store.settle_cut_off(attempt.id, self.parts.clock.now()).await?;
        if attempt.outcome.is_none() {
            self.keep_work(&mut attempt).await?;
            Lease::of(context).save(store.as_ref(), &attempt, self.parts.clock.now()).await?;
        }
        Ok(match end {
            JobEnd::Dead { .. } => {
                let unique_key = format!("report:{}:stuck", attempt.id);
                vec![NewJob { unique_key, ..NewJob::report_attempt(issue, attempt.id) }]
            }
            JobEnd::Cancelled => Vec::new(),
        })
    }

    /// Notes the cost and the changes so far of an attempt that is not judged.
    async fn keep_work(&self, attempt: &mut Attempt) -> Result<(), StoreError> {
        let store = &self.parts.store;
        attempt.cost = store.spend_of_attempt(attempt.id).await?.total();
        let left = LeftBehind::of(&store.transcript(attempt.id).await?);
        attempt.n_model_calls = left.n_model_calls;
        attempt.n_tool_calls = left.n_tool_calls;
        let diff = left.snapshot.as_deref().and_then(diff_of);
        if let Some(diff) = diff.filter(|diff| diff.len() <= self.parts.settings.max_patch_bytes) {
            diff.clone_into(&mut attempt.patch);
        }
        Ok(())
    }

    /// Tells the issue how the last of its attempts ended, and the ticket of all that this job made. Safe to run again.
    async fn finish(&self, attempts: &[Attempt], context: &StageContext) -> Result<StageOutcome, Setback> {
        let ended = attempts.last().and_then(|attempt| Some((attempt, attempt.outcome?)));
        let Some((attempt, outcome)) = ended else {
            return Err(Setback::Failed { reason: "the attempt has not ended".to_owned() });
        };
        let detail = format!("attempt {}: {}", attempt.number, outcome.name());
        let happened = Happened {
            issue: attempt.issue,
            event: Some(IssueEvent::AttemptEnded(outcome)),
            actor: ACTOR,
            what: "attempt ended",
            detail: &detail,
            at: self.parts.clock.now(),
        };
        tell_once(self.parts.store.as_ref(), happened).await?;
        let of_job = attempts.iter().filter(|it| it.job == context.job.id);
        let mut next: Vec<NewJob> = of_job.map(|it| NewJob::report_attempt(it.issue, it.id)).collect();
        if outcome == Outcome::Fixed {
            next.push(NewJob::propose(attempt.issue, attempt.id));
        } else {
            let about = attempt.id.to_string();
            let kind = NoticeKind::AttemptEnded;
            next.push(NewJob::announce(attempt.issue, kind, Some(attempt.id), None, &about));
        }
        tracing::info!(issue = %attempt.issue, job = %context.job.id, outcome = outcome.name(), "attempt ended");
        Ok(StageOutcome::done(detail, next))
    }
}
