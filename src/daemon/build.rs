//! What is built once and shared: store, metrics, pipeline, services.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use super::{DaemonError, systemd};
use crate::base::backoff::Backoff;
use crate::base::chain::Chain;
use crate::base::clock::SharedClock;
use crate::base::metrics;
use crate::base::shutdown::Shutdown;
use crate::config::Settings;
use crate::store::{self, Store};
use crate::watch::fingerprint::Fingerprinter;
use crate::watch::ingest::alerts::{AlertParts, Alerts};
use crate::watch::ingest::pipeline::Pipeline;
use crate::watch::ingest::services::ServiceMap;
use crate::watch::join::Limits;

/// Bounds of the histograms, in seconds: from a commit on a quiet disk to a call that hangs.
const SECONDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0, 120.0];

/// Between two looks at a disk that cannot be written to.
const LOOK_AGAIN: Backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(10));

/// Opens the store, and waits as long as its disk cannot be written to: that passes without a change of the config. `None` on a stop.
pub(super) async fn store_when_writable(
    settings: &Settings,
    shutdown: &Shutdown,
) -> Result<Option<Arc<dyn Store>>, DaemonError> {
    let mut n_failures = 0;
    loop {
        let error = match store(settings).await {
            Ok(store) => {
                if n_failures > 0 {
                    tracing::info!("the state folder can be written to again");
                }
                return Ok(Some(store));
            }
            Err(error) => error,
        };
        let Some(why) = why_unwritable(settings).await else {
            // It may have become right a moment ago.
            return store(settings).await.map(Some);
        };
        if n_failures == 0 {
            let folder = settings.state_folder.display();
            tracing::error!(%folder, %why, error = %Chain(&error), "the state folder cannot be written to, waiting until it can");
        }
        n_failures += 1;
        let wait = LOOK_AGAIN.delay(n_failures);
        systemd::waiting("the state folder cannot be written to", wait);
        if !shutdown.sleep(wait).await {
            return Ok(None);
        }
    }
}

/// Why nothing can be written where the state is kept, if it is the disk's fault and not that of the config.
async fn why_unwritable(settings: &Settings) -> Option<io::Error> {
    let file = settings.store.file().map(Path::to_owned);
    let folders = [Some(settings.state_folder.clone()), file.and_then(|it| it.parent().map(Path::to_owned))];
    let look = move || {
        folders.into_iter().flatten().find_map(|folder| {
            let folder = folder.ancestors().find(|it| it.is_dir())?;
            let error = probe(folder).err()?;
            let is_ill = matches!(
                error.kind(),
                io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
            );
            is_ill.then_some(error)
        })
    };
    tokio::task::spawn_blocking(look).await.ok().flatten()
}

/// Makes a file with something in it, and removes it.
fn probe(folder: &Path) -> io::Result<()> {
    let path = folder.join(format!(".homeostat-{}", std::process::id()));
    let written = std::fs::write(&path, [0; 4096]);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => written.and(Err(error)),
        _ => written,
    }
}

/// Makes the state folder and opens the store.
async fn store(settings: &Settings) -> Result<Arc<dyn Store>, DaemonError> {
    let folder = &settings.state_folder;
    tokio::fs::create_dir_all(folder)
        .await
        .map_err(|source| DaemonError::Folder { folder: folder.display().to_string(), source })?;
    store::open(&settings.store).await.map_err(DaemonError::Store)
}

/// Installs the process's recorder of metrics; `None` where one is installed already (several daemons in one process).
pub(super) fn recorder() -> Option<PrometheusHandle> {
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
        .inspect_err(|error| tracing::warn!(%error, "histograms keep their default bounds"));
    let recorder = builder.unwrap_or_else(|_| PrometheusBuilder::new()).build_recorder();
    let handle = recorder.handle();
    ::metrics::set_global_recorder(recorder).ok()?;
    metrics::describe();
    Some(handle)
}

/// Folds recorded values into their histograms; without it memory grows until somebody scrapes.
pub(super) async fn upkeep(handle: PrometheusHandle, shutdown: Shutdown) {
    while shutdown.sleep(Duration::from_secs(5)).await {
        handle.run_upkeep();
    }
}

/// The pure way of a record, with the config's rules and redaction.
pub fn pipeline(settings: &Settings) -> Pipeline {
    let (rules, redactor) = (Arc::clone(&settings.rules), settings.redactor.clone());
    let pipeline = Pipeline::new(rules, redactor, Limits::default()).with_around(settings.around);
    let own = settings.service_rules.iter().map(|(name, of)| (name.clone(), Arc::clone(&of.rules)));
    pipeline.with_services(own).with_fingerprinter(fingerprinter(settings))
}

/// What makes fingerprints, with what people decided about some errors.
pub fn fingerprinter(settings: &Settings) -> Fingerprinter {
    Fingerprinter::with_rules(settings.fingerprints.rules.clone())
}

/// What takes the webhooks of Alertmanager.
pub(super) fn alerts(
    settings: &Settings,
    store: &Arc<dyn Store>,
    clock: &SharedClock,
    services: &Arc<ServiceMap>,
    pipeline: Pipeline,
) -> Result<Arc<Alerts>, DaemonError> {
    let parts = AlertParts {
        store: Arc::clone(store),
        pipeline,
        services: Arc::clone(services),
        triage: settings.triage,
        settings: settings.alerts.clone(),
        clock: Arc::clone(clock),
    };
    let alerts = Alerts::new(parts);
    let failed = |source| DaemonError::Part { part: "receiver of alerts", source: Box::new(source) };
    alerts.map(Arc::new).map_err(failed)
}
