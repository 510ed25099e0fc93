//! A believable evening of several services, written into a store through its trait: what the pages are looked at with.

#![expect(clippy::unwrap_used, reason = "a story that cannot be written must fail")]

use std::sync::Arc;
use std::time::Duration;

use homeostat::base::clock::{SharedClock, SystemClock, Timestamp};
use homeostat::base::id::{AttemptId, IssueId, JobId, ProposalId, TicketId};
use homeostat::base::redact::{Clean, Redactor};
use homeostat::model::attempt::{Attempt, Outcome};
use homeostat::model::cursor::{Gap, StreamKey};
use homeostat::model::decision::Decision;
use homeostat::model::detection::{Action, Severity};
use homeostat::model::issue::IssueEvent;
use homeostat::model::job::{JobKind, Lease, NewJob};
use homeostat::model::money::NanoUsd;
use homeostat::model::occurrence::{Around, CommitBatch, OccurrenceGroup, Sample};
use homeostat::model::proof::{CheckRun, ProjectCheck, Proof, Validation};
use homeostat::model::proposal::{Proposal, ProposalState};
use homeostat::model::stage::StageOutcome;
use homeostat::model::ticket::Ticket;
use homeostat::store::types::{NewReservation, SpendLimits, TimelineEntry, Usage};
use homeostat::store::{self, Store};
use homeostat::watch::fingerprint::Fingerprinter;
use tempfile::TempDir;

use super::texts;

const LEASE: Duration = Duration::from_secs(3600);

/// A store of its own, gone with the value.
pub(crate) struct Given {
    pub(crate) folder: TempDir,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: SharedClock,
}

/// The issue that the pages show at length.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shown {
    pub(crate) issue: IssueId,
    pub(crate) proposal: ProposalId,
    /// The number of its local ticket.
    pub(crate) ticket: i64,
}

/// One error as a service logged it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Logged<'a> {
    pub(crate) service: &'a str,
    pub(crate) text: &'a str,
    pub(crate) rule: &'a str,
    pub(crate) severity: Severity,
    /// (minutes ago, how many), oldest first.
    pub(crate) seen: &'a [(i64, u64)],
}

