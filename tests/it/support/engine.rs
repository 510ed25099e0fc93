//! A scripted container engine: the few questions of the Docker API that homeostat asks, over a unix socket. It holds containers with
//! their logs, tells of what happens to them, and loses a follower where it is told to.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::State as Given;
use axum::http::{Request, Response, StatusCode};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use homeostat::base::clock::Timestamp;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::UnixListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// A container as the engine knows it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scripted {
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) is_running: bool,
    /// Frames of its log: 1 for stdout or 2 for stderr, the time, and the text with its line break if it has one.
    pub(crate) log: Vec<(u8, String, Vec<u8>)>,
}

#[derive(Debug, Default)]
struct State {
    containers: BTreeMap<String, Scripted>,
    listeners: Vec<mpsc::Sender<Bytes>>,
    /// Frames that the next follower is given before nothing comes any more; then all are given everything.
    lost_after: Option<usize>,
    n_followers: usize,
}

/// A running engine.
#[derive(Debug)]
pub(crate) struct ScriptedEngine {
    folder: TempDir,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

impl Drop for ScriptedEngine {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl ScriptedEngine {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let listener = UnixListener::bind(folder.path().join("engine.sock")).expect("a socket can be made");
        let state = Arc::<Mutex<State>>::default();
        let router = Router::new().fallback(answer).with_state(Arc::clone(&state));
        let task = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Self { folder, state, task }
    }

    /// `unix://…`
    pub(crate) fn host(&self) -> String {
        format!("unix://{}", self.folder.path().join("engine.sock").display())
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().expect("nobody panics with it"))
    }

    /// Puts a container there, or in the place of the one with this id.
    pub(crate) fn put(&self, id: &str, container: Scripted) {
        self.with(|state| state.containers.insert(id.to_owned(), container));
    }

    pub(crate) fn remove(&self, id: &str) {
        self.with(|state| state.containers.remove(id));
    }

    /// The next follower of a log is lost after so many frames.
    pub(crate) fn lose_follower_after(&self, n_frames: usize) {
        self.with(|state| state.lost_after = Some(n_frames));
    }

    /// How many followers have asked so far.
    pub(crate) fn n_followers(&self) -> usize {
        self.with(|state| state.n_followers)
    }

    /// Whether somebody listens to events.
    pub(crate) fn has_listeners(&self) -> bool {
        self.with(|state| {
            state.listeners.retain(|it| !it.is_closed());
            !state.listeners.is_empty()
        })
    }

    /// Tells of an event; waits for those who listen.
    pub(crate) async fn tell(&self, action: &str, id: &str, container: &Scripted) {
        let mut attributes: BTreeMap<&str, &str> =
            container.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        attributes.extend([("name", container.name.as_str()), ("image", "shop:1")]);
        let event = json!({
            "Type": "container", "Action": action, "time": 1_795_232_769, "timeNano": 1_795_232_769_000_000_000i64,
            "Actor": { "ID": id, "Attributes": attributes },
        });
        let line = Bytes::from(format!("{event}\n"));
        for listener in self.with(|state| state.listeners.clone()) {
            // One that has gone is no listener.
            let _ = listener.send(line.clone()).await;
        }
    }
}

