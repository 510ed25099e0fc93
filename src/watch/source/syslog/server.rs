//! The listeners. A TCP connection is read only as fast as the disk takes it; datagrams wait in a bounded queue, and what finds no room in
//! it is counted and becomes a gap.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::{debug, warn};

use super::framing::Framer;
use super::message::read;
use crate::base::backoff::Backoff;
use crate::base::clock::SharedClock;
use crate::base::metrics;
use crate::base::shutdown::Shutdown;
use crate::watch::source::blocking::blocking;
use crate::watch::source::lane::{Loss, Outlet};
use crate::watch::source::spool::{self, Item, Spool, SpoolError, Stop, WhileAway};

/// Connections at the same time; each holds one message at most.
const MAX_CONNECTIONS: usize = 256;
/// A connection that is silent for so long is closed.
const IDLE: Duration = Duration::from_secs(15 * 60);
const READ_BYTES: usize = 64 << 10;

/// Datagrams that may wait for the disk.
const WAITING: usize = 8192;
/// Of which so many are stored at once.
const BATCH: usize = 1024;
const MAX_DATAGRAM: usize = 64 << 10;

/// How long a stop waits until what was received is stored.
const LAST_WORDS: Duration = Duration::from_secs(5);

const RETRY: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));

/// Where to listen.
#[derive(Debug, Clone)]
pub struct Settings {
    pub udp: Option<SocketAddr>,
    pub tcp: Option<SocketAddr>,
    /// Folder of the spool.
    pub folder: PathBuf,
    /// Nothing more is taken while so much is not stored yet.
    pub max_bytes: u64,
}

/// The bound sockets.
#[derive(Debug)]
pub struct Sockets {
    /// Shared with who keeps it over a new start of the source: what comes meanwhile waits in it.
    pub udp: Option<Arc<UdpSocket>>,
    pub tcp: Option<TcpListener>,
    /// The socket for datagrams was there before this start.
    pub is_udp_kept: bool,
}

impl Sockets {
    /// Binds an address for datagrams and one for connections.
    ///
    /// # Errors
    /// An address cannot be bound; which one.
    pub async fn bind(
        (udp, tcp): (Option<SocketAddr>, Option<SocketAddr>),
    ) -> Result<Self, (SocketAddr, io::Error)> {
        let mut sockets = Self { udp: None, tcp: None, is_udp_kept: false };
        if let Some(address) = udp {
            let socket = UdpSocket::bind(address).await.map_err(|error| (address, error))?;
            sockets.udp = Some(Arc::new(socket));
        }
        if let Some(address) = tcp {
            sockets.tcp = Some(TcpListener::bind(address).await.map_err(|error| (address, error))?);
        }
        Ok(sockets)
    }
}

/// Takes messages until a shutdown is asked for, or until nobody takes the lines any more. What was received is stored first.
pub async fn run(
    settings: Settings,
    sockets: Sockets,
    outlet: Outlet,
    clock: SharedClock,
    shutdown: Shutdown,
) {
    let Settings { udp: _, tcp: _, folder, max_bytes } = settings;
    // Over UDP nobody learns that nobody listens; of a socket that was kept nothing is lost.
    let is_refused = sockets.udp.is_none() || sockets.is_udp_kept;
    let while_away = if is_refused { WhileAway::Refused } else { WhileAway::Lost };
    let settings = spool::Settings { source: "syslog", folder: folder.clone(), max_bytes, while_away };
    // The spool goes last.
    let stop = Shutdown::new();
    let (spool, keep) = spool::start(settings, outlet, Arc::clone(&clock), stop.clone());
    let udp = async {
        if let Some(socket) = sockets.udp {
            receive(&socket, spool.clone(), Arc::clone(&clock), shutdown.clone()).await;
        }
    };
    let tcp = async {
        match sockets.tcp {
            Some(listener) => accept(listener, spool.clone(), shutdown.clone()).await,
            None => true,
        }
    };
    let listening = async {
        let both = async { tokio::join!(udp, tcp) };
        let late = async {
            shutdown.requested().await;
            tokio::time::sleep(LAST_WORDS).await;
        };
        tokio::select! {
            ((), is_quiet) = both => {
                shutdown.requested().await;
                note_stop(folder, &clock, is_quiet).await;
            }
            () = late => {}
        }
        stop.request();
    };
    tokio::select! {
        // Without a stop it ends when nobody takes the lines any more.
        () = keep => {}
        () = async { listening.await; std::future::pending().await } => {}
    }
}

/// Everything that was received is stored: the next run shall know.
async fn note_stop(folder: PathBuf, clock: &SharedClock, is_quiet: bool) {
    let at = i64::try_from(clock.now().as_nanosecond()).unwrap_or(i64::MAX);
    if let Err(error) = blocking(move || spool::note_stop(&folder, Stop { at, is_quiet })).await {
        debug!(%error, "the end of syslog could not be noted");
    }
}

