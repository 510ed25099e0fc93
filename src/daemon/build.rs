//! What is built once and shared: store, metrics, pipeline, services.

use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use super::DaemonError;
use crate::base::clock::SharedClock;
use crate::base::metrics;
use crate::config::Settings;
use crate::store::{self, Store};
use crate::watch::fingerprint::Fingerprinter;
use crate::watch::ingest::alerts::{AlertParts, Alerts};
use crate::watch::ingest::pipeline::Pipeline;
use crate::watch::ingest::services::ServiceMap;
use crate::watch::join::Limits;

/// Bounds of the histograms, in seconds: from a commit on a quiet disk to a call that hangs.
const SECONDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0, 120.0];

/// Makes the state folder and opens the store.
pub(super) async fn store(settings: &Settings) -> Result<Arc<dyn Store>, DaemonError> {
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
pub(super) async fn upkeep(handle: PrometheusHandle, shutdown: crate::base::shutdown::Shutdown) {
    while shutdown.sleep(Duration::from_secs(5)).await {
        handle.run_upkeep();
    }
}

/// The pure way of a record, with the config's rules and redaction.
pub(super) fn pipeline(settings: &Settings) -> Pipeline {
    let (rules, redactor) = (Arc::clone(&settings.rules), settings.redactor.clone());
    let pipeline = Pipeline::new(rules, redactor, Fingerprinter::builtin(), Limits::default());
    pipeline.with_services(&settings.service_rules)
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
