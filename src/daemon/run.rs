//! The life of the daemon: start, run, stop.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, UdpSocket};

use super::heal::{self, Ground};
use super::live::Live;
use super::reload::{Reload, Reloader};
use super::tasks::Tasks;
use super::{DaemonError, build, config_state, systemd};
use crate::base::chain::Chain;
use crate::base::clock::{SharedClock, SystemClock, Timestamp};
use crate::base::metrics;
use crate::base::shutdown::Shutdown;
use crate::config::Settings;
use crate::heal::worker::{Worker, WorkerParts};
use crate::http::{self, App};
use crate::model::service::Services;
use crate::sandbox::engine::Engine;
use crate::sandbox::snapshot::Keep;
use crate::store::Store;
use crate::watch::ingest::pipeline::Pipeline;
use crate::watch::ingest::services::ServiceMap;
use crate::watch::ingest::{self, IngestParts};
use crate::watch::source::docker;
use crate::watch::source::file;
use crate::watch::source::journal;
use crate::watch::source::lane::Outlet;
use crate::watch::source::loki;
use crate::watch::source::otlp;
use crate::watch::source::syslog;

/// How long sources and the pipeline may take to hand over what they have read.
pub(super) const WATCH_GRACE: Duration = Duration::from_secs(10);
/// How long running jobs may take to finish or be released; the worker's own grace lies within.
pub(super) const HEAL_GRACE: Duration = Duration::from_secs(30);
/// How often an address is tried that cannot be listened on.
const BIND_EVERY: Duration = Duration::from_secs(5);
const SERVE_GRACE: Duration = Duration::from_secs(8);

/// Told once everything is up.
#[derive(Debug, Clone, Copy)]
pub struct Listening {
    /// The bound address; its port is known even if port 0 was asked for.
    pub address: SocketAddr,
}

/// Runs the daemon until `shutdown`. `on_up` is called once everything is up; with a `reload` the config is read again when it
/// changes or when somebody asks for it.
///
/// # Errors
/// What keeps it from starting, or the task that ended although nobody asked it to.
pub async fn run(
    settings: Settings,
    reload: Option<Reload>,
    shutdown: Shutdown,
    on_up: impl FnOnce(Listening) + Send,
) -> Result<(), DaemonError> {
    let clock = SystemClock::shared();
    let listen = settings.http.listen;
    let listener = TcpListener::bind(listen).await;
    let listener = listener.map_err(|source| DaemonError::Listen { address: listen, source })?;
    let Some(store) = build::store_when_writable(&settings, &shutdown).await? else { return Ok(()) };
    let reloader = Reloader::new(reload, &settings);
    let result = run_with(settings, &store, &clock, (listener, reloader), &shutdown, on_up).await;
    store.close().await;
    result
}

async fn run_with(
    settings: Settings,
    store: &Arc<dyn Store>,
    clock: &SharedClock,
    (listener, mut reloader): (TcpListener, Reloader),
    shutdown: &Shutdown,
    on_up: impl FnOnce(Listening) + Send,
) -> Result<(), DaemonError> {
    let recorder = build::recorder();
    let mut live = Live::start(settings, store, clock).await?;
    let mut serve = Tasks::new(Shutdown::new());
    let parts = http::Parts {
        settings: live.settings.http.clone(),
        store: Arc::clone(store),
        clock: Arc::clone(clock),
        metrics: recorder,
        alerts: Some(live.alerts.clone()),
        pipeline: Some(live.pipeline.clone()),
        shutdown: serve.shutdown(),
    };
    let address = start_serving(&mut serve, parts, listener)?;

    metrics::config_read(clock.now());
    config_state::used(&live.settings.state_folder, clock.now());
    tracing::info!(%address, "homeostat is up");
    systemd::ready("watching");
    on_up(Listening { address });

    let ended = loop {
        tokio::select! {
            () = shutdown.requested() => break None,
            ended = live.watch.first_failure() => break Some(ended),
            ended = live.healing.first_failure() => break Some(ended),
            ended = serve.first_failure() => break Some(ended),
            new = reloader.next(&live.settings) => live.take(*new).await,
        }
    };
    systemd::stopping();
    match &ended {
        Some(error) => tracing::error!(error = %Chain(error), "a task ended, stopping everything"),
        None => tracing::info!("stopping"),
    }
    tokio::join!(live.watch.stop(WATCH_GRACE), live.healing.stop(HEAL_GRACE));
    serve.stop(SERVE_GRACE).await;
    tracing::info!("stopped");
    ended.map_or(Ok(()), |ended| Err(ended.into()))
}

