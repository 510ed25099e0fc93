//! The life of the daemon: start, run, stop.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use super::heal::{self, Ground};
use super::tasks::Tasks;
use super::{DaemonError, build, systemd};
use crate::base::chain::Chain;
use crate::base::clock::{SharedClock, SystemClock};
use crate::base::shutdown::Shutdown;
use crate::config::Settings;
use crate::heal::worker::{Worker, WorkerParts};
use crate::http::{self, App};
use crate::model::service::Services;
use crate::sandbox::engine::Engine;
use crate::store::Store;
use crate::watch::ingest::pipeline::Pipeline;
use crate::watch::ingest::services::ServiceMap;
use crate::watch::ingest::{self, IngestParts};
use crate::watch::source::docker;
use crate::watch::source::file;
use crate::watch::source::lane::Outlet;
use crate::watch::source::loki;

/// How long sources and the pipeline may take to hand over what they have read.
const WATCH_GRACE: Duration = Duration::from_secs(10);
/// How long running jobs may take to finish or be released; the worker's own grace lies within.
const HEAL_GRACE: Duration = Duration::from_secs(30);
const SERVE_GRACE: Duration = Duration::from_secs(8);

/// Told once everything is up.
#[derive(Debug, Clone, Copy)]
pub struct Listening {
    /// The bound address; its port is known even if port 0 was asked for.
    pub address: SocketAddr,
}

/// Runs the daemon until `shutdown`. `on_up` is called once everything is up.
///
/// # Errors
/// What keeps it from starting, or the task that ended although nobody asked it to.
pub async fn run(
    settings: Settings,
    shutdown: Shutdown,
    on_up: impl FnOnce(Listening) + Send,
) -> Result<(), DaemonError> {
    let clock = SystemClock::shared();
    let listen = settings.http.listen;
    let listener = TcpListener::bind(listen).await;
    let listener = listener.map_err(|source| DaemonError::Listen { address: listen, source })?;
    let store = build::store(&settings).await?;
    let result = run_with(&settings, &store, &clock, listener, &shutdown, on_up).await;
    store.close().await;
    result
}

async fn run_with(
    settings: &Settings,
    store: &Arc<dyn Store>,
    clock: &SharedClock,
    listener: TcpListener,
    shutdown: &Shutdown,
    on_up: impl FnOnce(Listening) + Send,
) -> Result<(), DaemonError> {
    let metrics = build::recorder();
    let services = Arc::new(ServiceMap::new(settings.services.clone()));
    let mut watch = Tasks::new(Shutdown::new());
    let mut healing = Tasks::new(Shutdown::new());
    let mut serve = Tasks::new(Shutdown::new());

    let pipeline = build::pipeline(settings);
    start_watching(&mut watch, settings, store, clock, &services, pipeline.clone()).await?;
    start_healing(&mut healing, settings, store, clock, &services).await?;
    let alerts = build::alerts(settings, store, clock, &services, pipeline)?;
    let parts = http::Parts {
        settings: settings.http.clone(),
        store: Arc::clone(store),
        clock: Arc::clone(clock),
        metrics,
        alerts: Some(alerts),
        shutdown: serve.shutdown(),
    };
    let address = start_serving(&mut serve, parts, listener)?;

    tracing::info!(%address, "homeostat is up");
    systemd::ready("watching");
    on_up(Listening { address });

    let ended = tokio::select! {
        () = shutdown.requested() => None,
        ended = watch.first_failure() => Some(ended),
        ended = healing.first_failure() => Some(ended),
        ended = serve.first_failure() => Some(ended),
    };
    systemd::stopping();
    match &ended {
        Some(error) => tracing::error!(error = %Chain(error), "a task ended, stopping everything"),
        None => tracing::info!("stopping"),
    }
    tokio::join!(watch.stop(WATCH_GRACE), healing.stop(HEAL_GRACE));
    serve.stop(SERVE_GRACE).await;
    tracing::info!("stopped");
    ended.map_or(Ok(()), |ended| Err(ended.into()))
}

