//! Builds the healing half: adapters, stages, worker.

use std::sync::Arc;
use std::time::Duration;

use super::DaemonError;
use super::fetch::FetchCredentials;
use crate::agent;
use crate::base::clock::SharedClock;
use crate::base::redact::Redactor;
use crate::base::secret::Secret;
use crate::config::{Place, Settings};
use crate::forge::{self, Forge, GitHubForge, LocalForge};
use crate::github::Client;
use crate::heal::announce::{AnnounceParts, AnnounceStage};
use crate::heal::fix::{FixParts, FixStage};
use crate::heal::land::{LandParts, LandStage};
use crate::heal::propose::policy::Policy;
use crate::heal::propose::{self, ProposeParts, ProposeStage};
use crate::heal::ticket::{TicketParts, TicketStage};
use crate::messenger;
use crate::model::service::Services;
use crate::model::stage::Stage;
use crate::repo::{self, Repos};
use crate::sandbox::engine::Engine;
use crate::sandbox::snapshot::Keep;
use crate::store::Store;
use crate::tracker::{self, GitHubTracker, LocalTracker, Tracker};
use crate::watch::ingest::services::ServiceMap;

/// What the healing half is given by the daemon.
pub(super) struct Ground<'a> {
    pub(super) settings: &'a Settings,
    pub(super) store: Arc<dyn Store>,
    pub(super) services: Arc<dyn Services>,
    pub(super) redactor: Redactor,
    pub(super) clock: SharedClock,
    /// `None` if the engine for sandboxes is away: everything but fixes runs.
    pub(super) engine: Option<Engine>,
}

/// The stages that this process runs. Without an engine or a key for the model there is no fix stage: fix jobs wait in
/// the queue for a process that has both.
pub(super) async fn stages(ground: Ground<'_>) -> Result<Vec<Arc<dyn Stage>>, DaemonError> {
    let Ground { settings, store, services, redactor, clock, engine } = ground;
    let public_url = settings.http.public_url.as_str().trim_end_matches('/').to_owned();
    let github = github(settings, &clock)?;
    let repos = repos(settings, github.as_ref()).await?;
    let trackers = trackers(settings, &store, &clock, github.as_ref(), &public_url);
    let forges = forges(settings, github.as_ref(), &public_url);
    let policy = Policy::new(settings.policy.clone(), redactor.clone());
    let policy = policy.map_err(|source| DaemonError::Part { part: "diff policy", source: source.into() })?;
    let messengers = messenger::build(settings.messengers.clone());
    let messengers =
        messengers.map_err(|source| DaemonError::Part { part: "messengers", source: source.into() })?;

    let mut stages: Vec<Arc<dyn Stage>> = vec![
        Arc::new(TicketStage::new(TicketParts {
            store: Arc::clone(&store),
            services: Arc::clone(&services),
            trackers,
            redactor: redactor.clone(),
            clock: Arc::clone(&clock),
            public_url: public_url.clone(),
        })),
        Arc::new(ProposeStage::new(ProposeParts {
            store: Arc::clone(&store),
            services: Arc::clone(&services),
            repos: repos.clone(),
            forges: forges.clone(),
            policy,
            clock: Arc::clone(&clock),
            settings: propose::Settings::default(),
            public_url: public_url.clone(),
        })),
        Arc::new(LandStage::new(LandParts {
            store: Arc::clone(&store),
            services: Arc::clone(&services),
            forges,
            clock: Arc::clone(&clock),
        })),
        Arc::new(AnnounceStage::new(AnnounceParts {
            store: Arc::clone(&store),
            messengers,
            clock: Arc::clone(&clock),
            public_url,
        })),
    ];
    match (engine, &settings.agent.agent) {
        (Some(engine), Some(agent)) => stages.push(Arc::new(FixStage::new(FixParts {
            settings: settings.fix(),
            agent: agent.clone(),
            store,
            services,
            repos,
            engine,
            fingerprinter: super::build::fingerprinter(settings),
            redactor,
            clock,
        }))),
        (None, _) => tracing::warn!("the engine for sandboxes is away: fixes wait in the queue"),
        (Some(_), None) => tracing::info!("no key for the model is set: fixes wait in the queue"),
    }
    Ok(stages)
}

/// What fixes are made with, for a command that runs one again. The model is never called with it where the config has no key.
///
/// # Errors
/// When the engine for sandboxes is away, or the repositories' folder cannot be used.
pub async fn fix_parts(
    settings: &Settings,
    store: Arc<dyn Store>,
    clock: SharedClock,
) -> Result<FixParts, DaemonError> {
    let part = |part| move |source| DaemonError::Part { part, source };
    let engine = Engine::connect(settings.engine_host()).await;
    let engine = engine.map_err(|error| part("engine for sandboxes")(error.into()))?;
    let github = github(settings, &clock)?;
    let nowhere = || url::Url::parse("http://127.0.0.1:9").expect("a constant address");
    let agent = settings.agent.agent.clone();
    Ok(FixParts {
        settings: settings.fix(),
        agent: agent.unwrap_or_else(|| agent::settings::Settings::new(nowhere(), Secret::new(""))),
        store,
        services: Arc::new(ServiceMap::new(settings.services.clone())),
        repos: repos(settings, github.as_ref()).await?,
        engine,
        fingerprinter: super::build::fingerprinter(settings),
        redactor: settings.redactor.clone(),
        clock,
    })
}

