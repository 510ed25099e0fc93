//! A store, a repository, a scripted model and a worker over every stage, for all scripts of one bug at once.
//!
//! Each script is played to a service of its own, so that each has an issue of its own; the repository, its mirror and the tests'
//! baseline are shared.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bollard::query_parameters::ListContainersOptionsBuilder;
use homeostat::agent;
use homeostat::agent::scripted::server::ScriptedModel;
use homeostat::base::clock::{Clock, SystemClock};
use homeostat::base::env;
use homeostat::base::id::IssueId;
use homeostat::base::redact::Redactor;
use homeostat::base::secret::Secret;
use homeostat::base::shutdown::Shutdown;
use homeostat::forge::{self, Forge, LocalForge};
use homeostat::heal::announce::{AnnounceParts, AnnounceStage};
use homeostat::heal::fix::{self, FixParts, FixStage};
use homeostat::heal::propose::policy::{self, Policy};
use homeostat::heal::propose::{self, ProposeParts, ProposeStage};
use homeostat::heal::ticket::{TicketParts, TicketStage};
use homeostat::heal::worker::{self, Worker, WorkerParts};
use homeostat::model::job::{Job, JobKind, NewJob};
use homeostat::model::money::NanoUsd;
use homeostat::model::occurrence::CommitBatch;
use homeostat::model::service::{FixedServices, Repository as Home, Route, Service, Services};
use homeostat::model::stage::{JobEnd, Progress, ProgressError, Stage, StageContext, StageOutcome};
use homeostat::repo::{self, FetchTokens, Repos};
use homeostat::sandbox::engine::Engine;
use homeostat::store::types::JobFilter;
use homeostat::store::{self, Store};
use homeostat::tracker::LocalTracker;
use homeostat::watch::fingerprint::Fingerprinter;
use homeostat::watch::ingest::pipeline::Found;
use tempfile::TempDir;
use tokio::task::JoinHandle;

use super::bug::{Bug, Case};
use super::record::group;
use crate::support::docker;
use crate::support::git::Repository;
use crate::support::wait::eventually;

/// Where the dashboard would be.
const PAGE: &str = "http://homeostat.example";

/// Below the ten minutes after which such a test is ended from outside: `.config/nextest.toml`.
const WHOLE: Duration = Duration::from_secs(570);

/// Everything that the scripts of a bug share; gone at the end.
pub(crate) struct Given {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) repository: Repository,
    pub(crate) model: ScriptedModel,
    services: Arc<FixedServices>,
    baselines: Baselines,
    folder: TempDir,
    worker: Option<(Shutdown, JoinHandle<()>)>,
}