async fn start_watching(
    tasks: &mut Tasks,
    settings: &Settings,
    store: &Arc<dyn Store>,
    clock: &SharedClock,
    services: &Arc<ServiceMap>,
    pipeline: Pipeline,
) -> Result<(), DaemonError> {
    let first_run_at = store.first_run_at(clock.now()).await.map_err(DaemonError::Store)?;
    let (outlet, openings) = Outlet::new();
    let parts = IngestParts {
        store: Arc::clone(store),
        pipeline,
        services: Arc::clone(services),
        triage: settings.triage,
        clock: Arc::clone(clock),
    };
    let stop = tasks.shutdown();
    tasks.spawn("ingest", ingest::run(parts, openings, stop.clone()));
    if let Some(docker) = settings.docker.clone() {
        tasks.spawn(
            "docker",
            docker::run(docker, outlet.clone(), first_run_at, Arc::clone(clock), stop.clone()),
        );
    }
    if !settings.loki.queries.is_empty() {
        let queries = loki::run(settings.loki.clone(), outlet.clone(), Arc::clone(clock), stop.clone());
        tasks.spawn("loki", endless(queries));
    }
    let files = file::run(settings.files.clone(), outlet, first_run_at, stop.clone());
    tasks.spawn("files", async move {
        files.await;
        Ok::<_, Infallible>(())
    });
    let watchdog = systemd::watchdog(stop);
    tasks.spawn("watchdog", async move {
        watchdog.await;
        Ok::<_, Infallible>(())
    });
    Ok(())
}

/// A task that cannot fail.
async fn endless(task: impl Future<Output = ()>) -> Result<(), Infallible> {
    task.await;
    Ok(())
}

async fn start_healing(
    tasks: &mut Tasks,
    settings: &Settings,
    store: &Arc<dyn Store>,
    clock: &SharedClock,
    services: &Arc<ServiceMap>,
) -> Result<(), DaemonError> {
    let Some(worker_settings) = settings.worker.clone() else {
        tracing::info!("healing is off");
        return Ok(());
    };
    let engine = match Engine::connect(settings.engine_host()).await {
        Ok(engine) => Some(engine),
        Err(error) => {
            tracing::warn!(error = %Chain(&error), "the engine for sandboxes does not answer");
            None
        }
    };
    let stop = tasks.shutdown();
    if let Some(engine) = engine.clone() {
        let instance = store.instance_id().await.map_err(DaemonError::Store)?;
        heal::reap_once(&engine, store.as_ref(), &instance, clock).await;
        tasks.spawn(
            "reaper",
            heal::reap(engine, Arc::clone(store), instance, Arc::clone(clock), stop.clone()),
        );
    }
    let stages = heal::stages(Ground {
        settings,
        store: Arc::clone(store),
        services: Arc::clone(services) as Arc<dyn Services>,
        redactor: settings.redactor.clone(),
        clock: Arc::clone(clock),
        engine,
    })
    .await?;
    let parts = WorkerParts {
        store: Arc::clone(store),
        stages,
        clock: Arc::clone(clock),
        owner: heal::owner(),
        settings: worker_settings,
    };
    tasks.spawn("worker", async move {
        Worker::run(parts, stop).await;
        Ok::<_, Infallible>(())
    });
    Ok(())
}

fn start_serving(
    tasks: &mut Tasks,
    mut parts: http::Parts,
    listener: TcpListener,
) -> Result<SocketAddr, DaemonError> {
    let listen = parts.settings.listen;
    let address = listener.local_addr().map_err(|source| DaemonError::Listen { address: listen, source })?;
    parts.settings.listen = address;
    let stop = tasks.shutdown();
    if let Some(handle) = parts.metrics.clone() {
        let stop = stop.clone();
        tasks.spawn("metrics", async move {
            build::upkeep(handle, stop).await;
            Ok::<_, Infallible>(())
        });
    }
    tasks.spawn("http", http::serve(listener, http::router(App::new(parts)), stop));
    Ok(address)
}
