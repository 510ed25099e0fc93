//! The stage over the store and the messengers.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::clock::SharedClock;
use crate::base::id::IssueId;
use crate::heal::story::notice::{Parts, notice};
use crate::messenger::Messenger;
use crate::model::job::{JobKind, JobPayload};
use crate::model::notice::Notice;
use crate::model::stage::{Setback, Stage, StageContext, StageOutcome};
use crate::store::Store;

/// What the stage is made of.
#[derive(Debug)]
pub struct AnnounceParts {
    pub store: Arc<dyn Store>,
    /// All of them are told; their names are unique.
    pub messengers: Vec<Arc<dyn Messenger>>,
    pub clock: SharedClock,
    /// Address of the dashboard, without a slash at the end.
    pub public_url: String,
}

/// The stage of announce jobs.
#[derive(Debug)]
pub struct AnnounceStage {
    parts: AnnounceParts,
}

/// What is remembered between two runs of one job.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Memory {
    /// Names of the messengers that have been told.
    told: BTreeSet<String>,
}

#[async_trait::async_trait]
impl Stage for AnnounceStage {
    fn kind(&self) -> JobKind {
        JobKind::Announce
    }

    async fn run(&self, context: StageContext) -> StageOutcome {
        self.run_job(&context).await.unwrap_or_else(StageOutcome::from)
    }
}

impl AnnounceStage {
    /// The stage over these parts.
    pub const fn new(parts: AnnounceParts) -> Self {
        Self { parts }
    }

    async fn run_job(&self, context: &StageContext) -> Result<StageOutcome, Setback> {
        let Some(issue) = context.job.issue else {
            return Ok(StageOutcome::failed("the job names no issue"));
        };
        if self.parts.messengers.is_empty() {
            return Ok(StageOutcome::done("no messenger is configured", Vec::new()));
        }
        let notice = self.notice(context, issue).await?;
        let state = context.job.progress.as_deref();
        let mut memory: Memory = state.and_then(|state| serde_json::from_str(state).ok()).unwrap_or_default();
        let mut setbacks = Vec::new();
        for messenger in &self.parts.messengers {
            if context.stop.is_requested() {
                return Err(Setback::Released);
            }
            if memory.told.contains(messenger.name()) {
                continue;
            }
            // The id lets a receiver that cares see that a repetition is one.
            match messenger.send(&notice, &context.job.id.to_string()).await {
                Ok(()) => {
                    memory.told.insert(messenger.name().to_owned());
                    let state = serde_json::to_string(&memory).expect("a struct of texts is JSON");
                    context.progress.save(&state).await?;
                    context.progress.step("told", messenger.name()).await;
                }
                Err(error) => setbacks.push(Setback::from(error)),
            }
        }
        Ok(ending(setbacks, memory.told.len()))
    }

    async fn notice(&self, context: &StageContext, id: IssueId) -> Result<Notice, Setback> {
        let JobPayload::Announce { kind, attempt, proposal } = context.job.payload else {
            return Err(Setback::Failed { reason: "not a job of the announce stage".to_owned() });
        };
        let store = &self.parts.store;
        let issue = store.issue(id).await?;
        let ticket = store.ticket(id).await?;
        let attempt = match attempt {
            Some(attempt) => Some(store.attempt(attempt).await?),
            None => None,
        };
        let proposal = match proposal {
            Some(proposal) => Some(store.proposal(proposal).await?),
            None => None,
        };
        let page = format!("{}/issues/{id}", self.parts.public_url);
        let parts = Parts {
            kind,
            issue: &issue,
            ticket: ticket.as_ref(),
            attempt: attempt.as_ref(),
            proposal: proposal.as_ref(),
            page: &page,
        };
        Ok(notice(parts, self.parts.clock.now()))
    }
}

/// Retried while any messenger may still be told; failed when only a person can help the rest.
fn ending(setbacks: Vec<Setback>, n_told: usize) -> StageOutcome {
    let mut reasons = Vec::new();
    let mut is_final = true;
    let mut wait: Option<Duration> = None;
    for setback in setbacks {
        match setback {
            Setback::Released => return StageOutcome::released(),
            Setback::Failed { reason } => reasons.push(reason),
            Setback::Postponed { reason, after } => return StageOutcome::postponed(reason, after),
            Setback::Retry { reason, after } => {
                is_final = false;
                wait = wait.max(after);
                reasons.push(reason);
            }
        }
    }
    match (reasons.is_empty(), is_final) {
        (true, _) => StageOutcome::done(format!("told {n_told}"), Vec::new()),
        (false, true) => StageOutcome::failed(reasons.join("; ")),
        (false, false) => StageOutcome::retry(reasons.join("; "), wait),
    }
}