fn item(bytes: &[u8], peer: IpAddr) -> Item {
    let message = read(bytes);
    if !message.is_formed {
        metrics::odd_message("syslog", "form");
    }
    let host = message.host.unwrap_or_else(|| peer.to_string());
    let service = message.app.unwrap_or_else(|| host.clone());
    let label = if service == host { service.clone() } else { format!("{service} ({host})") };
    Item { service, label, at: message.at, text: message.text }
}

/// Puts items into the spool, however long that takes.
async fn store(spool: &Spool, items: Vec<Item>) {
    let mut n_failures = 0;
    // The spool itself says once why it takes nothing.
    while let Err(error) = spool.append(items.clone()).await {
        if matches!(error, SpoolError::Closed) {
            return;
        }
        n_failures += 1;
        debug!(%error, "messages wait for the spool");
        tokio::time::sleep(RETRY.delay(n_failures)).await;
    }
}

async fn receive(socket: &UdpSocket, spool: Spool, clock: SharedClock, shutdown: Shutdown) {
    let (waiting_tx, mut waiting) = mpsc::channel::<Item>(WAITING);
    let storing = {
        let spool = spool.clone();
        async move {
            let mut items = Vec::new();
            while waiting.recv_many(&mut items, BATCH).await > 0 {
                store(&spool, std::mem::take(&mut items)).await;
            }
        }
    };
    let receiving = async move {
        let mut buffer = vec![0; MAX_DATAGRAM];
        let mut lost: Option<(String, u64)> = None;
        loop {
            let received = tokio::select! {
                biased;
                // What is not received yet waits in the socket.
                () = shutdown.requested() => return,
                received = socket.recv_from(&mut buffer) => received,
            };
            let (len, peer) = match received {
                Ok(received) => received,
                Err(error) => {
                    debug!(%error, "a datagram could not be received");
                    tokio::time::sleep(RETRY.delay(1)).await;
                    continue;
                }
            };
            if waiting_tx.try_send(item(&buffer[..len], peer.ip())).is_err() {
                metrics::source_drop("syslog", "no room", 1);
                lost.get_or_insert_with(|| (clock.now().to_string(), 0)).1 += 1;
            } else if let Some((from, n)) = lost.take() {
                let to = clock.now().to_string();
                warn!(from, to, n, "datagrams were lost: they came faster than they could be stored");
                spool.lost(Loss {
                    from,
                    to,
                    reason: format!("{n} datagrams found no room"),
                    of_stream: None,
                });
            }
        }
    };
    // The one ends when the other does, and the queue is empty.
    tokio::join!(storing, receiving);
}

/// Takes connections until a stop; whether nobody was connected then.
async fn accept(listener: TcpListener, spool: Spool, shutdown: Shutdown) -> bool {
    let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut conversations = JoinSet::new();
    loop {
        // More connections than that wait to be accepted.
        let next = async {
            let permit = Arc::clone(&connections).acquire_owned().await;
            (permit, listener.accept().await)
        };
        let accepted = tokio::select! {
            () = shutdown.requested() => break,
            accepted = next => accepted,
            Some(_) = conversations.join_next() => continue,
        };
        match accepted {
            (Ok(permit), Ok((stream, peer))) => {
                let (spool, shutdown) = (spool.clone(), shutdown.clone());
                conversations.spawn(async move {
                    converse(stream, peer.ip(), &spool, &shutdown).await;
                    drop(permit);
                });
            }
            (_, Err(error)) => {
                debug!(%error, "a connection could not be accepted");
                tokio::time::sleep(RETRY.delay(1)).await;
            }
            (Err(_), _) => break,
        }
    }
    while conversations.try_join_next().is_some() {}
    let is_quiet = conversations.is_empty() && listener.accept().now_or_never().is_none();
    drop(listener);
    while conversations.join_next().await.is_some() {}
    is_quiet
}

async fn converse(mut stream: TcpStream, peer: IpAddr, spool: &Spool, shutdown: &Shutdown) {
    let mut framer = Framer::default();
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let read = tokio::select! {
            biased;
            read = timeout(IDLE, stream.read(&mut buffer)) => read,
            () = shutdown.requested() => return,
        };
        let mut messages = Vec::new();
        let n = match read {
            Ok(Ok(n)) => n,
            // Silent, or broken: what it began is what it sent.
            Ok(Err(_)) | Err(_) => 0,
        };
        if n == 0 {
            framer.finish(&mut messages);
        } else {
            framer.push(&buffer[..n], &mut messages);
        }
        metrics::cut_bytes("syslog", framer.take_cut());
        let items: Vec<Item> = messages.iter().map(|message| item(message, peer)).collect();
        if !items.is_empty() {
            store(spool, items).await;
        }
        if n == 0 {
            return;
        }
    }
}
