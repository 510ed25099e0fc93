//! Tells what happens as it happens, from what is in the store.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::anyhow;
use tokio::time::Instant;

use super::super::args::DemoArgs;
use super::super::exit::Failure;
use super::outcome::Closed;
use super::{ground, say};
use crate::base::id::JobId;
use crate::model::attempt::Outcome;
use crate::model::issue::{Issue, IssueState};
use crate::model::job::JobState;
use crate::store::Store;
use crate::store::types::{IssueFilter, JobFilter};

const EVERY: Duration = Duration::from_millis(200);
/// Longest wait without any news: a model call with its retries lies within.
const PATIENCE: Duration = Duration::from_secs(20 * 60);
/// Characters shown of a step's detail.
const MAX_DETAIL: usize = 110;

/// The story of the demo's issue so far.
pub(super) struct Story<'a> {
    store: &'a dyn Store,
    args: &'a DemoArgs,
    started: Instant,
    /// Last step that was told, by job.
    told: HashMap<JobId, i64>,
    has_told_issue: bool,
    last_news: Instant,
}

impl<'a> Story<'a> {
    pub(super) fn new(store: &'a dyn Store, args: &'a DemoArgs, started: Instant) -> Self {
        Self { store, args, started, told: HashMap::new(), has_told_issue: false, last_news: started }
    }

    /// Tells the story until the fix is proposed.
    pub(super) async fn until_proposed(&mut self) -> Result<Closed, Failure> {
        let issue =
            self.until(|issue| matches!(issue.state, IssueState::Proposed | IssueState::NeedsPerson)).await?;
        let attempts = self.store.attempts(issue.id).await.map_err(anyhow::Error::new)?;
        let proposals = self.store.proposals(issue.id).await.map_err(anyhow::Error::new)?;
        match (attempts.into_iter().last(), proposals.into_iter().last()) {
            (Some(attempt), Some(proposal)) if attempt.outcome == Some(Outcome::Fixed) => {
                self.tell(&format!("proposed: {} ({})", proposal.title, proposal.branch));
                Ok(Closed { issue, attempt, proposal })
            }
            (Some(attempt), _) => {
                let outcome = attempt.outcome.map_or("running", Outcome::name);
                Err(anyhow!("the attempt ended without a proposal: {outcome}\n{}", attempt.report).into())
            }
            (None, _) => {
                Err(anyhow!("no attempt was made; `homeostat job list` of this run would say why").into())
            }
        }
    }

    /// Tells the story until `is_there` holds for the issue.
    pub(super) async fn until(&mut self, is_there: impl Fn(&Issue) -> bool) -> Result<Issue, Failure> {
        self.last_news = Instant::now();
        loop {
            if let Some(issue) = self.issue().await? {
                if !self.has_told_issue {
                    self.has_told_issue = true;
                    self.tell(&format!(
                        "detected: {} ({}, rule {})",
                        issue.title, issue.levels.identity, issue.rule
                    ));
                }
                self.tell_steps(&issue).await?;
                if is_there(&issue) {
                    return Ok(issue);
                }
            }
            let is_told_in_time = self.last_news.elapsed() < PATIENCE || !self.args.headless;
            if !is_told_in_time {
                return Err(anyhow!("nothing has happened for {} minutes", PATIENCE.as_secs() / 60).into());
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    /// The issue, once it is there: the first of the service that is more than counted.
    pub(super) async fn issue(&self) -> Result<Option<Issue>, Failure> {
        let filter =
            IssueFilter { service: Some(ground::SERVICE.to_owned()), limit: 10, ..IssueFilter::default() };
        let issues = self.store.issues(&filter).await.map_err(anyhow::Error::new)?;
        Ok(issues.into_iter().min_by_key(|issue| issue.id))
    }

    async fn tell_steps(&mut self, issue: &Issue) -> Result<(), Failure> {
        let filter = JobFilter { issue: Some(issue.id), limit: 50, ..JobFilter::default() };
        let mut jobs = self.store.jobs(&filter).await.map_err(anyhow::Error::new)?;
        jobs.sort_by_key(|job| job.id);
        for job in jobs {
            let seen = self.told.get(&job.id).copied();
            for step in self.store.steps(job.id, seen.unwrap_or(0)).await.map_err(anyhow::Error::new)? {
                let detail: String =
                    step.detail.lines().next().unwrap_or_default().chars().take(MAX_DETAIL).collect();
                self.tell(&format!("{:8} {}  {detail}", job.kind(), step.name));
                self.told.insert(job.id, step.seq);
            }
            if job.state == JobState::Dead {
                let result = job.result.unwrap_or_default();
                return Err(anyhow!("the {} job failed for good: {result}", job.payload.kind()).into());
            }
        }
        Ok(())
    }

    fn tell(&mut self, text: &str) {
        self.last_news = Instant::now();
        say(self.args, &format!("[{:5.1} s] {text}", self.started.elapsed().as_secs_f64()));
    }
}
