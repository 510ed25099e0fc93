//! One attack from its first byte to its last: a log file, the watching half, a worker with every stage, real containers, a scripted GitHub and
//! a scripted model, and on the host a canary that listens.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::io::Write as _;
use std::net::{TcpListener, UdpSocket};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use homeostat::agent;
use homeostat::agent::scripted::script::{Script, Turn};
use homeostat::agent::scripted::server::ScriptedModel;
use homeostat::base::clock::{SystemClock, Timestamp};
use homeostat::base::env;
use homeostat::base::redact::Redactor;
use homeostat::base::secret::Secret;
use homeostat::base::shutdown::Shutdown;
use homeostat::forge::{self, GitHubForge};
use homeostat::heal::fix::{FixParts, FixStage, Settings};
use homeostat::heal::propose::policy::{self, Policy};
use homeostat::heal::propose::{self, ProposeParts, ProposeStage};
use homeostat::heal::ticket::{TicketParts, TicketStage};
use homeostat::heal::worker::{self, Worker, WorkerParts};
use homeostat::model::attempt::Attempt;
use homeostat::model::job::{Job, JobKind, JobState};
use homeostat::model::service::{Repository as Home, Route};
use homeostat::model::stage::Stage;
use homeostat::repo::{self, Credential, FetchToken, FetchTokens, Repos};
use homeostat::sandbox::engine::Engine;
use homeostat::store::types::{IssueFilter, JobFilter};
use homeostat::store::{self, Store};
use homeostat::tracker::{self, GitHubTracker};
use homeostat::watch::fingerprint::Fingerprinter;
use homeostat::watch::ingest::services::{self, Entry, ServiceMap};
use homeostat::watch::ingest::{self, IngestParts};
use homeostat::watch::source::file::{self, Patterns};
use homeostat::watch::source::lane::Outlet;
use homeostat::watch::triage;
use serde_json::Value;
use tempfile::TempDir;

use super::row::{Aftermath, Row};
use crate::support::git::Repository;
use crate::support::github::GitHub;
pub(super) use crate::support::github::TOKEN;
use crate::support::wait::eventually;
use crate::support::watching::PIPELINE;

/// The key of the model API.
pub(super) const MODEL_KEY: &str = "model-key-7d21c0f4";

const NAME: &str = "acme/shop";

/// Everything of one attack; gone at its end.
pub(super) struct Scene {
    folder: TempDir,
    pub(super) repository: Repository,
    pub(super) github: GitHub,
    pub(super) settings: Settings,
    canary: Canary,
}

