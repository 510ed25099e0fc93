//! The accept loop: time-outs, a cap on connections, and an end that lets requests finish.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tower::ServiceExt;

use crate::base::backoff::Backoff;
use crate::base::chain::Chain;
use crate::base::shutdown::Shutdown;

/// A client that has not sent its headers by then is dropped (slowloris).
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections at a time; further ones wait in the listener's queue.
const MAX_CONNECTIONS: usize = 512;
/// How long requests may go on after the stop.
const DRAIN: Duration = Duration::from_secs(5);

/// Serves `router` on `listener` until `shutdown`, then lets running requests finish. `axum::serve` is not used since it
/// sets no timers.
pub async fn serve(listener: TcpListener, router: Router, shutdown: Shutdown) -> Result<(), Infallible> {
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let graceful = GracefulShutdown::new();
    let backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(1));
    let mut n_failures = 0;
    loop {
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { break };
        let accepted = tokio::select! {
            () = shutdown.requested() => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, _) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, or the client is gone already: never a reason to end, always one to wait a little.
                n_failures += 1;
                tracing::warn!(error = %Chain(&error), "failed to accept a connection");
                shutdown.sleep(backoff.delay(n_failures)).await;
                continue;
            }
        };
        n_failures = 0;
        let router = router.clone();
        let service = hyper::service::service_fn(move |request: Request<Incoming>| {
            router.clone().oneshot(request.map(Body::new))
        });
        // HTTP/1 alone: browsers speak HTTP/2 over TLS only, and what tells the two apart would wait for the first bytes without a limit.
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended early");
            }
            drop(permit);
        });
    }
    drop(listener);
    if tokio::time::timeout(DRAIN, graceful.shutdown()).await.is_err() {
        tracing::warn!("requests did not end in time, cutting them off");
    }
    Ok(())
}