async fn answer(Given(state): Given<Arc<Mutex<State>>>, request: Request<Body>) -> Response<Body> {
    let mut state = state.lock().expect("nobody panics with it");
    let query: BTreeMap<String, String> =
        url::form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes())
            .into_owned()
            .collect();
    let path = request.uri().path().to_owned();
    // `/v1.53/containers/json`: the version may be left out.
    let mut words: Vec<&str> = path.split('/').filter(|it| !it.is_empty()).collect();
    if words.first().is_some_and(|it| it.starts_with("v1.")) {
        words.remove(0);
    }
    match words.as_slice() {
        ["_ping"] => Response::new(Body::from("OK")),
        ["version"] => value(&json!({ "ApiVersion": "1.43", "Version": "5.0" })),
        ["info"] => value(&json!({ "SystemTime": "2026-11-21T10:00:00.000000000+05:30" })),
        ["events"] => {
            let (tx, rx) = mpsc::channel(256);
            state.listeners.push(tx);
            let lines = stream::unfold(rx, async |mut rx: mpsc::Receiver<Bytes>| {
                Some((Ok::<_, Infallible>(rx.recv().await?), rx))
            });
            Response::new(Body::from_stream(lines))
        }
        ["containers", "json"] => {
            let all: Vec<Value> = state.containers.iter().map(|(id, it)| summary(id, it)).collect();
            value(&Value::Array(all))
        }
        ["containers", id, "json"] => match state.containers.get(*id) {
            Some(container) => value(&inspection(id, container)),
            None => missing(),
        },
        ["containers", id, "logs"] => match state.containers.get(*id).cloned() {
            Some(container) => logs(&mut state, &container, &query),
            None => missing(),
        },
        _ => missing(),
    }
}

fn value(value: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(value.to_string()));
    response.headers_mut().insert("Content-Type", "application/json".parse().expect("a value"));
    response
}

fn missing() -> Response<Body> {
    let mut response = value(&json!({ "message": "no such thing" }));
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}

fn word(is_running: bool) -> &'static str {
    if is_running { "running" } else { "exited" }
}

fn summary(id: &str, container: &Scripted) -> Value {
    let Scripted { name, labels, is_running, log: _ } = container;
    json!({
        "Id": id, "Names": [format!("/{name}")], "Image": "shop:1", "Labels": labels, "State": word(*is_running),
    })
}

/// Made after whatever has looked first, so that its log is read from the beginning.
fn inspection(id: &str, container: &Scripted) -> Value {
    let Scripted { name, labels, is_running, log: _ } = container;
    json!({
        "Id": id, "Name": format!("/{name}"), "Created": "2099-01-01T00:00:00Z", "LogPath": "/nowhere/ctr.log",
        "State": {
            "Status": word(*is_running), "Running": is_running, "Restarting": false,
            "StartedAt": "2099-01-01T00:00:01Z", "FinishedAt": "2099-01-01T00:00:02Z",
        },
        "Config": { "Image": "shop:1", "Labels": labels, "Tty": false },
        "HostConfig": { "LogConfig": { "Type": "k8s-file", "Config": {} } },
    })
}

/// The log from a whole second on; a follower of a running container waits for ever at its end.
fn logs(state: &mut State, container: &Scripted, query: &BTreeMap<String, String>) -> Response<Body> {
    let asks = |name: &str| query.get(name).is_some_and(|it| it == "true" || it == "1");
    let since: i64 = query.get("since").and_then(|it| it.parse().ok()).unwrap_or(0);
    let second = |stamp: &str| stamp.parse::<Timestamp>().expect("a time").as_second();
    let frame = |(device, stamp, text): &(u8, String, Vec<u8>)| {
        let body = [stamp.as_bytes(), b" ", text].concat();
        let len = u32::try_from(body.len()).expect("it is short").to_be_bytes();
        Bytes::from([&[*device, 0, 0, 0], &len[..], &body].concat())
    };
    let mut frames: Vec<Bytes> =
        container.log.iter().filter(|(_, stamp, _)| second(stamp) >= since).map(frame).collect();
    if let Some(tail) = query.get("tail").and_then(|it| it.parse::<usize>().ok()) {
        frames.drain(..frames.len().saturating_sub(tail));
    }
    let mut is_endless = false;
    if asks("follow") {
        is_endless = container.is_running;
        state.n_followers += 1;
        if let Some(n) = state.lost_after.take() {
            frames.truncate(n);
        }
    }
    let frames = stream::iter(frames.into_iter().map(Ok::<_, Infallible>));
    let body = if is_endless {
        Body::from_stream(frames.chain(stream::pending()))
    } else {
        Body::from_stream(frames)
    };
    Response::new(body)
}