/// What the watching half is started with.
#[derive(Debug)]
pub(super) struct Watching<'a> {
    pub(super) settings: &'a Settings,
    pub(super) store: &'a Arc<dyn Store>,
    pub(super) clock: &'a SharedClock,
    pub(super) services: &'a Arc<ServiceMap>,
    pub(super) pipeline: Pipeline,
    pub(super) first_run_at: Timestamp,
    pub(super) datagrams: &'a KeptSocket,
}

/// The socket for datagrams, and its address: it outlives the watching half, so that nothing is lost while that is started anew.
pub(super) type KeptSocket = Arc<Mutex<Option<(SocketAddr, Arc<UdpSocket>)>>>;

/// Starts the sources and what takes their lines.
pub(super) fn start_watching(tasks: &mut Tasks, parts: Watching<'_>) {
    let Watching { settings, store, clock, services, pipeline, first_run_at, datagrams } = parts;
    let (outlet, openings) = Outlet::new();
    let ingest = IngestParts {
        store: Arc::clone(store),
        pipeline,
        services: Arc::clone(services),
        triage: settings.triage,
        clock: Arc::clone(clock),
    };
    let stop = tasks.shutdown();
    tasks.spawn("ingest", ingest::run(ingest, openings, stop.clone()));
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
    if let Some(journal) = settings.journal.clone() {
        tasks.spawn("journal", endless(journal::run(journal, outlet.clone(), stop.clone())));
    }
    receive(tasks, settings, &outlet, clock, datagrams);
    let files = file::Settings { machine: machine(settings), ..settings.files.clone() };
    let files = file::run(files, outlet, first_run_at, stop.clone());
    tasks.spawn("files", async move {
        files.await;
        Ok::<_, Infallible>(())
    });
}

/// What tells this machine from others on the same database; `None` where the database is its own, or nothing tells.
fn machine(settings: &Settings) -> Option<Arc<str>> {
    if settings.store.file().is_some() {
        return None;
    }
    let id = std::fs::read_to_string("/etc/machine-id").ok()?;
    Some(id.trim()).filter(|id| !id.is_empty()).map(Arc::from)
}

/// Starts to listen for logs that are sent.
fn receive(
    tasks: &mut Tasks,
    settings: &Settings,
    outlet: &Outlet,
    clock: &SharedClock,
    datagrams: &KeptSocket,
) {
    let stop = tasks.shutdown();
    if let Some(otlp) = settings.otlp.clone() {
        let (outlet, clock, stop) = (outlet.clone(), Arc::clone(clock), stop.clone());
        let address = otlp.listen;
        let bind = move || async move { TcpListener::bind(address).await.map_err(|error| (address, error)) };
        let run = async move {
            if let Some(listener) = bound(bind, &stop).await {
                otlp::run(otlp, listener, outlet, clock, stop).await;
            }
        };
        tasks.spawn("otlp", endless(run));
    }
    let udp = settings.syslog.as_ref().and_then(|syslog| syslog.udp);
    let kept = {
        let mut kept = datagrams.lock().unwrap_or_else(PoisonError::into_inner);
        // One at another address is closed.
        *kept = kept.take().filter(|(address, _)| Some(*address) == udp);
        kept.as_ref().map(|(_, socket)| Arc::clone(socket))
    };
    if let Some(syslog) = settings.syslog.clone() {
        let (outlet, clock) = (outlet.clone(), Arc::clone(clock));
        let datagrams = Arc::clone(datagrams);
        let addresses = (syslog.udp.filter(|_| kept.is_none()), syslog.tcp);
        let bind = move || syslog::Sockets::bind(addresses);
        let run = async move {
            if let Some(mut sockets) = bound(bind, &stop).await {
                if let (Some(address), Some(socket)) = (udp, &sockets.udp) {
                    let mut datagrams = datagrams.lock().unwrap_or_else(PoisonError::into_inner);
                    *datagrams = Some((address, Arc::clone(socket)));
                }
                sockets.is_udp_kept = kept.is_some();
                sockets.udp = sockets.udp.or(kept);
                syslog::run(syslog, sockets, outlet, clock, stop).await;
            }
        };
        tasks.spawn("syslog", endless(run));
    }
}

