//! What runs and with which settings, and how new settings take their place.
//!
//! The watching half is stopped and started again: streams hand their cursors over as at every stop, so no line is lost or
//! counted twice. Healing is only disturbed where its own settings are other: a fix that runs would have to go on from its
//! transcript. Pages and webhooks stay up; they are given the new receiver of alerts. What can fail is built before anything
//! is stopped.

use std::sync::Arc;

use super::run::{self, HEAL_GRACE, Healing, KeptSocket, WATCH_GRACE, Watching};
use super::tasks::Tasks;
use super::{DaemonError, build, config_state, systemd};
use crate::base::chain::Chain;
use crate::base::clock::{SharedClock, Timestamp};
use crate::base::metrics;
use crate::base::shutdown::Shutdown;
use crate::base::swap::Swap;
use crate::config::{Changes, Settings};
use crate::model::service::{Service, Services};
use crate::store::Store;
use crate::watch::ingest::alerts::Alerts;
use crate::watch::ingest::pipeline::Pipeline;
use crate::watch::ingest::services::ServiceMap;

/// Sections that a running daemon cannot change.
const FIXED: [&str; 3] = ["database", "http", "state"];

/// Sections that only the healing half reads.
const HEALED: [&str; 8] =
    ["agent", "forge", "github", "heal", "messenger", "repository", "sandbox", "tracker"];

/// Sections that only the watching half reads.
const WATCHED: [&str; 12] = [
    "alerts", "docker", "file", "journal", "labels", "loki", "otlp", "rules", "samples", "service", "syslog",
    "triage",
];

/// The parts of a running daemon that a new config exchanges.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) settings: Settings,
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: SharedClock,
    pub(super) services: Swap<ServiceMap>,
    pub(super) alerts: Swap<Alerts>,
    pub(super) pipeline: Swap<Pipeline>,
    pub(super) watch: Tasks,
    pub(super) healing: Tasks,
    /// Logs older than this are not read from their beginning.
    pub(super) first_run_at: Timestamp,
    datagrams: KeptSocket,
}

impl Live {
    /// Builds and starts both halves.
    pub(super) async fn start(
        settings: Settings,
        store: &Arc<dyn Store>,
        clock: &SharedClock,
    ) -> Result<Self, DaemonError> {
        let services = Arc::new(ServiceMap::new(settings.services.clone()));
        let pipeline = build::pipeline(&settings);
        let alerts = build::alerts(&settings, store, clock, &services, pipeline.clone())?;
        let first_run_at = store.first_run_at(clock.now()).await.map_err(DaemonError::Store)?;
        let mut live = Self {
            settings,
            store: Arc::clone(store),
            clock: Arc::clone(clock),
            services: Swap::new(services),
            alerts: Swap::new(alerts),
            pipeline: Swap::new(Arc::new(pipeline.clone())),
            watch: Tasks::new(Shutdown::new()),
            healing: Tasks::new(Shutdown::new()),
            first_run_at,
            datagrams: KeptSocket::default(),
        };
        live.start_watching(pipeline);
        if let Some(healing) = live.prepare_healing(&live.settings).await? {
            healing.start(&mut live.healing).await;
        }
        Ok(live)
    }

    /// Takes a config that checks, and tells what came of it.
    pub(super) async fn take(&mut self, new: Settings) {
        let now = self.clock.now();
        match self.apply(new).await {
            Ok(changes) if changes.is_empty() => {
                tracing::info!("the config was read again and says the same");
                metrics::reload("same");
                config_state::used(&self.settings.state_folder, now);
                systemd::ready("watching");
            }
            Ok(changes) => {
                tell(&changes);
                metrics::reload("used");
                metrics::config_read(now);
                config_state::used(&self.settings.state_folder, now);
                systemd::ready("watching with the new config");
            }
            Err(error) => {
                tracing::error!(error = %Chain(&error), "the new config cannot be used, the old one stays");
                metrics::reload("refused");
                config_state::refused(&self.settings.state_folder, now, vec![Chain(&error).to_string()]);
                systemd::ready("running with the old config: the new one cannot be used");
            }
        }
    }

    /// Lets `new` take the place of the settings; says what is other.
    ///
    /// # Errors
    /// A part cannot be built of it: then everything is as it was.
    async fn apply(&mut self, mut new: Settings) -> Result<Changes, DaemonError> {
        let changes = Changes::between(&self.settings, &new);
        // These stay, so that the parts built now agree with the ones that run.
        new.state_folder.clone_from(&self.settings.state_folder);
        new.store = self.settings.store.clone();
        new.http = self.settings.http.clone();

        let services = Arc::new(ServiceMap::new(new.services.clone()));
        let pipeline = build::pipeline(&new);
        let alerts = build::alerts(&new, &self.store, &self.clock, &services, pipeline.clone())?;
        let healing = match changes.touch_more_than(&[FIXED.as_slice(), &WATCHED].concat()) {
            true => Some(self.prepare_healing(&new).await?),
            false => None,
        };
        let is_watching_other =
            changes.has_rules() || changes.touch_more_than(&[FIXED.as_slice(), &HEALED].concat());

        self.settings = new;
        self.services.set(services);
        self.alerts.set(alerts);
        if is_watching_other {
            self.watch.stop(WATCH_GRACE).await;
            self.watch = Tasks::new(Shutdown::new());
            self.pipeline.set(Arc::new(pipeline.clone()));
            self.start_watching(pipeline);
        }
        if let Some(healing) = healing {
            self.healing.stop(HEAL_GRACE).await;
            self.healing = Tasks::new(Shutdown::new());
            if let Some(healing) = healing {
                healing.start(&mut self.healing).await;
            }
        }
        Ok(changes)
    }

    fn start_watching(&mut self, pipeline: Pipeline) {
        let parts = Watching {
            settings: &self.settings,
            store: &self.store,
            clock: &self.clock,
            services: &self.services.get(),
            pipeline,
            first_run_at: self.first_run_at,
            datagrams: &self.datagrams,
        };
        run::start_watching(&mut self.watch, parts);
    }

    async fn prepare_healing(&self, settings: &Settings) -> Result<Option<Healing>, DaemonError> {
        let services = Arc::new(LiveServices(self.services.clone())) as Arc<dyn Services>;
        run::prepare_healing(settings, &self.store, &self.clock, services).await
    }
}

/// Tells of what a new config says and could not change.
fn tell(changes: &Changes) {
    let list = |names: &[String]| names.join(", ");
    let sections: Vec<String> = changes.sections.iter().cloned().collect();
    tracing::info!(
        sections = list(&sections),
        new_rules = list(&changes.new_rules),
        gone_rules = list(&changes.gone_rules),
        changed_rules = list(&changes.changed_rules),
        "the new config is in use"
    );
    for section in FIXED.iter().filter(|section| changes.has_any(&[section])) {
        tracing::warn!(section, "needs a restart: the daemon goes on with what it was started with");
    }
}

/// The services of the config in use.
#[derive(Debug)]
struct LiveServices(Swap<ServiceMap>);

#[async_trait::async_trait]
impl Services for LiveServices {
    async fn service(&self, name: &str) -> Service {
        self.0.get().service(name).await
    }
}
