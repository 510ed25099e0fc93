//! The stage over store, host git and forges.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::policy::{Policy, Verdict, candidates};
use super::validated::ValidatedPatch;
use crate::base::clock::SharedClock;
use crate::base::id::{AttemptId, IssueId, ProposalId};
use crate::forge::{Forge, NewProposal, ProposalRef, Push, Pushed};
use crate::heal::policy::{Finding, Level};
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

/// Most reasons told of one patch.
const MAX_REASONS: usize = 40;

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
    pub(super) parts: ProposeParts,
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
pub(super) enum Stop {
    Setback(Setback),
    /// The patch may not be proposed, for these reasons.
    Refused(Vec<String>),
    /// Another proposal of the issue is open.
    Open {
        url: String,
    },
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
            Err(Stop::Refused(reasons)) => {
                self.refuse(context, attempt, reasons, IssueEvent::AttemptEnded(Outcome::NeedsPerson)).await
            }
            Err(Stop::Open { url }) => {
                let reasons = vec![format!("another proposal of this issue is open: {url}")];
                self.refuse(context, attempt, reasons, IssueEvent::ProposalOpened).await
            }
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
        self.none_is_open(&detail, attempt, forge, repository).await?;
        context.progress.step("apply patch", &attempt.base_commit).await;
        let prepared = self.prepare(context, &detail, repository, validated).await?;
        if context.stop.is_requested() {
            return Err(Setback::Released.into());
        }
        let (branch, head) = self.push(context, &detail, attempt, forge, repository, &prepared).await?;
        // Once more: pushing takes a while, and another worker may have been quicker.
        self.none_is_open(&detail, attempt, forge, repository).await?;
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
        let verdict = self.judge(&tree, &patch, detail).await?;
        if !verdict.may_be_pushed() {
            return Err(Stop::Refused(reasons(&verdict)));
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

    /// What the policy says of the patch, with what of it stands in the log and not in the base tree.
    async fn judge(&self, tree: &WorkTree, patch: &Patch, detail: &IssueDetail) -> Result<Verdict, Stop> {
        let whole = tree.stage().await?;
        let mut sources = BTreeMap::new();
        for path in patch.paths().into_iter().filter(|path| path.ends_with(".rs")) {
            if let Some(content) = tree.read(&whole, &path).await? {
                sources.insert(path, String::from_utf8_lossy(&content).into_owned());
            }
        }
        let last = |path: &str| sources.get(path).cloned();
        let mut from_log = Vec::new();
        for candidate in candidates(patch, &logged(detail), last) {
            if !tree.holds(&tree.base_tree(), &candidate.text).await? {
                from_log.push(candidate.finding);
            }
        }
        Ok(self.parts.policy.judge(patch, last, from_log))
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
        let look_at: Vec<&Finding> = verdict.look_at().take(20).collect();
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
        event: IssueEvent,
    ) -> Result<StageOutcome, Setback> {
        let (id, issue) = (attempt.id, attempt.issue);
        let summary = format!("not proposed: {}", reasons.join("; "));
        context.progress.step("not proposed", &summary).await;
        if !attempt.report.contains(REFUSED) {
            let list: Vec<String> = reasons.iter().map(|reason| format!("- {reason}")).collect();
            attempt.report = format!("{}\n\n{REFUSED}\n\n{}", attempt.report.trim_end(), list.join("\n"));
        }
        if let IssueEvent::AttemptEnded(outcome) = event {
            attempt.outcome = Some(outcome);
        }
        self.parts.store.save_attempt(&attempt).await?;
        let happened = Happened {
            issue,
            event: Some(event),
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

/// Everything that keeps a patch back, for people: the rule, the place and why.
fn reasons(verdict: &Verdict) -> Vec<String> {
    let said = |level: Level, what: &str| {
        let shown: Vec<String> =
            verdict.of_level(level).map(|it| format!("{what}: {}", it.shown())).collect();
        shown
    };
    let held =
        [said(Level::Refuse, "refused"), said(Level::NeedsPerson, "a person must look at it")].concat();
    let n_more = held.len().saturating_sub(MAX_REASONS);
    let more = (n_more > 0).then(|| format!("{n_more} more of this kind"));
    held.into_iter().take(MAX_REASONS).chain(more).collect()
}

/// All that strangers may have written into what the agent was given.
fn logged(detail: &IssueDetail) -> String {
    let mut texts = vec![detail.issue.title.as_str()];
    for sample in &detail.samples {
        texts.extend([&sample.text, &sample.around.before, &sample.around.after].map(|it| it.as_str()));
    }
    texts.join("\n")
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