/// Tries until an address can be listened on; `None` on a stop. The rest of the daemon works meanwhile.
async fn bound<T, F>(bind: impl Fn() -> F, stop: &Shutdown) -> Option<T>
where
    F: Future<Output = Result<T, (SocketAddr, io::Error)>>,
{
    let mut is_told = false;
    loop {
        match bind().await {
            Ok(bound) => return Some(bound),
            Err((address, error)) if !is_told => {
                is_told = true;
                tracing::error!(%address, %error, "failed to listen for logs, will try again");
            }
            Err(_) => {}
        }
        if !stop.sleep(BIND_EVERY).await {
            return None;
        }
    }
}

/// A task that cannot fail.
async fn endless(task: impl Future<Output = ()>) -> Result<(), Infallible> {
    task.await;
    Ok(())
}

/// The healing half, built and not yet started.
#[derive(Debug)]
pub(super) struct Healing {
    worker: WorkerParts,
    /// Removes what is left of sandboxes, where there is an engine: with the id of this installation.
    reaper: Option<(Engine, String, Keep)>,
}

/// Builds the healing half; `None` where it is off.
pub(super) async fn prepare_healing(
    settings: &Settings,
    store: &Arc<dyn Store>,
    clock: &SharedClock,
    services: Arc<dyn Services>,
) -> Result<Option<Healing>, DaemonError> {
    let Some(worker_settings) = settings.worker.clone() else {
        tracing::info!("healing is off");
        return Ok(None);
    };
    let engine = match Engine::connect(settings.engine_host()).await {
        Ok(engine) => Some(engine),
        Err(error) => {
            tracing::warn!(error = %Chain(&error), "the engine for sandboxes does not answer");
            None
        }
    };
    let reaper = match &engine {
        Some(engine) => {
            let instance = store.instance_id().await.map_err(DaemonError::Store)?;
            Some((engine.clone(), instance, settings.sandbox.dependencies.keep))
        }
        None => None,
    };
    let stages = heal::stages(Ground {
        settings,
        store: Arc::clone(store),
        services,
        redactor: settings.redactor.clone(),
        clock: Arc::clone(clock),
        engine,
    })
    .await?;
    let worker = WorkerParts {
        store: Arc::clone(store),
        stages,
        clock: Arc::clone(clock),
        owner: heal::owner(),
        settings: worker_settings,
    };
    Ok(Some(Healing { worker, reaper }))
}

impl Healing {
    /// Starts it.
    pub(super) async fn start(self, tasks: &mut Tasks) {
        let Self { worker, reaper } = self;
        let stop = tasks.shutdown();
        if let Some((engine, instance, keep)) = reaper {
            let (store, clock) = (Arc::clone(&worker.store), Arc::clone(&worker.clock));
            heal::reap_once(&engine, store.as_ref(), &instance, &clock).await;
            tasks.spawn("reaper", heal::reap(engine, store, instance, clock, keep, stop.clone()));
        }
        tasks.spawn("worker", async move {
            Worker::run(worker, stop).await;
            Ok::<_, Infallible>(())
        });
    }
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
    // Not with the watching half, which stops at every reload: systemd would take that for a death.
    let watchdog = systemd::watchdog(stop.clone());
    tasks.spawn("watchdog", async move {
        watchdog.await;
        Ok::<_, Infallible>(())
    });
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
