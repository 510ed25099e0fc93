//! A store with an issue, stages over real adapters, a worker that runs them.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use homeostat::base::backoff::Backoff;
use homeostat::base::clock::{Clock, SharedClock, SystemClock, Timestamp};
use homeostat::base::id::{AttemptId, IssueId, JobId};
use homeostat::base::redact::{Clean, Redactor};
use homeostat::base::shutdown::Shutdown;
use homeostat::forge::{self, Forge, LocalForge};
use homeostat::heal::announce::{AnnounceParts, AnnounceStage};
use homeostat::heal::land::{LandParts, LandStage};
use homeostat::heal::propose::policy::{self, Policy};
use homeostat::heal::propose::{self, ProposeParts, ProposeStage};
use homeostat::heal::ticket::{TicketParts, TicketStage};
use homeostat::heal::worker::{self, Worker, WorkerParts};
use homeostat::messenger::Messenger;
use homeostat::model::attempt::{Attempt, Outcome};
use homeostat::model::decision::Decision;
use homeostat::model::detection::{Action, Severity};
use homeostat::model::fingerprint::{Fingerprint, Levels};
use homeostat::model::job::{Job, JobState, NewJob};
use homeostat::model::money::NanoUsd;
use homeostat::model::occurrence::{Around, CommitBatch, OccurrenceGroup, Sample};
use homeostat::model::proof::{CheckRun, ProjectCheck, Proof, Validation};
use homeostat::model::service::{FixedServices, Repository as Home, Route, Service, Services};
use homeostat::model::stage::Stage;
use homeostat::model::trace::Runtime;
use homeostat::repo::{self, FetchTokens, Repos};
use homeostat::store::types::{IssueDetail, JobFilter};
use homeostat::store::{self, Store};
use homeostat::tracker::{LocalTracker, Tracker};
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::support::git::Repository;
use crate::support::wait::{PATIENCE, eventually};

/// Where the dashboard of these tests would be.
pub(crate) const PAGE: &str = "http://homeostat.example";

/// The service's code: one file with its bug.
pub(crate) const SHOP: &[(&str, &str)] =
    &[("shop.py", "def average(total, n):\n    return total / n\n"), ("README.md", "shop\n")];

/// A fix with its test, as git writes it.
pub(crate) const PATCH: &str = "diff --git a/shop.py b/shop.py
--- a/shop.py
+++ b/shop.py
@@ -1,2 +1,2 @@
 def average(total, n):
-    return total / n
+    return total / n if n else 0
diff --git a/tests/test_shop.py b/tests/test_shop.py
new file mode 100644
--- /dev/null
+++ b/tests/test_shop.py
@@ -0,0 +1,2 @@
+from shop import average
+assert average(1, 0) == 0
";

/// The machine's clock, put forward by some seconds.
#[derive(Debug, Default)]
pub(crate) struct Shifted(AtomicI64);

impl Shifted {
    pub(crate) fn put_forward(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for Shifted {
    fn now(&self) -> Timestamp {
        let shift = jiff::SignedDuration::from_secs(self.0.load(Ordering::SeqCst));
        SystemClock.now().saturating_add(shift).unwrap()
    }
}

/// Everything one test needs; gone at its end.
pub(crate) struct Given {
    pub(crate) folder: TempDir,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) repository: Repository,
    pub(crate) services: Arc<dyn Services>,
    pub(crate) clock: SharedClock,
    /// The same clock, to put forward, so that a lease expires when a test says so.
    pub(crate) hands: Arc<Shifted>,
}

impl Given {
    /// A store and a repository; the service `shop` lives at `url` (the bare repository if there is none).
    pub(crate) async fn new(repository: Repository, url: Option<String>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = format!("sqlite://{}/homeostat.db", folder.path().display());
        let settings = store::Settings { url: file, max_connections: 4 };
        let store = store::open(&settings).await.unwrap();
        let url = url.unwrap_or_else(|| repository.bare().display().to_string());
        let home = Home { url, base_branch: "main".to_owned(), revision: None, folder: String::new() };
        let shop = Service { name: "shop".to_owned(), repository: Some(home), route: Route::Fix };
        let services = Arc::new(FixedServices(vec![shop]));
        let hands = Arc::new(Shifted::default());
        let clock = Arc::<Shifted>::clone(&hands);
        Self { folder, store, repository, services, clock, hands }
    }

    /// With a local bare repository.
    pub(crate) async fn local() -> Self {
        Self::new(Repository::create("shop", SHOP), None).await
    }

