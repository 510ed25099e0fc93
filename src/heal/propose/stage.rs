//! The stage over store, host git and forges.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::policy::{Finding, Policy, Verdict};
use super::validated::ValidatedPatch;
use crate::base::clock::SharedClock;
use crate::base::id::{AttemptId, IssueId, ProposalId};
use crate::forge::{Forge, NewProposal, ProposalRef, Push, Pushed};
use crate::heal::story::proposal as proposal_story;
use crate::heal::story::timeline::{ACTOR, Happened, tell_once};
use crate::model::attempt::{Attempt, Outcome};
use crate::model::issue::IssueEvent;
use crate::model::job::{JobKind, JobPayload, NewJob};
use crate::model::notice::NoticeKind;
use crate::model::proposal::{Proposal, ProposalState};
use crate::model::service::{Repository, Services};
use crate::model::stage::{JobEnd, Setback, Stage, StageContext, StageOutcome};
use crate::repo::patch::Patch;
use crate::repo::{Author, RepoError, Repos, WorkTree};
use crate::store::Store;
use crate::store::types::IssueDetail;

/// How many branch names are tried when others have taken them.
const MAX_BRANCHES: u32 = 20;

/// What begins the part of an attempt's report that this stage adds.
const REFUSED: &str = "## Not proposed";

/// Settings of the stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Author of the commits, as git shows it.
    pub author_name: String,
    pub author_email: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self { author_name: "homeostat".to_owned(), author_email: "homeostat@localhost".to_owned() }
    }
}

/// What the stage is made of.
#[derive(Debug)]
pub struct ProposeParts {
    pub store: Arc<dyn Store>,
    pub services: Arc<dyn Services>,
    pub repos: Repos,
    /// The first that accepts the service's repository gets the proposal.
    pub forges: Vec<Arc<dyn Forge>>,
    pub policy: Policy,
    pub clock: SharedClock,
    pub settings: Settings,
    /// Address of the dashboard, without a slash at the end.
    pub public_url: String,
}

/// The stage of propose jobs.
#[derive(Debug)]
pub struct ProposeStage {
    parts: ProposeParts,
}

/// What is remembered between two runs of one job.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Memory {
    /// The branch that is ours.
    branch: Option<String>,
}

/// A commit that passed the policy, in a clone of its own.
struct Prepared {
    tree: WorkTree,
    commit: String,
    files: Vec<String>,
    verdict: Verdict,
}

/// Why nothing is pushed.
enum Stop {
    Setback(Setback),
    /// The patch may not be proposed, for these reasons.
    Refused(Vec<String>),
}

impl<E: Into<Setback>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Setback(error.into())
    }
}

#[async_trait::async_trait]
impl Stage for ProposeStage {
    fn kind(&self) -> JobKind {
        JobKind::Propose
    }

    async fn run(&self, context: StageContext) -> StageOutcome {
        self.run_job(&context).await.unwrap_or_else(StageOutcome::from)
    }

    /// What only a person can put right is told on the ticket, with the diff that was paid for.
    async fn close(&self, context: &StageContext, end: &JobEnd) -> Vec<NewJob> {
        match (&context.job.payload, context.job.issue, end) {
            (JobPayload::Propose { attempt }, Some(issue), JobEnd::Dead { .. }) => {
                vec![report(issue, *attempt, "stuck")]
            }
            (_, _, JobEnd::Dead { .. } | JobEnd::Cancelled) => Vec::new(),
        }
    }
}

impl ProposeStage {
    /// The stage over these parts.
    pub const fn new(parts: ProposeParts) -> Self {
        Self { parts }
    }

    async fn run_job(&self, context: &StageContext) -> Result<StageOutcome, Setback> {
        let (JobPayload::Propose { attempt }, Some(issue)) = (&context.job.payload, context.job.issue) else {
            return Ok(StageOutcome::failed("not a job of the propose stage"));
        };
        let store = &self.parts.store;
        let attempt = store.attempt(*attempt).await?;
        if let Some(proposal) = self.proposal_of(issue, attempt.id).await? {
            return self.finish(proposal).await;
        }
        match self.propose(context, issue, &attempt).await {
            Ok(proposal) => self.finish(proposal).await,
            Err(Stop::Setback(setback)) => Err(setback),
            Err(Stop::Refused(reasons)) => self.refuse(context, attempt, reasons).await,
        }
    }

    async fn proposal_of(&self, issue: IssueId, attempt: AttemptId) -> Result<Option<Proposal>, Setback> {
        let proposals = self.parts.store.proposals(issue).await?;
        Ok(proposals.into_iter().find(|proposal| proposal.attempt == attempt))
    }

