//! A store with an issue, a repository behind a git server, a scripted model, and the stage over the machine's engine.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bollard::query_parameters::ListContainersOptionsBuilder;
use homeostat::agent;
use homeostat::agent::scripted::script::Script;
use homeostat::agent::scripted::server::ScriptedModel;
use homeostat::base::clock::{Clock, SystemClock, Timestamp};
use homeostat::base::env;
use homeostat::base::id::{IssueId, LeaseToken};
use homeostat::base::redact::{Clean, Redactor};
use homeostat::base::secret::Secret;
use homeostat::base::shutdown::Shutdown;
use homeostat::heal::fix::{FixParts, FixStage, Settings};
use homeostat::model::attempt::Attempt;
use homeostat::model::decision::Decision;
use homeostat::model::detection::{Action, Severity};
use homeostat::model::job::{Job, JobKind, NewJob};
use homeostat::model::occurrence::{Around, CommitBatch, OccurrenceGroup, Sample};
use homeostat::model::service::{FixedServices, Repository as Home, Route, Service};
use homeostat::model::stage::{Progress, ProgressError, Stage, StageContext, StageOutcome};
use homeostat::repo::{self, Credential, FetchToken, FetchTokens, Repos};
use homeostat::sandbox::engine::Engine;
use homeostat::store::{self, Store};
use homeostat::watch::fingerprint::Fingerprinter;
use tempfile::TempDir;

use crate::support::docker;
use crate::support::git::{Credential as Reader, GitServer, Repository};

/// A package with one bug and two tests.
pub(crate) const SHOP: &[(&str, &str)] = &[
    ("README.md", include_str!("../../fixtures/projects/shop/README.md")),
    ("pytest.ini", include_str!("../../fixtures/projects/shop/pytest.ini")),
    ("shop/__init__.py", ""),
    ("shop/stats.py", include_str!("../../fixtures/projects/shop/shop/stats.py")),
    ("tests/test_stats.py", include_str!("../../fixtures/projects/shop/tests/test_stats.py")),
];

/// What the package logs when its bug is hit.
pub(crate) const RECORD: &str = "\
2026-11-20 10:00:00,123 ERROR report: no figures for 2026-11-19
Traceback (most recent call last):
  File \"/app/report.py\", line 12, in main
    print(busiest(days))
  File \"/app/shop/stats.py\", line 10, in busiest
    means = [mean(day) for day in days]
  File \"/app/shop/stats.py\", line 10, in <listcomp>
    means = [mean(day) for day in days]
  File \"/app/shop/stats.py\", line 5, in mean
    return sum(values) / len(values)
ZeroDivisionError: division by zero";

/// The key of the model API.
pub(crate) const MODEL_KEY: &str = "model-key-6b1f0c52";

/// May read the repository; nobody may without it.
pub(crate) const FETCH_TOKEN: &str = "fetch-token-93d7e1aa";

/// Everything one test needs; gone at its end.
pub(crate) struct Given {
    pub(crate) folder: TempDir,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) repository: Repository,
    /// Commit that the service says it was built from.
    pub(crate) revision: Option<String>,
    pub(crate) settings: Settings,
    /// Changes the agent's settings before each run.
    pub(crate) limits: agent::settings::Limits,
    server: GitServer,
    issue: Option<IssueId>,
}

/// One lease of the fix job.
#[derive(Debug)]
pub(crate) struct Leased {
    pub(crate) job: Job,
    token: LeaseToken,
}

impl Leased {
    pub(crate) const fn token(&self) -> LeaseToken {
        self.token
    }
}

