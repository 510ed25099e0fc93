//! The tail of the strict Loki: pings each second, loses entries without a word, ends when it likes.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, Response, StatusCode};
use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::sync::{broadcast, watch};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message, Role};

use super::loki::{Labels, Matcher};

/// How it takes who wants to listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TailMode {
    Serves,
    /// As a proxy that knows no websockets, or a token that may not.
    Refuses,
    /// 101, and then a close: ten listen already.
    IsFull,
    /// 101, and then nothing, not even a ping.
    IsSilent,
}

/// How a tail ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TailEnd {
    /// With the words of Loki.
    Close(&'static str),
    /// Without any.
    Cut,
}

/// All tails of a Loki.
#[derive(Debug)]
pub(crate) struct Tails {
    pub(crate) mode: TailMode,
    /// Every other entry is not sent.
    pub(crate) is_lossy: bool,
    n_pushed: usize,
    pushes: broadcast::Sender<(Labels, i64, String)>,
    ends: watch::Sender<Option<TailEnd>>,
    /// How many listen now, and how many did.
    listening: Arc<Mutex<(usize, usize)>>,
}

impl Tails {
    pub(super) fn new() -> Self {
        Self {
            mode: TailMode::Serves,
            is_lossy: false,
            n_pushed: 0,
            pushes: broadcast::Sender::new(16),
            ends: watch::Sender::new(None),
            listening: Arc::default(),
        }
    }

    pub(crate) fn n_listening(&self) -> usize {
        self.listening.lock().expect("nobody panics with it").0
    }

    /// How many have listened so far.
    pub(crate) fn n_listened(&self) -> usize {
        self.listening.lock().expect("nobody panics with it").1
    }

    /// Ends those that are open.
    pub(crate) fn end(&self, end: TailEnd) {
        self.ends.send_replace(Some(end));
    }

    pub(super) fn push(&mut self, labels: &Labels, nanos: i64, line: &str) {
        self.n_pushed += 1;
        if !self.is_lossy || self.n_pushed.is_multiple_of(2) {
            // Nobody may listen.
            let _ = self.pushes.send((labels.clone(), nanos, line.to_owned()));
        }
    }

    pub(super) fn answer(
        &self,
        headers: &HeaderMap,
        upgrade: OnUpgrade,
        (matchers, filter): (Vec<Matcher>, String),
    ) -> Response<Body> {
        let shows = |name: &str, value: &str| {
            headers.get(name).is_some_and(|it| it.as_bytes().eq_ignore_ascii_case(value.as_bytes()))
        };
        let key = headers.get("Sec-WebSocket-Key");
        let is_handshake = shows("Upgrade", "websocket")
            && shows("Connection", "Upgrade")
            && shows("Sec-WebSocket-Version", "13")
            && key.is_some_and(|it| it.len() == 24);
        if !is_handshake || self.mode == TailMode::Refuses {
            let mut response = Response::new(Body::from("Bad Request\n"));
            *response.status_mut() = StatusCode::BAD_REQUEST;
            return response;
        }
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let accept = derive_accept_key(key.expect("it was checked").as_bytes());
        for (name, value) in
            [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", &accept)]
        {
            response.headers_mut().insert(name, value.parse().expect("a value"));
        }
        let (mode, pushes) = (self.mode, self.pushes.subscribe());
        let (mut ends, listening) = (self.ends.subscribe(), Arc::clone(&self.listening));
        ends.mark_unchanged();
        tokio::spawn(async move {
            let Ok(upgraded) = upgrade.await else { return };
            let mut socket =
                WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
            let fits = |labels: &Labels, line: &str| {
                matchers.iter().all(|matcher| matcher.fits(labels)) && line.contains(&filter)
            };
            match mode {
                TailMode::IsFull => {
                    close(
                        &mut socket,
                        "max concurrent tail requests limit exceeded, count > limit (11 > 10)",
                    )
                    .await;
                }
                TailMode::IsSilent => std::future::pending().await,
                TailMode::Serves | TailMode::Refuses => {
                    count(&listening, true);
                    serve(socket, pushes, ends, fits).await;
                    count(&listening, false);
                }
            }
        });
        response
    }
}

fn count(listening: &Mutex<(usize, usize)>, is_begin: bool) {
    let mut listening = listening.lock().expect("nobody panics with it");
    if is_begin {
        *listening = (listening.0 + 1, listening.1 + 1);
    } else {
        listening.0 -= 1;
    }
}

type Socket = WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>;

async fn close(socket: &mut Socket, reason: &'static str) {
    let _ = socket.close(Some(CloseFrame { code: CloseCode::Error, reason: reason.into() })).await;
}

async fn serve(
    mut socket: Socket,
    mut pushes: broadcast::Receiver<(Labels, i64, String)>,
    mut ends: watch::Receiver<Option<TailEnd>>,
    fits: impl Fn(&Labels, &str) -> bool,
) {
    let mut pings = tokio::time::interval(Duration::from_secs(1));
    loop {
        let message = tokio::select! {
            _ = pings.tick() => Message::Ping(bytes::Bytes::new()),
            pushed = pushes.recv() => match pushed {
                Ok((labels, nanos, line)) if fits(&labels, &line) => {
                    let stream = json!({"stream": labels, "values": [[nanos.to_string(), line]]});
                    Message::text(json!({"streams": [stream]}).to_string())
                }
                // What a slow reader misses is gone.
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => continue,
                Err(broadcast::error::RecvError::Closed) => return,
            },
            Ok(()) = ends.changed() => {
                let end = *ends.borrow_and_update();
                if let Some(TailEnd::Close(reason)) = end {
                    close(&mut socket, reason).await;
                }
                return;
            }
            read = socket.next() => match read {
                Some(Ok(_)) => continue,
                Some(Err(_)) | None => return,
            },
        };
        if socket.send(message).await.is_err() {
            return;
        }
    }
}