fn github(settings: &Settings, clock: &SharedClock) -> Result<Option<Client>, DaemonError> {
    let client = settings.github.clone().map(|github| Client::new(github, Arc::clone(clock))).transpose();
    client.map_err(|source| DaemonError::Part { part: "GitHub client", source: source.into() })
}

async fn repos(settings: &Settings, github: Option<&Client>) -> Result<Repos, DaemonError> {
    let credentials = FetchCredentials { tokens: settings.fetch_tokens.clone(), github: github.cloned() };
    let repo_settings = repo::Settings::new(settings.state_folder.join("repositories"));
    let repos = Repos::new(repo_settings, Arc::new(credentials)).await;
    repos.map_err(|source| DaemonError::Part { part: "repositories", source: source.into() })
}

/// GitHub first where the config says so; the local one takes what lives nowhere else.
fn trackers(
    settings: &Settings,
    store: &Arc<dyn Store>,
    clock: &SharedClock,
    github: Option<&Client>,
    public_url: &str,
) -> Vec<Arc<dyn Tracker>> {
    let mut trackers: Vec<Arc<dyn Tracker>> = Vec::new();
    if let (Place::GitHub, Some(client)) = (settings.tracker, github) {
        trackers.push(Arc::new(GitHubTracker::new(client.clone(), tracker::Settings::default())));
    }
    trackers.push(Arc::new(LocalTracker::new(Arc::clone(store), Arc::clone(clock), public_url)));
    trackers
}

fn forges(settings: &Settings, github: Option<&Client>, public_url: &str) -> Vec<Arc<dyn Forge>> {
    let scratch = settings.state_folder.join("merges");
    let forge_settings = forge::Settings { scratch, ..forge::Settings::default() };
    let mut forges: Vec<Arc<dyn Forge>> = Vec::new();
    if let (Place::GitHub, Some(client)) = (settings.forge, github) {
        forges.push(Arc::new(GitHubForge::new(client.clone(), forge_settings.clone())));
    }
    forges.push(Arc::new(LocalForge::new(forge_settings, public_url)));
    forges
}

/// Removes containers that an earlier run of this installation left behind, and snapshots that need not stay, at the start and then every
/// minute.
pub(super) async fn reap(
    engine: Engine,
    store: Arc<dyn Store>,
    instance: String,
    clock: SharedClock,
    keep: Keep,
    shutdown: crate::base::shutdown::Shutdown,
) -> Result<(), std::convert::Infallible> {
    const EVERY: Duration = Duration::from_secs(60);
    loop {
        reap_once(&engine, store.as_ref(), &instance, &clock).await;
        if let Err(error) = engine.prune_snapshots(&instance, keep, clock.now()).await {
            tracing::warn!(error = %crate::base::chain::Chain(&error), "snapshots of dependencies cannot be pruned");
        }
        if !shutdown.sleep(EVERY).await {
            return Ok(());
        }
    }
}

/// Removes the containers of jobs that do not run (any more).
pub(super) async fn reap_once(engine: &Engine, store: &dyn Store, instance: &str, clock: &SharedClock) {
    use crate::base::chain::Chain;
    use crate::model::job::{JobKind, JobState};
    use crate::store::types::JobFilter;

    // The containers first: a job that is leased in between has none among them.
    let listed = match engine.sandboxes().await {
        Ok(listed) => listed,
        Err(error) => {
            tracing::warn!(error = %Chain(&error), "containers cannot be listed, none is reaped");
            return;
        }
    };
    let filter =
        JobFilter { kind: Some(JobKind::Fix), state: Some(JobState::Running), issue: None, limit: 1000 };
    let live = match store.jobs(&filter).await {
        Ok(jobs) => jobs.into_iter().map(|job| job.id).collect(),
        Err(error) => {
            tracing::warn!(error = %Chain(&error), "running jobs cannot be listed, no container is reaped");
            return;
        }
    };
    let reaped = engine.reap(listed, instance, &live, clock.now()).await;
    if !reaped.is_empty() {
        tracing::info!(n_containers = reaped.len(), "removed containers of jobs that do not run any more");
    }
}

/// The defaults of the worker, which the config has filled.
pub(super) fn owner() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{} {}", host.trim(), std::process::id())
}