impl Given {
    pub(crate) async fn new(name: &str, bug: &Bug) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/homeostat.db", folder.path().display());
        let store = store::open(&store::Settings { url, max_connections: 4 }).await.unwrap();
        let files = bug.files();
        let repository = Repository::create(name, &borrowed(&files));
        for (branch, files) in bug.branches() {
            repository.git(&["branch", &branch, "main"]);
            repository.commit(&branch, "Something else", &borrowed(&files));
        }
        let scripts = bug.cases.iter().map(|case| bug.script(case, &format!("`{}`", service_of(case))));
        let model = ScriptedModel::start(scripts.collect()).await.unwrap();
        let services = bug.cases.iter().map(|case| {
            let revision = case.revision.as_ref().map(|branch| repository.git(&["rev-parse", branch]));
            let url = repository.bare().display().to_string();
            let home = Home { url, base_branch: case.branch.clone(), revision, folder: String::new() };
            Service { name: service_of(case), repository: Some(home), route: Route::Fix }
        });
        let services = Arc::new(FixedServices(services.collect()));
        let baselines = Baselines::default();
        Self { store, repository, model, services, baselines, folder, worker: None }
    }

    /// Starts a worker over every stage.
    pub(crate) async fn work(&mut self) {
        let parts = WorkerParts {
            store: Arc::clone(&self.store),
            stages: self.stages().await,
            clock: SystemClock::shared(),
            owner: "test".to_owned(),
            settings: worker::Settings {
                poll_every: Duration::from_millis(50),
                ..worker::Settings::default()
            },
        };
        let stop = Shutdown::new();
        self.worker = Some((stop.clone(), tokio::spawn(Worker::run(parts, stop))));
    }

    /// What the daemon builds, with one attempt for each issue: a script knows one.
    async fn stages(&self) -> Vec<Arc<dyn Stage>> {
        let (store, services) = (&self.store, Arc::clone(&self.services) as Arc<dyn Services>);
        let clock = SystemClock::shared();
        let settings = repo::Settings::new(self.folder.path().join("repos"));
        let repos = Repos::new(settings, Arc::new(FetchTokens::default())).await.unwrap();
        let forges: Vec<Arc<dyn Forge>> = vec![Arc::new(LocalForge::new(forge::Settings::default(), PAGE))];
        let mut agent = agent::settings::Settings::new(self.model.base_url(), Secret::new("key"));
        agent.limits.command_time = Duration::from_secs(60);
        let fix = FixStage::new(FixParts {
            settings: fix::Settings {
                max_attempts: 1,
                // What they need is in the images; a registry is no part of this.
                dependencies: fix::dependencies::Settings { is_enabled: false, ..Default::default() },
                spend_per_day: NanoUsd::from_usd(1000.0),
                ..fix::Settings::default()
            },
            agent,
            store: Arc::clone(store),
            services: Arc::clone(&services),
            repos: repos.clone(),
            engine: Engine::connect(env::var(env::DOCKER_HOST).as_deref()).await.unwrap(),
            fingerprinter: Fingerprinter::builtin(),
            redactor: Redactor::builtin(),
            clock: Arc::clone(&clock),
        });
        let tracker = LocalTracker::new(Arc::clone(store), Arc::clone(&clock), PAGE);
        vec![
            Arc::new(TicketStage::new(TicketParts {
                store: Arc::clone(store),
                services: Arc::clone(&services),
                trackers: vec![Arc::new(tracker)],
                redactor: Redactor::builtin(),
                clock: Arc::clone(&clock),
                public_url: PAGE.to_owned(),
            })),
            Arc::new(WithBaseline { inner: fix, known: Arc::clone(&self.baselines), given: self.known() }),
            Arc::new(ProposeStage::new(ProposeParts {
                store: Arc::clone(store),
                services,
                repos,
                forges,
                policy: Policy::new(policy::Settings::default(), Redactor::builtin()).unwrap(),
                clock: Arc::clone(&clock),
                settings: propose::Settings::default(),
                public_url: PAGE.to_owned(),
            })),
            Arc::new(AnnounceStage::new(AnnounceParts {
                store: Arc::clone(store),
                messengers: Vec::new(),
                clock,
                public_url: PAGE.to_owned(),
            })),
        ]
    }

    fn known(&self) -> (Arc<dyn Store>, Arc<FixedServices>) {
        (Arc::clone(&self.store), Arc::clone(&self.services))
    }

    /// Commits the record for these cases, as the watching half does; gives the issue of each.
    pub(crate) async fn log(&self, found: &Found, cases: &[Case]) -> Vec<IssueId> {
        let now = SystemClock.now();
        let groups = cases.iter().map(|case| group(found, &service_of(case), now)).collect();
        let batch = CommitBatch { groups, ..CommitBatch::default() };
        let committed = self.store.commit(batch, now).await.unwrap();
        committed.groups.iter().map(|it| it.issue).collect()
    }

    /// Waits until some job has left a baseline, or nothing is left to do.
    pub(crate) async fn has_baseline(&self) {
        eventually("a baseline", WHOLE, async || {
            let is_known = !self.baselines.lock().unwrap().is_empty();
            (is_known || self.is_at_rest().await).then_some(())
        })
        .await;
    }

    /// Waits for the end of every job, then stops the worker.
    pub(crate) async fn rest(&mut self) {
        eventually("the end of every job", WHOLE, async || self.is_at_rest().await.then_some(())).await;
        if let Some((stop, task)) = self.worker.take() {
            stop.request();
            task.await.unwrap();
        }
    }

    async fn is_at_rest(&self) -> bool {
        !self.jobs().await.iter().any(Job::is_open)
    }

    pub(crate) async fn jobs(&self) -> Vec<Job> {
        self.store.jobs(&JobFilter { limit: 1_000, ..JobFilter::default() }).await.unwrap()
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

impl Drop for Given {
    fn drop(&mut self) {
        if let Some((_, task)) = &self.worker {
            task.abort();
        }
    }
}

/// The service that a case's issue belongs to.
pub(crate) fn service_of(case: &Case) -> String {
    format!("of-{}", case.name)
}

fn borrowed(files: &[(String, String)]) -> Vec<(&str, &str)> {
    files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect()
}

/// What the first job of each base branch found its tests to say: the progress that the stage saves.
type Baselines = Arc<Mutex<HashMap<String, String>>>;

/// The stage, whose jobs begin with the progress of the one that ran the baseline: as after a restart, and several seconds sooner.
struct WithBaseline {
    inner: FixStage,
    known: Baselines,
    given: (Arc<dyn Store>, Arc<FixedServices>),
}

#[async_trait::async_trait]
impl Stage for WithBaseline {
    fn kind(&self) -> JobKind {
        self.inner.kind()
    }

    async fn run(&self, mut context: StageContext) -> StageOutcome {
        let (store, services) = &self.given;
        let issue = store.issue(context.job.issue.unwrap()).await.unwrap();
        let branch = services.service(&issue.service).await.repository.unwrap().base_branch;
        if context.job.progress.is_none() {
            context.job.progress = self.known.lock().unwrap().get(&branch).cloned();
        }
        let inner = Arc::clone(&context.progress);
        context.progress = Arc::new(Noted { inner, branch, known: Arc::clone(&self.known) });
        self.inner.run(context).await
    }

    async fn close(&self, context: &StageContext, end: &JobEnd) -> Vec<NewJob> {
        self.inner.close(context, end).await
    }
}

struct Noted {
    inner: Arc<dyn Progress>,
    branch: String,
    known: Baselines,
}

#[async_trait::async_trait]
impl Progress for Noted {
    async fn step(&self, name: &'static str, detail: &str) {
        self.inner.step(name, detail).await;
    }

    async fn save(&self, state: &str) -> Result<(), ProgressError> {
        self.known.lock().unwrap().entry(self.branch.clone()).or_insert_with(|| state.to_owned());
        self.inner.save(state).await
    }
}
