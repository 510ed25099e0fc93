//! A way out of a container without a network: to one proxy, over the engine's own connection.
//!
//! On a bridge that Docker calls internal, the host's gateway address answers, and with it everything that listens on all of the host's
//! addresses. So there is no bridge: the relay is a container of network `none`, whose loopback has one port; an installation joins that
//! network namespace and finds there a loopback with one port and nothing else. What is sent to the port goes over the relay's standard
//! output to the daemon, which gives it to its [`Proxy`]. No rule of a firewall has to hold, no socket or folder of the host is mounted,
//! the daemon listens nowhere, and it is the same for Docker and Podman, here and on another machine.

mod frame;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bollard::container::{AttachContainerResults, LogOutput};
use bollard::models::ContainerCreateBody;
use bollard::query_parameters::AttachContainerOptionsBuilder;
use bytes::{Bytes, BytesMut};
use futures_util::stream::FuturesUnordered;
use futures_util::{Stream, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt, duplex};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

use self::frame::{Frame, WINDOW};
use super::body::create_body;
use super::container::Sandbox;
use super::engine::Engine;
use super::error::SandboxError;
use super::proxy::Proxy;
use super::spec::SandboxSpec;

/// Where an installation finds the proxy.
pub const PROXY_ADDRESS: &str = "http://127.0.0.1:3128";

const SCRIPT: &str = include_str!("relay/relay.py");

/// Longest wait until the relay listens.
const PATIENCE: Duration = Duration::from_secs(30);

/// Connections at a time; more are ended as soon as they begin.
const MAX_LINKS: usize = 128;

type Output = std::pin::Pin<Box<dyn Stream<Item = Result<LogOutput, bollard::errors::Error>> + Send>>;
type Input = std::pin::Pin<Box<dyn AsyncWrite + Send>>;

/// A running relay. It does nothing unless [`Relay::serve`] is polled.
pub struct Relay {
    sandbox: Sandbox,
    output: Output,
    input: Input,
    read: BytesMut,
}

impl std::fmt::Debug for Relay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Relay").field("sandbox", &self.sandbox).finish_non_exhaustive()
    }
}

/// The loopback of a relay, which is all that there is of a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loopback {
    /// The engine's id of the relay's container.
    pub(super) id: String,
}

/// What the daemon keeps of a connection.
struct Link {
    to_proxy: mpsc::Sender<Option<Bytes>>,
    /// Bytes that may yet be sent to the client.
    room: Arc<Semaphore>,
}

impl Relay {
    /// Starts a relay in the image of `spec`, which needs `python3`.
    pub async fn start(engine: &Engine, spec: &SandboxSpec) -> Result<Self, SandboxError> {
        let command = ["python3", "-I", "-c", SCRIPT].map(str::to_owned).to_vec();
        // When the daemon goes away, so does its input, and the relay ends itself.
        let volumes = engine.volumes_of(spec).await?;
        let body = create_body(spec, &volumes);
        let body = ContainerCreateBody { entrypoint: Some(command), stdin_once: Some(true), ..body };
        let sandbox = engine.create(spec, body).await?;
        let name = sandbox.name().to_owned();
        let lost = |action| SandboxError::Lost { action, name: name.clone() };
        let failed = |action| {
            let name = name.clone();
            move |source| SandboxError::Engine { action, name, source }
        };
        let options =
            AttachContainerOptionsBuilder::new().stdin(true).stdout(true).stderr(false).stream(true).build();
        // Before its start, so that nothing it says is missed.
        let attached = engine.docker().attach_container(sandbox.id(), Some(options)).await;
        let AttachContainerResults { output, input } = attached.map_err(failed("attach to"))?;
        engine.docker().start_container(sandbox.id(), None).await.map_err(failed("start"))?;
        let mut relay = Self { sandbox, output, input, read: BytesMut::new() };
        match timeout(PATIENCE, relay.next()).await {
            Ok(Some(Frame::Ready)) => Ok(relay),
            Ok(Some(_) | None) | Err(_) => Err(lost("wait for the relay in")),
        }
    }

    /// What others join.
    pub fn loopback(&self) -> Loopback {
        Loopback { id: self.sandbox.id().to_owned() }
    }