    /// An issue whose first occurrence asks for `jobs`.
    pub(crate) async fn issue(&self, title: &str, jobs: Vec<NewJob>) -> IssueId {
        let now = self.clock.now();
        let batch = CommitBatch { groups: vec![group(title, jobs, now)], ..CommitBatch::default() };
        self.store.commit(batch, now).await.unwrap().groups[0].issue
    }

    /// A validated attempt at the issue.
    pub(crate) async fn attempt(&self, issue: IssueId, patch: &str) -> Attempt {
        let base = self.repository.git(&["rev-parse", "main"]);
        let attempt = attempt(issue, patch, base, self.clock.now());
        self.store.save_attempt(&attempt).await.unwrap();
        attempt
    }

    pub(crate) async fn repos(&self, tokens: FetchTokens) -> Repos {
        let settings = repo::Settings::new(self.folder.path().join("repos"));
        std::fs::create_dir_all(&settings.folder).unwrap();
        Repos::new(settings, Arc::new(tokens)).await.unwrap()
    }

    pub(crate) fn local_tracker(&self) -> Arc<dyn Tracker> {
        Arc::new(LocalTracker::new(Arc::clone(&self.store), Arc::clone(&self.clock), PAGE))
    }

    pub(crate) fn local_forge(&self) -> Arc<dyn Forge> {
        Arc::new(LocalForge::new(forge::Settings::default(), PAGE))
    }

    /// Every stage but the fix.
    pub(crate) fn stages(
        &self,
        trackers: Vec<Arc<dyn Tracker>>,
        forges: Vec<Arc<dyn Forge>>,
        repos: Repos,
        messengers: Vec<Arc<dyn Messenger>>,
    ) -> Vec<Arc<dyn Stage>> {
        let (store, clock) = (&self.store, &self.clock);
        let services = &self.services;
        vec![
            Arc::new(TicketStage::new(TicketParts {
                store: Arc::clone(store),
                services: Arc::clone(services),
                trackers,
                redactor: Redactor::builtin(),
                clock: Arc::clone(clock),
                public_url: PAGE.to_owned(),
            })),
            Arc::new(ProposeStage::new(ProposeParts {
                store: Arc::clone(store),
                services: Arc::clone(services),
                repos,
                forges: forges.clone(),
                policy: Policy::new(policy::Settings::default(), Redactor::builtin()).unwrap(),
                clock: Arc::clone(clock),
                settings: propose::Settings::default(),
                public_url: PAGE.to_owned(),
            })),
            Arc::new(LandStage::new(LandParts {
                store: Arc::clone(store),
                services: Arc::clone(services),
                forges,
                clock: Arc::clone(clock),
            })),
            Arc::new(AnnounceStage::new(AnnounceParts {
                store: Arc::clone(store),
                messengers,
                clock: Arc::clone(clock),
                public_url: PAGE.to_owned(),
            })),
        ]
    }

    /// All stages with the local tracker and the local forge.
    pub(crate) async fn local_stages(&self) -> Vec<Arc<dyn Stage>> {
        let repos = self.repos(FetchTokens::default()).await;
        self.stages(vec![self.local_tracker()], vec![self.local_forge()], repos, Vec::new())
    }

    /// Runs a worker.
    pub(crate) fn work(&self, stages: Vec<Arc<dyn Stage>>, settings: worker::Settings) -> Working {
        let parts = WorkerParts {
            store: Arc::clone(&self.store),
            stages,
            clock: Arc::clone(&self.clock),
            owner: "test".to_owned(),
            settings,
        };
        let stop = Shutdown::new();
        Working { stop: stop.clone(), task: tokio::spawn(Worker::run(parts, stop)) }
    }

    pub(crate) async fn job(&self, id: JobId) -> Job {
        self.store.job(id).await.unwrap()
    }

    pub(crate) async fn detail(&self, issue: IssueId) -> IssueDetail {
        self.store.issue_detail(issue).await.unwrap()
    }

    /// (key, state, result) of the issue's jobs, sorted; ids in keys are left as they are.
    pub(crate) async fn jobs(&self, issue: IssueId) -> Vec<Job> {
        let filter = JobFilter { issue: Some(issue), limit: 1_000, ..JobFilter::default() };
        let mut jobs = self.store.jobs(&filter).await.unwrap();
        jobs.sort_by_key(|job| job.created_at);
        jobs
    }

    /// Waits until a job has ended in one way or another.
    pub(crate) async fn ended(&self, id: JobId) -> Job {
        eventually("the job to end", PATIENCE, async || {
            let job = self.job(id).await;
            matches!(job.state, JobState::Done | JobState::Dead | JobState::Cancelled).then_some(job)
        })
        .await
    }

