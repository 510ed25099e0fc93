//! The HTTP server in this process, on a port of its own.

#![expect(clippy::unwrap_used, reason = "a server that does not start must fail the test")]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use homeostat::base::secret::Secret;
use homeostat::base::shutdown::Shutdown;
use homeostat::base::swap::Swap;
use homeostat::http::{self, App, Parts};
use homeostat::watch::ingest::alerts::{AlertParts, AlertSettings, Alerts};
use homeostat::watch::ingest::pipeline::Pipeline;
use homeostat::watch::ingest::services::{self, ServiceMap};
use homeostat::watch::triage;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::story::Given;

/// What takes alerts, as the daemon makes it.
fn alerts(given: &Given) -> AlertParts {
    AlertParts {
        store: Arc::clone(&given.store),
        pipeline: Pipeline::builtin(),
        services: Arc::new(ServiceMap::new(services::Settings::default())),
        triage: triage::Settings::default(),
        settings: AlertSettings::default(),
        clock: Arc::clone(&given.clock),
    }
}

/// A server over the store of a test; ends with the value.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) shutdown: Shutdown,
    pub(crate) task: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start(given: &Given) -> Self {
        Self::start_with(given, None).await
    }

    /// With a token that visitors must show.
    pub(crate) async fn start_with(given: &Given, token: Option<&str>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = Shutdown::new();
        let settings = http::Settings {
            listen: address,
            token: token.map(Secret::new),
            public_url: "https://homeostat.example".parse().unwrap(),
            ..http::Settings::default()
        };
        let app = App::new(Parts {
            settings,
            store: Arc::clone(&given.store),
            clock: Arc::clone(&given.clock),
            metrics: None,
            alerts: Some(Swap::new(Arc::new(Alerts::new(alerts(given)).unwrap()))),
            pipeline: None,
            shutdown: shutdown.clone(),
        });
        let serving = http::serve(listener, http::router(app), shutdown.clone());
        let task = tokio::spawn(async move {
            let Ok(()) = serving.await;
        });
        Self { address, shutdown, task }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shutdown.request();
        self.task.abort();
    }
}
