//! Loki's `tail` (a websocket), as a hint that something came, and nothing else.
//!
//! It loses entries without a word, repeats others, ends after an hour, and is refused beyond a handful of readers, so what it sends is
//! not even read: only that it sent something counts, and `query_range` says what. Where it is not to be had (a proxy without websockets,
//! a token that may not), that is told once, and lines wait for the next poll as they do without it.
//!
//! Protocol: <https://grafana.com/docs/loki/latest/reference/loki-http-api/#stream-logs>

use std::convert::Infallible;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Message, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self};
use tracing::{debug, info};

use super::client::{Client, LokiError, Server};
use crate::base::backoff::Backoff;
use crate::base::chain::Chain;
use crate::base::clock::{SharedClock, Timestamp};

/// A handshake takes no longer.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Loki pings each second: silence is a connection that is gone.
const SILENCE: Duration = Duration::from_secs(30);
/// After a hint the next one is not waited for at once: while much comes, polls do not wait for hints, and what is not read here Loki drops.
const REST: Duration = Duration::from_millis(200);
/// A tail that lived so long was a good one.
const GOOD: Duration = Duration::from_secs(60);
/// Frames of 3 MB were seen.
const MAX_MESSAGE_BYTES: usize = 32 << 20;

const AGAIN: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(300));

/// Why there is no tail.
#[derive(Debug, thiserror::Error)]
pub(super) enum TailError {
    #[error("failed to ask for the tail of a query")]
    Ask(#[source] LokiError),
    #[error("the handshake of the websocket took too long")]
    Slow,
    #[error("the websocket broke")]
    Broken(#[source] Box<tungstenite::Error>),
    #[error("nothing came over the websocket, not even a ping")]
    Silent,
    #[error("Loki ended the tail{}", because(.0))]
    Ended(String),
}

fn because(reason: &str) -> String {
    if reason.is_empty() { String::new() } else { format!(": {reason}") }
}

/// When something came, by this machine's clock, and nothing was read of it yet.
#[derive(Debug)]
pub(super) struct Hints {
    last: watch::Receiver<Timestamp>,
    /// When it may be read: entries may come late.
    due: Option<Timestamp>,
    lag: Duration,
}

impl Hints {
    /// Hints, and where they come from.
    pub(super) fn new(lag: Duration) -> (watch::Sender<Timestamp>, Self) {
        let (tx, last) = watch::channel(Timestamp::UNIX_EPOCH);
        (tx, Self { last, due: None, lag })
    }

    /// Waits until something that came can be read. May be given up and called again.
    pub(super) async fn due(&mut self, clock: &SharedClock) {
        loop {
            if let Some(due) = self.due {
                let left = due.duration_since(clock.now());
                // A millisecond more: what came in this very one is read too.
                let left =
                    Duration::try_from(left).map_or(Duration::ZERO, |it| it + Duration::from_millis(1));
                sleep(left.min(self.lag)).await;
                self.due = None;
                return;
            }
            if self.last.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
            self.due = self.last.borrow_and_update().checked_add(self.lag).ok();
        }
    }
}

/// Listens as long as it is polled, whatever happens to the connection.
pub(super) async fn listen(
    name: &str,
    server: Server,
    query: &str,
    clock: &SharedClock,
    hints: watch::Sender<Timestamp>,
) -> Infallible {
    let client = match Client::for_tail(server) {
        Ok(client) => client,
        // The client that polls is made in the same way, and was.
        Err(error) => {
            debug!(query = name, error = %Chain(&error), "there is no tail");
            return std::future::pending().await;
        }
    };
    let (mut n_failures, mut is_told) = (0, false);
    loop {
        let begun = Instant::now();
        let error = tail(&client, query, clock, &hints).await;
        n_failures = if begun.elapsed() >= GOOD { 1 } else { n_failures + 1 };
        if n_failures > 1 && !is_told {
            info!(query = name, error = %Chain(&error), "Loki's tail is not to be had, its lines wait for the next poll");
            is_told = true;
        } else {
            debug!(query = name, error = %Chain(&error), "Loki's tail ended");
        }
        sleep(AGAIN.delay(n_failures)).await;
    }
}

/// One connection, to its end.
async fn tail(
    client: &Client,
    query: &str,
    clock: &SharedClock,
    hints: &watch::Sender<Timestamp>,
) -> TailError {
    let upgraded = match timeout(HANDSHAKE, client.tail(query, clock.now())).await {
        Ok(Ok(upgraded)) => upgraded,
        Ok(Err(error)) => return TailError::Ask(error),
        Err(_) => return TailError::Slow,
    };
    let config = WebSocketConfig::default()
        .max_message_size(Some(MAX_MESSAGE_BYTES))
        .max_frame_size(Some(MAX_MESSAGE_BYTES));
    let mut socket = WebSocketStream::from_raw_socket(upgraded, Role::Client, Some(config)).await;
    // What came before it was listened to.
    hints.send_replace(clock.now());
    loop {
        match timeout(SILENCE, socket.next()).await {
            Ok(Some(Ok(Message::Text(_) | Message::Binary(_)))) => {
                hints.send_replace(clock.now());
                sleep(REST).await;
            }
            Ok(Some(Ok(Message::Close(frame)))) => {
                return TailError::Ended(frame.map_or_else(String::new, |it| it.reason.to_string()));
            }
            // Pongs are sent with the next read.
            Ok(Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)))) => {}
            Ok(Some(Err(error))) => return TailError::Broken(Box::new(error)),
            Ok(None) => return TailError::Ended(String::new()),
            Err(_) => return TailError::Silent,
        }
    }
}