    async fn propose(
        &self,
        context: &StageContext,
        issue: IssueId,
        attempt: &Attempt,
    ) -> Result<Proposal, Stop> {
        let validated = ValidatedPatch::of(attempt).map_err(Stop::Refused)?;
        let detail = self.parts.store.issue_detail(issue).await?;
        let service = self.parts.services.service(&detail.issue.service).await;
        let repository = service.repository.as_ref().ok_or_else(|| Setback::Failed {
            reason: format!("the service `{}` has no repository any more", service.name),
        })?;
        let forge = self.forge_of(repository)?;
        context.progress.step("apply patch", &attempt.base_commit).await;
        let prepared = self.prepare(context, &detail, repository, validated).await?;
        if context.stop.is_requested() {
            return Err(Setback::Released.into());
        }
        let (branch, head) = self.push(context, &detail, attempt, forge, repository, &prepared).await?;
        let id = ProposalId::new();
        let title = proposal_story::title(&detail.issue);
        let body = self.body(&detail, validated, &prepared.verdict).await?;
        let found = forge.find(repository, &branch).await.map_err(Setback::from)?;
        let reference: ProposalRef = match found {
            Some(reference) => reference,
            None => {
                context.progress.step("open proposal", &branch).await;
                let (title, body) = (title.as_str(), body.as_str());
                let new = NewProposal { id, issue, repository, branch: &branch, title, body };
                forge.open(&new).await.map_err(Setback::from)?
            }
        };
        let proposal = Proposal {
            id,
            issue,
            attempt: attempt.id,
            forge: forge.name().to_owned(),
            key: reference.key,
            url: reference.url,
            branch,
            base_branch: repository.base_branch.clone(),
            head,
            files: prepared.files,
            title,
            body,
            is_draft: reference.is_draft,
            state: reference.state,
            opened_at: self.parts.clock.now(),
        };
        Ok(self.parts.store.save_proposal(&proposal).await?)
    }

    fn forge_of(&self, repository: &Repository) -> Result<&dyn Forge, Setback> {
        let forge = self.parts.forges.iter().find(|forge| forge.accepts(repository));
        forge.map(AsRef::as_ref).ok_or_else(|| Setback::Failed {
            reason: format!("no forge is configured for `{}`", repository.url),
        })
    }

    /// A commit of the patch on its base, in a fresh clone, judged by what git says it changes.
    async fn prepare(
        &self,
        context: &StageContext,
        detail: &IssueDetail,
        repository: &Repository,
        patch: ValidatedPatch<'_>,
    ) -> Result<Prepared, Stop> {
        let attempt = patch.attempt();
        let repos = &self.parts.repos;
        let mirror = repos.mirror(&repository.url).await?;
        let base = repos.revision(&mirror, &attempt.base_commit).await?;
        let tree = mirror.checkout(&base).await?;
        tree.apply(&attempt.patch).await.map_err(not_fitting)?;
        let changed = tree.diff().await.map_err(not_fitting)?;
        let patch = Patch::parse(&changed).map_err(|error| Stop::Refused(vec![error.to_string()]))?;
        let verdict = self.parts.policy.judge(&patch);
        if !verdict.refusals.is_empty() {
            return Err(Stop::Refused(verdict.refusals.iter().map(shown).collect()));
        }
        let author = Author {
            name: self.parts.settings.author_name.clone(),
            email: self.parts.settings.author_email.clone(),
        };
        let message = proposal_story::commit_message(&detail.issue, attempt, context.job.id);
        let at = attempt.ended_at.unwrap_or(attempt.started_at);
        let commit = tree.commit(&author, &message, at).await?;
        let commit = commit.as_str().to_owned();
        Ok(Prepared { tree, commit, files: patch.paths(), verdict })
    }

    /// Pushes to the first branch name that is free or ours; gives the branch and its head.
    async fn push(
        &self,
        context: &StageContext,
        detail: &IssueDetail,
        attempt: &Attempt,
        forge: &dyn Forge,
        repository: &Repository,
        prepared: &Prepared,
    ) -> Result<(String, String), Setback> {
        let state = context.job.progress.as_deref();
        let memory: Memory = state.and_then(|state| serde_json::from_str(state).ok()).unwrap_or_default();
        let short = detail.issue.levels.identity.short();
        let numbered = (attempt.number..).take(MAX_BRANCHES as usize);
        let names = memory.branch.into_iter().chain(numbered.map(|n| format!("homeostat/{short}-{n}")));
        for branch in names {
            context.progress.step("push branch", &branch).await;
            let push =
                Push { repository, clone: prepared.tree.folder(), commit: &prepared.commit, branch: &branch };
            match forge.push(push).await? {
                Pushed::Taken => {}
                Pushed::Ours { head } => {
                    let memory = Memory { branch: Some(branch.clone()) };
                    let state = serde_json::to_string(&memory).expect("a struct of texts is JSON");
                    context.progress.save(&state).await?;
                    return Ok((branch, head));
                }
            }
        }
        Err(Setback::Failed { reason: format!("{MAX_BRANCHES} branches homeostat/{short}-… are taken") })
    }