impl Given {
    /// An empty store.
    pub(crate) async fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/homeostat.db", folder.path().display());
        let store = store::open(&store::Settings { url, max_connections: 4 }).await.unwrap();
        Self { folder, store, clock: SystemClock::shared() }
    }

    /// A store with the whole story.
    pub(crate) async fn with_story() -> (Self, Shown) {
        let given = Self::empty().await;
        let shown = given.write_proposed().await;
        given.write_others().await;
        given.write_running().await;
        (given, shown)
    }

    fn ago(&self, minutes: i64) -> Timestamp {
        self.clock.now().checked_sub(jiff::SignedDuration::from_mins(minutes)).unwrap()
    }

    /// Commits an error as the watching half does; the first commit brings the jobs.
    pub(crate) async fn log(&self, logged: Logged<'_>, jobs: Vec<NewJob>) -> IssueId {
        let clean = Redactor::builtin().redact(logged.text);
        let made = Fingerprinter::builtin().fingerprint(&clean);
        let mut issue = None;
        let mut jobs = Some(jobs);
        for &(minutes, count) in logged.seen {
            let at = self.ago(minutes);
            let sample = Sample {
                at,
                text: clean.clone(),
                origin: format!("{}-1", logged.service),
                revision: Some("8f14e45".to_owned()),
                around: around(),
                merged_from: None,
            };
            let group = OccurrenceGroup {
                service: logged.service.to_owned(),
                levels: made.levels.clone(),
                former: None,
                preimage: made.preimage.clone(),
                title: made.title.clone(),
                rule: logged.rule.to_owned(),
                severity: logged.severity,
                action: Action::Issue,
                runtime: made.runtime,
                count,
                first_seen: at,
                last_seen: at,
                samples: vec![sample],
                decision: Decision::Fix { reason: "new" },
                jobs: jobs.take().unwrap_or_default(),
            };
            let batch = CommitBatch { groups: vec![group], ..CommitBatch::default() };
            issue = Some(self.store.commit(batch, at).await.unwrap().groups[0].issue);
        }
        issue.expect("an error was seen at least once")
    }

    /// Leases the next job of a kind and shows some steps of it.
    async fn begin(&self, kind: JobKind, minutes: i64, steps: &[(&str, &str)]) -> Lease {
        let at = self.ago(minutes);
        let lease = self.store.lease(&[kind], "host:1", self.clock.now(), LEASE).await.unwrap();
        let lease = lease.expect("the story has queued such a job");
        for (n_step, (name, detail)) in (0..).zip(steps) {
            let at = at.checked_add(jiff::SignedDuration::from_secs(n_step * 19)).unwrap();
            self.store.add_step(lease.job.id, at, name, detail).await.unwrap();
        }
        lease
    }

    async fn end(&self, lease: &Lease, minutes: i64, outcome: StageOutcome) {
        let at = self.ago(minutes);
        self.store.complete(lease.job.id, lease.token, outcome, None, at).await.unwrap();
    }

    pub(crate) async fn tell(&self, issue: IssueId, minutes: i64, what: &str, detail: &str) {
        let entry = TimelineEntry {
            at: self.ago(minutes),
            actor: "homeostat".to_owned(),
            what: what.to_owned(),
            detail: detail.to_owned(),
        };
        self.store.add_timeline(issue, entry).await.unwrap();
    }

    async fn happen(&self, issue: IssueId, minutes: i64, event: IssueEvent, what: &str, detail: &str) {
        let entry = TimelineEntry {
            at: self.ago(minutes),
            actor: "homeostat".to_owned(),
            what: what.to_owned(),
            detail: detail.to_owned(),
        };
        self.store.apply_issue_event(issue, event, Vec::new(), entry).await.unwrap();
    }

    /// An error that was found, told, fixed, proved and proposed.
    async fn write_proposed(&self) -> Shown {
        let logged = Logged {
            service: "shop",
            text: texts::PYTHON,
            rule: "python.traceback",
            severity: Severity::Error,
            seen: texts::AN_EVENING,
        };
        let issue = self.log(logged, vec![NewJob::open_ticket(true)]).await;
        self.tell(issue, 186, "issue opened", "new in shop").await;

        let lease = self.begin(JobKind::Ticket, 186, &[("opened", "local ticket 1")]).await;
        let title = "shop: ZeroDivisionError: division by zero";
        let ticket =
            self.store.open_local_ticket("issue", title, texts::TICKET, self.ago(186)).await.unwrap();
        let entry = Ticket {
            id: TicketId::new(),
            issue,
            tracker: "local".to_owned(),
            key: ticket.to_string(),
            url: format!("/tickets/{ticket}"),
            opened_at: self.ago(186),
        };
        self.store.save_ticket(&entry).await.unwrap();
        self.tell(issue, 186, "ticket opened", "local ticket 1").await;
        self.end(&lease, 186, StageOutcome::done("opened ticket 1", vec![NewJob::fix(issue, 0)])).await;

        let lease = self.begin(JobKind::Fix, 185, texts::FIX_STEPS).await;
        let attempt = self.attempt(issue, lease.job.id, Outcome::Fixed, texts::REPORT, texts::PATCH);
        self.store.save_attempt(&attempt).await.unwrap();
        self.spend(&attempt).await;
        self.happen(issue, 179, IssueEvent::AttemptEnded(Outcome::Fixed), "attempt ended", "fixed, $0.3127")
            .await;
        let next = vec![NewJob::propose(issue, attempt.id)];
        self.end(&lease, 179, StageOutcome::done("fixed with claude-sonnet-5-5 for $0.3127", next)).await;

        let steps = [("pushed", "homeostat/shop-1"), ("opened", "proposal 1")];
        let lease = self.begin(JobKind::Propose, 178, &steps).await;
        let proposal = self.proposal(issue, attempt.id, &lease);
        self.store.save_proposal(&proposal).await.unwrap();
        self.happen(issue, 178, IssueEvent::ProposalOpened, "proposal opened", &proposal.branch).await;
        self.end(&lease, 178, StageOutcome::done(format!("proposed {}", proposal.branch), Vec::new())).await;
        Shown { issue, proposal: proposal.id, ticket }
    }

    /// Issues in every other state, and a gap.
    async fn write_others(&self) {
        for other in texts::OTHERS {
            let logged = Logged {
                service: other.service,
                text: other.text,
                rule: other.rule,
                severity: other.severity,
                seen: other.seen,
            };
            let issue = self.log(logged, Vec::new()).await;
            for (event, what) in other.events {
                self.happen(issue, 30, *event, what, "").await;
            }
        }
        let gap = Gap {
            stream: StreamKey("docker:3f9c1d2b7a60:stdout".to_owned()),
            service: "mailer".to_owned(),
            noticed_at: self.ago(47),
            from: "18:01:07".to_owned(),
            to: "18:01:19".to_owned(),
            reason: "rotated away unread".to_owned(),
        };
        let batch = CommitBatch { gaps: vec![gap], ..CommitBatch::default() };
        self.store.commit(batch, self.ago(47)).await.unwrap();
    }

    /// An issue whose fix runs now, after one that gave up.
    async fn write_running(&self) {
        let logged = Logged {
            service: "billing",
            text: texts::JVM,
            rule: "jvm.exception",
            severity: Severity::Critical,
            seen: &[(62, 4), (41, 1), (23, 9), (9, 2), (1, 3)],
        };
        let issue = self.log(logged, Vec::new()).await;
        self.tell(issue, 62, "issue opened", "new in billing").await;
        self.store.enqueue(NewJob::fix(issue, 0), self.ago(60)).await.unwrap();
        let lease = self.begin(JobKind::Fix, 60, &texts::FIX_STEPS[..5]).await;
        let attempt = self.attempt(issue, lease.job.id, Outcome::GaveUp, texts::GAVE_UP, "");
        let attempt = Attempt { validation: None, ..attempt };
        self.store.save_attempt(&attempt).await.unwrap();
        self.happen(
            issue,
            55,
            IssueEvent::AttemptEnded(Outcome::GaveUp),
            "attempt ended",
            "gave up, $0.3127",
        )
        .await;
        self.end(&lease, 55, StageOutcome::done("gave up after 12 model calls", Vec::new())).await;
        self.store.enqueue(NewJob::fix(issue, 1), self.ago(3)).await.unwrap();
        self.begin(JobKind::Fix, 2, &texts::FIX_STEPS[..4]).await;
    }

    fn attempt(&self, issue: IssueId, job: JobId, outcome: Outcome, report: &str, patch: &str) -> Attempt {
        let failing = run(1, texts::FAILS, 1.4);
        let proof = Proof {
            before: failing.clone(),
            before_matches_issue: true,
            after: run(0, texts::PASSES, 1.3),
            reverted: failing,
            doubts: Vec::new(),
        };
        let check = ProjectCheck {
            name: "pytest".to_owned(),
            baseline: run(0, "41 passed in 3.02s", 4.1),
            patched: run(0, "43 passed in 3.09s", 4.2),
            worse: Vec::new(),
            flaky: Vec::new(),
        };
        Attempt {
            id: AttemptId::new(),
            issue,
            job,
            number: 1,
            model: "claude-sonnet-5-5".to_owned(),
            base_commit: "8f14e45fceea167a5a36dedd4bea2543".to_owned(),
            started_at: self.ago(185),
            ended_at: Some(self.ago(179)),
            outcome: Some(outcome),
            report: report.to_owned(),
            patch: patch.to_owned(),
            validation: Some(Validation { proof, checks: vec![check] }),
            cost: NanoUsd(312_700_000),
            n_model_calls: 12,
            n_tool_calls: 19,
        }
    }

    fn proposal(&self, issue: IssueId, attempt: AttemptId, lease: &Lease) -> Proposal {
        let short = &lease.job.id.to_string()[24..];
        Proposal {
            id: ProposalId::new(),
            issue,
            attempt,
            forge: "local".to_owned(),
            key: "1".to_owned(),
            url: format!("/issues/{issue}"),
            branch: format!("homeostat/{short}-1"),
            base_branch: "main".to_owned(),
            head: "c4ca4238a0b923820dcc509a6f75849b".to_owned(),
            files: vec!["shop/cart.py".to_owned(), "tests/test_cart.py".to_owned()],
            title: "Return 0 as the average of an empty cart".to_owned(),
            body: texts::PROPOSAL.to_owned(),
            is_draft: false,
            state: ProposalState::Open,
            opened_at: self.ago(178),
        }
    }

    /// What the attempt cost, as the ledger books it: today's money is shown in the head of the page.
    async fn spend(&self, attempt: &Attempt) {
        let id = homeostat::base::id::ReservationId::new();
        let at = self.clock.now();
        let reservation = NewReservation {
            id,
            attempt: attempt.id,
            issue: attempt.issue,
            service: "shop".to_owned(),
            model: attempt.model.clone(),
            amount: attempt.cost,
            at,
        };
        self.store.reserve(reservation, SpendLimits::NONE).await.unwrap();
        self.store.settle(id, Usage::default(), attempt.cost, at).await.unwrap();
    }
}

