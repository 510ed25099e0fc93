//! The stage over store and forges.

use std::sync::Arc;

use crate::base::clock::SharedClock;
use crate::forge::{Forge, Merge};
use crate::heal::story::proposal as proposal_story;
use crate::heal::story::timeline::{ACTOR, Happened, tell_once};
use crate::model::issue::IssueEvent;
use crate::model::job::{JobKind, JobPayload, NewJob};
use crate::model::notice::NoticeKind;
use crate::model::proposal::{Proposal, ProposalState};
use crate::model::service::Services;
use crate::model::stage::{JobEnd, Setback, Stage, StageContext, StageOutcome};
use crate::store::Store;

/// What the stage is made of.
#[derive(Debug)]
pub struct LandParts {
    pub store: Arc<dyn Store>,
    pub services: Arc<dyn Services>,
    pub forges: Vec<Arc<dyn Forge>>,
    pub clock: SharedClock,
}

/// The stage of land jobs.
#[derive(Debug)]
pub struct LandStage {
    parts: LandParts,
}

#[async_trait::async_trait]
impl Stage for LandStage {
    fn kind(&self) -> JobKind {
        JobKind::Land
    }

    async fn run(&self, context: StageContext) -> StageOutcome {
        self.run_job(&context).await.unwrap_or_else(StageOutcome::from)
    }

    /// Who accepted must learn that nothing was merged.
    async fn close(&self, context: &StageContext, end: &JobEnd) -> Vec<NewJob> {
        let (JobPayload::Land { proposal, .. }, JobEnd::Dead { reason }) = (&context.job.payload, end) else {
            return Vec::new();
        };
        let told = async {
            let proposal = self.parts.store.proposal(*proposal).await?;
            self.tell(&proposal, "merge refused", None, ACTOR, reason).await
        };
        if let Err(setback) = told.await {
            tracing::warn!(job = %context.job.id, ?setback, "a merge that failed could not be told");
        }
        Vec::new()
    }
}

impl LandStage {
    /// The stage over these parts.
    pub const fn new(parts: LandParts) -> Self {
        Self { parts }
    }

    async fn run_job(&self, context: &StageContext) -> Result<StageOutcome, Setback> {
        let JobPayload::Land { proposal, actor } = &context.job.payload else {
            return Ok(StageOutcome::failed("not a job of the land stage"));
        };
        let proposal = self.parts.store.proposal(*proposal).await?;
        match proposal.state {
            ProposalState::Open => self.merge(context, &proposal, actor).await?,
            ProposalState::Merged => {}
            ProposalState::Closed => {
                return Ok(StageOutcome::failed("the proposal was closed without a merge"));
            }
        }
        self.tell(&proposal, "proposal merged", Some(IssueEvent::ProposalMerged), actor, &proposal.branch)
            .await?;
        let kind = NoticeKind::ProposalMerged;
        let about = proposal.id.to_string();
        let announce =
            NewJob::announce(proposal.issue, kind, Some(proposal.attempt), Some(proposal.id), &about);
        let summary = format!("merged {} into {}", proposal.branch, proposal.base_branch);
        Ok(StageOutcome::done(summary, vec![announce]))
    }

    async fn merge(&self, context: &StageContext, proposal: &Proposal, actor: &str) -> Result<(), Setback> {
        let store = &self.parts.store;
        let issue = store.issue(proposal.issue).await?;
        let service = self.parts.services.service(&issue.service).await;
        let repository = service.repository.as_ref().ok_or_else(|| Setback::Failed {
            reason: format!("the service `{}` has no repository any more", service.name),
        })?;
        let forge = self.parts.forges.iter().find(|forge| forge.name() == proposal.forge);
        let forge = forge.ok_or_else(|| Setback::Failed {
            reason: format!("the forge `{}` is not configured any more", proposal.forge),
        })?;
        context.progress.step("merge", &proposal.branch).await;
        let message = proposal_story::merge_message(&proposal.title, &proposal.branch, actor);
        let at = context.job.created_at;
        let merge = Merge { repository, proposal, message: &message, at };
        match forge.merge(merge).await {
            Ok(merged) => context.progress.step("merged", &merged.commit).await,
            Err(error) => return Err(error.into()),
        }
        store.set_proposal_state(proposal.id, ProposalState::Merged, self.parts.clock.now()).await?;
        Ok(())
    }

    async fn tell(
        &self,
        proposal: &Proposal,
        what: &'static str,
        event: Option<IssueEvent>,
        actor: &str,
        detail: &str,
    ) -> Result<(), Setback> {
        let at = self.parts.clock.now();
        let happened = Happened { issue: proposal.issue, event, actor, what, detail, at };
        tell_once(self.parts.store.as_ref(), happened).await?;
        Ok(())
    }
}