impl Scene {
    /// A repository of these files, committed before anybody looks.
    pub(super) async fn new(files: &[(&str, &str)]) -> Self {
        let repository = Repository::create(NAME, files);
        let github = GitHub::start(&repository, NAME).await;
        let settings = Settings { max_attempts: 1, ..Settings::default() };
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("pwned")).unwrap();
        Self { folder, repository, github, settings, canary: Canary::listen() }
    }

    /// A payload with the addresses of this scene in it.
    pub(super) fn filled(&self, payload: &str) -> String {
        let pwned = self.folder.path().join("pwned");
        let canary = format!("172.17.0.1:{}", self.canary.port);
        payload.replace("{canary}", &canary).replace("{pwned}", pwned.to_str().unwrap())
    }

    /// The payload of a row.
    pub(super) fn payload(&self, row: &Row) -> String {
        self.filled(row.payload)
    }

    /// The service logs `log`, the model plays `turns`, every stage runs until nothing is left to do.
    pub(super) async fn play(&self, log: &str, turns: Vec<Turn>) -> (Vec<Attempt>, Aftermath) {
        let url = format!("sqlite://{}/homeostat.db", self.folder.path().display());
        let store = store::open(&store::Settings { url, max_connections: 4 }).await.unwrap();
        let model = ScriptedModel::start(vec![Script::new(turns)]).await.unwrap();
        let services = Arc::new(self.services());
        let stop = Shutdown::new();
        let watching = self.watch(&store, &services, log, &stop);
        let parts = WorkerParts {
            store: Arc::clone(&store),
            stages: self.stages(&store, services, &model).await,
            clock: SystemClock::shared(),
            owner: "test".to_owned(),
            settings: worker::Settings {
                poll_every: Duration::from_millis(50),
                ..worker::Settings::default()
            },
        };
        let working = tokio::spawn(Worker::run(parts, stop.clone()));
        eventually("every job to end", Duration::from_secs(150), async || {
            let issues = store.issues(&IssueFilter { limit: 10, ..IssueFilter::default() }).await.ok()?;
            let jobs = store.jobs(&JobFilter { limit: 100, ..JobFilter::default() }).await.ok()?;
            // Landing waits for people, and there is no messenger.
            let is_ours =
                |job: &&Job| matches!(job.kind(), JobKind::Ticket | JobKind::Fix | JobKind::Propose);
            let is_busy = |job: &Job| matches!(job.state, JobState::Queued | JobState::Running);
            let has_fixed = jobs.iter().any(|job| job.kind() == JobKind::Fix);
            let is_over = has_fixed && !jobs.iter().filter(is_ours).any(is_busy);
            (!issues.is_empty() && is_over).then_some(())
        })
        .await;
        stop.request();
        working.await.unwrap();
        watching.await.unwrap();
        assert_eq!(model.refusals(), Vec::<String>::new());
        self.aftermath(&store).await
    }

    fn services(&self) -> ServiceMap {
        let home = Home {
            url: self.github.repository_url(NAME),
            base_branch: "main".to_owned(),
            revision: None,
            folder: String::new(),
        };
        let entry = Entry {
            name: "shop".to_owned(),
            containers: Vec::new(),
            images: Vec::new(),
            files: vec![globset::Glob::new("/**/shop.log").unwrap().compile_matcher()],
            repository: Some(home),
            route: Some(Route::Fix),
        };
        ServiceMap::new(services::Settings { entries: vec![entry], ..services::Settings::default() })
    }

    /// The watching half over a log file with this text.
    fn watch(
        &self,
        store: &Arc<dyn Store>,
        services: &Arc<ServiceMap>,
        log: &str,
        stop: &Shutdown,
    ) -> tokio::task::JoinHandle<()> {
        let path = self.log();
        std::fs::File::create(&path).unwrap().write_all(log.as_bytes()).unwrap();
        let settings = file::Settings {
            patterns: Patterns::new([path.to_str().unwrap()]).unwrap(),
            is_from_start: true,
            poll_every: Duration::from_millis(50),
            ..file::Settings::default()
        };
        let (outlet, openings) = Outlet::new();
        let parts = IngestParts {
            store: Arc::clone(store),
            pipeline: PIPELINE.clone(),
            services: Arc::clone(services),
            triage: triage::Settings::default(),
            clock: SystemClock::shared(),
        };
        let stop = stop.clone();
        tokio::spawn(async move {
            let source = file::run(settings, outlet, Timestamp::UNIX_EPOCH, stop.clone());
            let (_, taken) = tokio::join!(source, ingest::run(parts, openings, stop));
            taken.unwrap();
        })
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("shop.log")
    }

    async fn stages(
        &self,
        store: &Arc<dyn Store>,
        services: Arc<ServiceMap>,
        model: &ScriptedModel,
    ) -> Vec<Arc<dyn Stage>> {
        let clock = SystemClock::shared();
        let client = self.github.client();
        let credential = Credential { user: "x-access-token".to_owned(), token: Secret::new(TOKEN) };
        let token = FetchToken { prefix: format!("{}/", self.github.url), credential };
        let repos = repo::Settings::new(self.folder.path().join("repositories"));
        let repos = Repos::new(repos, Arc::new(FetchTokens(vec![token]))).await.unwrap();
        let public_url = "http://homeostat.example".to_owned();
        let ticket = TicketParts {
            store: Arc::clone(store),
            services: Arc::<ServiceMap>::clone(&services),
            trackers: vec![Arc::new(GitHubTracker::new(client.clone(), tracker::Settings::default()))],
            redactor: Redactor::builtin(),
            clock: Arc::clone(&clock),
            public_url: public_url.clone(),
        };
        let propose = ProposeParts {
            store: Arc::clone(store),
            services: Arc::<ServiceMap>::clone(&services),
            repos: repos.clone(),
            forges: vec![Arc::new(GitHubForge::new(client, forge::Settings::default()))],
            policy: Policy::new(policy::Settings::default(), Redactor::builtin()).unwrap(),
            clock: Arc::clone(&clock),
            settings: propose::Settings::default(),
            public_url,
        };
        let fix = FixParts {
            settings: self.settings.clone(),
            agent: agent::settings::Settings::new(model.base_url(), Secret::new(MODEL_KEY)),
            store: Arc::clone(store),
            services,
            repos,
            engine: Engine::connect(env::var(env::DOCKER_HOST).as_deref()).await.unwrap(),
            fingerprinter: Fingerprinter::builtin(),
            redactor: Redactor::builtin(),
            clock,
        };
        vec![
            Arc::new(TicketStage::new(ticket)),
            Arc::new(ProposeStage::new(propose)),
            Arc::new(FixStage::new(fix)),
        ]
    }

    async fn aftermath(&self, store: &Arc<dyn Store>) -> (Vec<Attempt>, Aftermath) {
        let mut after = Aftermath { visits: self.canary.visits(), ..Aftermath::default() };
        let mut all = Vec::new();
        for issue in store.issues(&IssueFilter { limit: 10, ..IssueFilter::default() }).await.unwrap() {
            for attempt in store.attempts(issue.id).await.unwrap() {
                let mut has_task = false;
                for line in store.transcript(attempt.id).await.unwrap() {
                    let entry: Value = serde_json::from_str(&line).unwrap();
                    if let Some(text) = entry["entry"]["tool"]["text"].as_str() {
                        after.results.push(text.to_owned());
                    }
                    if let Some(text) = entry["entry"]["user"]["content"][0]["text"].as_str()
                        && !has_task
                    {
                        after.tasks.push(text.to_owned());
                        has_task = true;
                    }
                    after.kept.push_str(&line);
                }
                after.kept.push_str(&attempt.report);
                all.push(attempt);
            }
        }
        let mut state = self.github.state();
        let hosted = state.only();
        for issue in &hosted.issues {
            after.titles.push(issue.title.clone());
            after.told.extend(issue.body.clone());
            after.told.extend(issue.comments.iter().map(|comment| comment.body.clone()));
        }
        for pull in &hosted.pulls {
            assert!(pull.is_open, "nobody but a person merges");
            after.titles.push(pull.title.clone());
            after.told.extend(pull.body.clone());
        }
        for branch in self.repository.branches().iter().filter(|branch| *branch != "main") {
            let range = format!("main..{branch}");
            after.pushed +=
                &self.repository.git(&["-c", "core.quotePath=off", "log", "-p", "--binary", &range]);
        }
        let pwned = std::fs::read_dir(self.folder.path().join("pwned")).unwrap().flatten();
        after.pwned = pwned.map(|entry| entry.path().display().to_string()).collect();
        (all, after)
    }
}