    /// Carries connections between the container and `proxy`; returns only if the relay is lost.
    pub async fn serve(&mut self, proxy: &Proxy) {
        let (outgoing, mut to_relay) = mpsc::channel::<Frame>(64);
        let mut links: HashMap<u32, Link> = HashMap::new();
        let mut carried = FuturesUnordered::new();
        loop {
            tokio::select! {
                frame = next(&mut self.output, &mut self.read) => match frame {
                    Some(Frame::Opened { number }) if links.len() < MAX_LINKS => {
                        let (to_proxy, from_client) = mpsc::channel(WINDOW);
                        let room = Arc::new(Semaphore::new(WINDOW));
                        links.insert(number, Link { to_proxy, room: Arc::clone(&room) });
                        carried.push(carry(number, proxy.clone(), from_client, room, outgoing.clone()));
                    }
                    Some(Frame::Opened { number }) => {
                        let is_sent = self.input.write_all(&Frame::Ended { number }.encode()).await;
                        if is_sent.is_err() {
                            return;
                        }
                    }
                    Some(frame) => hand_on(&mut links, frame),
                    None => return,
                },
                Some(frame) = to_relay.recv() => {
                    if self.input.write_all(&frame.encode()).await.is_err() || self.input.flush().await.is_err() {
                        return;
                    }
                }
                Some(number) = carried.next(), if !carried.is_empty() => {
                    links.remove(&number);
                }
            }
        }
    }

    /// Removes its container.
    pub async fn remove(self) -> Result<(), SandboxError> {
        self.sandbox.remove().await
    }

    async fn next(&mut self) -> Option<Frame> {
        next(&mut self.output, &mut self.read).await
    }
}

/// The next frame; `None` when the relay is gone or writes what is none. May be dropped at any time: what was read stays in `read`.
async fn next(output: &mut Output, read: &mut BytesMut) -> Option<Frame> {
    loop {
        match Frame::decode(read) {
            Ok(Some(frame)) => return Some(frame),
            Ok(None) => {}
            Err(frame::Broken) => return None,
        }
        match output.next().await? {
            Ok(LogOutput::StdOut { message } | LogOutput::Console { message }) => {
                read.extend_from_slice(&message)
            }
            Ok(LogOutput::StdErr { .. } | LogOutput::StdIn { .. }) => {}
            Err(_) => return None,
        }
    }
}

/// A frame of a connection that is over is passed by.
fn hand_on(links: &mut HashMap<u32, Link>, frame: Frame) {
    let (number, data) = match frame {
        Frame::Data { number, data } => (number, Some(data)),
        Frame::Ended { number } => (number, None),
        Frame::Passed { number, n_bytes } => {
            if let Some(link) = links.get(&number) {
                let n_free = WINDOW.saturating_sub(link.room.available_permits());
                link.room.add_permits((n_bytes as usize).min(n_free));
            }
            return;
        }
        Frame::Opened { .. } | Frame::Ready => return,
    };
    // It has room for all that the window allows: who sends more loses the connection.
    if links.get(&number).is_some_and(|link| link.to_proxy.try_send(data).is_err()) {
        links.remove(&number);
    }
}

/// Serves one connection; gives back its number.
async fn carry(
    number: u32,
    proxy: Proxy,
    mut from_client: mpsc::Receiver<Option<Bytes>>,
    room: Arc<Semaphore>,
    outgoing: mpsc::Sender<Frame>,
) -> u32 {
    let (near, far) = duplex(64 << 10);
    let (mut far_read, mut far_write) = tokio::io::split(far);
    let up = async {
        while let Some(Some(data)) = from_client.recv().await {
            let n_bytes = u32::try_from(data.len()).expect("a payload is small");
            let is_passed = far_write.write_all(&data).await.is_ok();
            if !is_passed || outgoing.send(Frame::Passed { number, n_bytes }).await.is_err() {
                break;
            }
        }
        let _ = far_write.shutdown().await;
        std::future::pending::<()>().await;
    };
    let down = async {
        let mut buffer = vec![0; 16 << 10];
        while let Ok(n_read @ 1..) = far_read.read(&mut buffer).await {
            let n_permits = u32::try_from(n_read).expect("a buffer is small");
            let Ok(permits) = room.acquire_many(n_permits).await else { break };
            permits.forget();
            let data = Bytes::copy_from_slice(&buffer[..n_read]);
            if outgoing.send(Frame::Data { number, data }).await.is_err() {
                break;
            }
        }
    };
    let served = async { tokio::join!(proxy.serve(near), down) };
    tokio::select! {
        _ = served => {}
        () = up => {}
    }
    // Nobody listens any more only when all is over.
    let _ = outgoing.send(Frame::Ended { number }).await;
    number
}