    async fn body(
        &self,
        detail: &IssueDetail,
        patch: ValidatedPatch<'_>,
        verdict: &Verdict,
    ) -> Result<String, Setback> {
        let ticket = self.parts.store.ticket(detail.issue.id).await?;
        let page = format!("{}/issues/{}", self.parts.public_url, detail.issue.id);
        let look_at: Vec<(String, String)> =
            verdict.look_at.iter().take(20).map(|it| (it.path.clone(), it.reason.clone())).collect();
        Ok(proposal_story::body(proposal_story::Parts {
            issue: &detail.issue,
            sample: detail.own_sample(),
            attempt: patch.attempt(),
            validation: patch.validation(),
            ticket: ticket.as_ref(),
            page: &page,
            look_at: &look_at,
        }))
    }

    /// Tells the issue and queues what follows; safe to run again.
    async fn finish(&self, proposal: Proposal) -> Result<StageOutcome, Setback> {
        let event = match proposal.state {
            ProposalState::Open => IssueEvent::ProposalOpened,
            ProposalState::Merged => IssueEvent::ProposalMerged,
            ProposalState::Closed => IssueEvent::ProposalClosed,
        };
        let happened = Happened {
            issue: proposal.issue,
            event: Some(event),
            actor: ACTOR,
            what: "proposal opened",
            detail: &proposal.url,
            at: self.parts.clock.now(),
        };
        tell_once(self.parts.store.as_ref(), happened).await?;
        let about = proposal.id.to_string();
        let (issue, attempt) = (proposal.issue, proposal.attempt);
        let kind = NoticeKind::ProposalOpened;
        let next = vec![
            report(issue, attempt, "proposed"),
            NewJob::announce(issue, kind, Some(attempt), Some(proposal.id), &about),
        ];
        Ok(StageOutcome::done(format!("proposed {}", proposal.url), next))
    }

    /// Keeps the patch and the reasons for a person; nothing is pushed.
    async fn refuse(
        &self,
        context: &StageContext,
        mut attempt: Attempt,
        reasons: Vec<String>,
    ) -> Result<StageOutcome, Setback> {
        let (id, issue) = (attempt.id, attempt.issue);
        let summary = format!("not proposed: {}", reasons.join("; "));
        context.progress.step("not proposed", &summary).await;
        if !attempt.report.contains(REFUSED) {
            let list: Vec<String> = reasons.iter().map(|reason| format!("- {reason}")).collect();
            attempt.report = format!("{}\n\n{REFUSED}\n\n{}", attempt.report.trim_end(), list.join("\n"));
        }
        attempt.outcome = Some(Outcome::NeedsPerson);
        self.parts.store.save_attempt(&attempt).await?;
        let happened = Happened {
            issue,
            event: Some(IssueEvent::AttemptEnded(Outcome::NeedsPerson)),
            actor: ACTOR,
            what: "not proposed",
            detail: &id.to_string(),
            at: self.parts.clock.now(),
        };
        tell_once(self.parts.store.as_ref(), happened).await?;
        Ok(StageOutcome::done(summary, vec![report(issue, id, "refused")]))
    }
}

/// A report of its own: the fix stage may have reported the same attempt before.
fn report(issue: IssueId, attempt: AttemptId, what: &str) -> NewJob {
    NewJob { unique_key: format!("report:{attempt}:{what}"), ..NewJob::report_attempt(issue, attempt) }
}

fn shown(finding: &Finding) -> String {
    let Finding { path, reason } = finding;
    if path.is_empty() { format!("the patch: {reason}") } else { format!("`{path}`: {reason}") }
}

/// A patch that does not fit is the patch's fault; everything else is the machine's.
fn not_fitting(error: RepoError) -> Stop {
    match error {
        RepoError::DoesNotApply { .. } | RepoError::NotText => Stop::Refused(vec![error.to_string()]),
        RepoError::Start { .. }
        | RepoError::TimedOut { .. }
        | RepoError::Refused { .. }
        | RepoError::Unreachable { .. }
        | RepoError::Unauthorized { .. }
        | RepoError::NoSuchRepository { .. }
        | RepoError::BadUrl { .. }
        | RepoError::NoSuchBranch { .. }
        | RepoError::NoSuchRevision { .. }
        | RepoError::TooLarge { .. }
        | RepoError::Locked { .. }
        | RepoError::Io { .. }
        | RepoError::Credential { .. } => Stop::Setback(error.into()),
    }
}