impl Given {
    /// A repository of these files.
    pub(crate) async fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/homeostat.db", folder.path().display());
        let store = store::open(&store::Settings { url, max_connections: 4 }).await.unwrap();
        let repository = Repository::create("shop", files);
        let reader = Reader { user: "reader".to_owned(), password: FETCH_TOKEN.to_owned(), may_push: false };
        let server = GitServer::start(repository.root(), vec![reader]).await;
        Self {
            folder,
            store,
            repository,
            revision: None,
            settings: Settings::default(),
            limits: agent::settings::Limits::default(),
            server,
            issue: None,
        }
    }

    /// An issue of `record`, and its fix job, leased.
    pub(crate) async fn lease_fix_of(&mut self, record: &str) -> Leased {
        let now = SystemClock.now();
        let batch = CommitBatch { groups: vec![group(record, now)], ..CommitBatch::default() };
        let issue = self.store.commit(batch, now).await.unwrap().groups[0].issue;
        self.issue = Some(issue);
        self.store.enqueue(NewJob::fix(issue, 0), now).await.unwrap();
        self.lease().await
    }

    /// Leases the job, again if it was released.
    pub(crate) async fn lease(&self) -> Leased {
        let now = SystemClock.now();
        let lease = self.store.lease(&[JobKind::Fix], "test", now, Duration::from_secs(600)).await.unwrap();
        let lease = lease.expect("the fix job is due");
        Leased { job: lease.job, token: lease.token }
    }

    /// Runs the job to the end of the stage.
    pub(crate) async fn run(&self, leased: &Leased, model: &ScriptedModel) -> StageOutcome {
        self.run_until(leased, model, &Desk::default()).await
    }

    /// Runs the job while `desk` looks on.
    pub(crate) async fn run_until(
        &self,
        leased: &Leased,
        model: &ScriptedModel,
        desk: &Desk,
    ) -> StageOutcome {
        let stage = FixStage::new(self.parts(model).await);
        let outcome = stage.run(self.context(leased, desk)).await;
        assert_eq!(model.refusals(), Vec::<String>::new());
        outcome
    }

    pub(crate) fn context(&self, leased: &Leased, desk: &Desk) -> StageContext {
        let progress = StoreProgress {
            store: Arc::clone(&self.store),
            leased: (leased.job.id, leased.token),
            desk: desk.clone(),
        };
        StageContext { job: leased.job.clone(), stop: desk.stop.clone(), progress: Arc::new(progress) }
    }

    pub(crate) async fn parts(&self, model: &ScriptedModel) -> FixParts {
        let mut agent = agent::settings::Settings::new(model.base_url(), Secret::new(MODEL_KEY));
        agent.limits = self.limits;
        let url = self.server.repository_url("shop");
        let credential = Credential { user: "reader".to_owned(), token: Secret::new(FETCH_TOKEN) };
        let tokens = FetchTokens(vec![FetchToken { prefix: url.clone(), credential }]);
        let home = Home {
            url,
            base_branch: "main".to_owned(),
            revision: self.revision.clone(),
            folder: String::new(),
        };
        let service = Service { name: "shop".to_owned(), repository: Some(home), route: Route::Fix };
        let repos = self.folder.path().join("repos");
        FixParts {
            settings: self.settings.clone(),
            agent,
            store: Arc::clone(&self.store),
            services: Arc::new(FixedServices(vec![service])),
            repos: Repos::new(repo::Settings::new(repos), Arc::new(tokens)).await.unwrap(),
            engine: Engine::connect(env::var(env::DOCKER_HOST).as_deref()).await.unwrap(),
            fingerprinter: Fingerprinter::builtin(),
            redactor: Redactor::builtin(),
            clock: SystemClock::shared(),
        }
    }

    /// Where the repository is served.
    pub(crate) fn git_port(&self) -> u16 {
        self.server.url.rsplit(':').next().unwrap().parse().unwrap()
    }

    /// Whether somebody came to the repository with the token.
    pub(crate) fn fetched_with_token(&self) -> bool {
        self.server.seen().iter().any(|it| it.user.as_deref() == Some("reader") && it.status == 200)
    }

    /// Completes the job as released, so that it can be leased again.
    pub(crate) async fn release(&self, leased: &Leased) {
        let now = SystemClock.now();
        let outcome = StageOutcome::released();
        self.store.complete(leased.job.id, leased.token, outcome, None, now).await.unwrap();
    }

    pub(crate) fn issue(&self) -> IssueId {
        self.issue.expect("an issue was made")
    }

    /// All attempts, oldest first.
    pub(crate) async fn attempts(&self) -> Vec<Attempt> {
        self.store.attempts(self.issue()).await.unwrap()
    }

    /// The only attempt.
    pub(crate) async fn attempt(&self) -> Attempt {
        let attempts = self.attempts().await;
        assert_eq!(attempts.len(), 1, "{attempts:#?}");
        attempts.into_iter().next().unwrap()
    }

    /// Names of the containers of this store's installation.
    pub(crate) async fn containers(&self) -> Vec<String> {
        let instance = self.store.instance_id().await.unwrap();
        let filters = HashMap::from([("label", vec![format!("homeostat.instance={instance}")])]);
        let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
        let listed = docker::engine().list_containers(Some(options)).await.unwrap();
        listed.into_iter().map(|it| it.names.unwrap_or_default().concat()).collect()
    }
}