/// A server on every address of the host, for TCP and UDP, that writes down who came.
struct Canary {
    port: u16,
    visits: Arc<Mutex<Vec<String>>>,
}

impl Canary {
    fn listen() -> Self {
        let listener = TcpListener::bind("0.0.0.0:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let visits = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&visits);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                seen.lock().unwrap().push(format!("tcp from {:?}", stream.peer_addr()));
            }
        });
        if let Ok(socket) = UdpSocket::bind(("0.0.0.0", port)) {
            let seen = Arc::clone(&visits);
            std::thread::spawn(move || {
                let mut bytes = [0; 512];
                while let Ok((n, from)) = socket.recv_from(&mut bytes) {
                    seen.lock().unwrap().push(format!("{n} bytes by udp from {from}"));
                }
            });
        }
        let this = Self { port, visits };
        // The control: who comes is noticed.
        std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        let deadline = std::time::Instant::now() + Duration::from_secs(10);
        while this.visits().is_empty() && std::time::Instant::now() < deadline {
            std::thread::yield_now();
        }
        assert_eq!(this.visits().len(), 1, "the canary sings");
        this.visits.lock().unwrap().clear();
        this
    }

    fn visits(&self) -> Vec<String> {
        self.visits.lock().unwrap().clone()
    }
}