    /// Waits until no job of the issue is queued or running but fixes, which nobody runs here.
    pub(crate) async fn quiet(&self, issue: IssueId) -> Vec<Job> {
        eventually("the issue's jobs to end", PATIENCE, async || {
            let jobs = self.jobs(issue).await;
            let is_busy = |job: &Job| {
                matches!(job.state, JobState::Queued | JobState::Running)
                    && job.kind() != homeostat::model::job::JobKind::Fix
            };
            (!jobs.iter().any(is_busy)).then_some(jobs)
        })
        .await
    }
}

/// A worker that runs until it is dropped or stopped.
pub(crate) struct Working {
    pub(crate) stop: Shutdown,
    task: JoinHandle<()>,
}

impl Working {
    /// Asks it to stop and waits for its end.
    pub(crate) async fn stopped(mut self) {
        self.stop.request();
        tokio::time::timeout(PATIENCE, &mut self.task).await.expect("it stops in time").unwrap();
    }

    /// Ends it where it stands, as a kill would: nothing is released, nothing completed.
    pub(crate) async fn killed(mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Impatient: for tests that wait for retries and expired leases.
pub(crate) fn quick() -> worker::Settings {
    worker::Settings {
        lease_ttl: Duration::from_secs(30),
        heartbeat_every: Duration::from_millis(50),
        backoff: Backoff::new(Duration::from_millis(5), Duration::from_millis(20)),
        poll_every: Duration::from_millis(20),
        stop_grace: Duration::from_millis(500),
        ..worker::Settings::default()
    }
}

fn group(title: &str, jobs: Vec<NewJob>, now: Timestamp) -> OccurrenceGroup {
    let hash = *blake3_of(title).bytes();
    let identity = Fingerprint::from_bytes(hash);
    let text = format!("Traceback (most recent call last):\n  File \"shop.py\", line 2, in average\n{title}");
    OccurrenceGroup {
        service: "shop".to_owned(),
        levels: Levels { exact: identity, identity, place: Some(identity), template: title.to_owned() },
        former: None,
        preimage: "python".to_owned(),
        title: Clean::trusted(title),
        rule: "python.traceback".to_owned(),
        severity: Severity::Error,
        action: Action::Issue,
        runtime: Runtime::Python,
        count: 3,
        first_seen: now,
        last_seen: now,
        samples: vec![Sample {
            at: now,
            text: Clean::trusted(text),
            origin: "shop-1".to_owned(),
            revision: None,
            around: Around::default(),
            merged_from: None,
        }],
        decision: Decision::Fix { reason: "new" },
        jobs,
    }
}

/// Any hash will do: one per title.
fn blake3_of(title: &str) -> Fingerprint {
    let mut bytes = [7_u8; 32];
    for (at, byte) in title.bytes().enumerate() {
        bytes[at % 32] = bytes[at % 32].wrapping_mul(31).wrapping_add(byte);
    }
    Fingerprint::from_bytes(bytes)
}

pub(crate) fn run(exit_code: i64, output: &str) -> CheckRun {
    CheckRun {
        command: "python -m pytest".to_owned(),
        exit_code,
        is_timed_out: false,
        output: output.to_owned(),
        took: Duration::from_secs(1),
        tests: None,
    }
}

fn attempt(issue: IssueId, patch: &str, base_commit: String, now: Timestamp) -> Attempt {
    let (passed, failed) = (run(0, "1 passed"), run(1, "ZeroDivisionError"));
    let check = ProjectCheck {
        name: "pytest".to_owned(),
        baseline: passed.clone(),
        patched: passed.clone(),
        worse: Vec::new(),
        flaky: Vec::new(),
    };
    Attempt {
        id: AttemptId::new(),
        issue,
        job: JobId::new(),
        number: 1,
        model: "claude-opus-5-5".to_owned(),
        base_commit,
        started_at: now,
        ended_at: Some(now),
        outcome: Some(Outcome::Fixed),
        report: "`average` divides by zero.".to_owned(),
        patch: patch.to_owned(),
        validation: Some(Validation {
            proof: Proof {
                before: failed.clone(),
                before_matches_issue: true,
                after: passed,
                reverted: failed,
                doubts: Vec::new(),
            },
            checks: vec![check],
        }),
        cost: NanoUsd(50_000_000),
        n_model_calls: 3,
        n_tool_calls: 5,
    }
}