fn run(exit_code: i64, output: &str, seconds: f64) -> CheckRun {
    CheckRun {
        command: "python -m pytest -q tests/test_cart.py".to_owned(),
        exit_code,
        is_timed_out: false,
        output: output.to_owned(),
        took: Duration::from_secs_f64(seconds),
        tests: None,
    }
}

/// A sample of words that must stay words wherever they are shown.
pub(crate) fn hostile(given: &Given, service: &'static str) -> OccurrenceGroup {
    let now = given.clock.now();
    let made = Fingerprinter::builtin().fingerprint(&Clean::trusted(texts::HOSTILE));
    OccurrenceGroup {
        service: service.to_owned(),
        levels: made.levels,
        former: None,
        preimage: texts::HOSTILE.to_owned(),
        title: Clean::trusted(texts::HOSTILE_TITLE),
        rule: "generic.error".to_owned(),
        severity: Severity::Error,
        action: Action::Issue,
        runtime: made.runtime,
        count: 1,
        first_seen: now,
        last_seen: now,
        samples: vec![Sample {
            at: now,
            text: Clean::trusted(texts::HOSTILE),
            origin: "<b>origin</b>".to_owned(),
            revision: None,
            around: around(),
            merged_from: None,
        }],
        decision: Decision::Ticket { reason: "new" },
        jobs: Vec::new(),
    }
}

/// What stood in the log around a record.
fn around() -> Around {
    Around {
        id: None,
        before: Clean::trusted("10.0.0.7 GET /cart/7"),
        after: Clean::trusted("10.0.0.7 GET /cart/7 500"),
    }
}