/// A model that plays these scripts.
pub(crate) async fn model(scripts: Vec<Script>) -> ScriptedModel {
    ScriptedModel::start(scripts).await.unwrap()
}

/// Sees every step, and may ask for a stop at one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Desk {
    pub(crate) stop: Shutdown,
    steps: Arc<Mutex<Vec<String>>>,
    /// The beginning of a step, and at the how many-th of these.
    stop_at: Arc<Mutex<Option<(String, usize)>>>,
}

impl Desk {
    /// Asks for a stop with the first step that begins like this.
    pub(crate) fn stopping_at(step: &str) -> Self {
        let desk = Self::default();
        desk.stop_at_nth(step, 1);
        desk
    }

    /// Asks for a stop with the `n`-th step that begins like this.
    pub(crate) fn stop_at_nth(&self, step: &str, n: usize) {
        *self.stop_at.lock().unwrap() = Some((step.to_owned(), n));
    }

    /// `name: detail` of each.
    pub(crate) fn steps(&self) -> Vec<String> {
        self.steps.lock().unwrap().clone()
    }
}

#[derive(Debug)]
struct StoreProgress {
    store: Arc<dyn Store>,
    leased: (homeostat::base::id::JobId, LeaseToken),
    desk: Desk,
}

#[async_trait::async_trait]
impl Progress for StoreProgress {
    async fn step(&self, name: &'static str, detail: &str) {
        let step = format!("{name}: {detail}");
        let is_stop = match self.desk.stop_at.lock().unwrap().as_mut() {
            Some((at, n)) if step.starts_with(at.as_str()) => {
                *n = n.saturating_sub(1);
                *n == 0
            }
            Some(_) | None => false,
        };
        self.desk.steps.lock().unwrap().push(step);
        if is_stop {
            self.desk.stop.request();
        }
    }

    fn lease(&self) -> Option<LeaseToken> {
        Some(self.leased.1)
    }

    async fn save(&self, state: &str) -> Result<(), ProgressError> {
        let (job, token) = self.leased;
        let saved = self.store.save_progress(job, token, state, SystemClock.now()).await;
        saved.map_err(|error| ProgressError::Store(error.into()))
    }
}

fn group(record: &str, now: Timestamp) -> OccurrenceGroup {
    let text = Clean::trusted(record);
    let found = Fingerprinter::builtin().fingerprint(&text);
    OccurrenceGroup {
        service: "shop".to_owned(),
        levels: found.levels,
        former: None,
        preimage: found.preimage,
        title: found.title,
        rule: "python.traceback".to_owned(),
        severity: Severity::Error,
        action: Action::Issue,
        runtime: found.runtime,
        count: 3,
        first_seen: now,
        last_seen: now,
        samples: vec![Sample {
            at: now,
            text,
            origin: "shop-1".to_owned(),
            revision: None,
            around: Around::default(),
            merged_from: None,
        }],
        decision: Decision::Fix { reason: "new" },
        jobs: Vec::new(),
    }
}
