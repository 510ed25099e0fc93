//! The listeners. A TCP connection is read only as fast as the disk takes it; datagrams wait in a bounded queue, and what finds no room in
//! it is counted and becomes a gap.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;
use tracing::{debug, warn};

use super::framing::Framer;
use super::message::read;
use crate::base::backoff::Backoff;
use crate::base::clock::SharedClock;
use crate::base::metrics;
use crate::base::shutdown::Shutdown;
use crate::watch::source::lane::{Loss, Outlet};
use crate::watch::source::spool::{self, Item, Spool};

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
    pub udp: Option<UdpSocket>,
    pub tcp: Option<TcpListener>,
}

impl Sockets {
    /// Binds an address for datagrams and one for connections.
    ///
    /// # Errors
    /// An address cannot be bound; which one.
    pub async fn bind(
        (udp, tcp): (Option<SocketAddr>, Option<SocketAddr>),
    ) -> Result<Self, (SocketAddr, io::Error)> {
        let mut sockets = Self { udp: None, tcp: None };
        if let Some(address) = udp {
            sockets.udp = Some(UdpSocket::bind(address).await.map_err(|error| (address, error))?);
        }
        if let Some(address) = tcp {
            sockets.tcp = Some(TcpListener::bind(address).await.map_err(|error| (address, error))?);
        }
        Ok(sockets)
    }
}

/// Takes messages until a shutdown is asked for, or until nobody takes the lines any more.
pub async fn run(
    settings: Settings,
    sockets: Sockets,
    outlet: Outlet,
    clock: SharedClock,
    shutdown: Shutdown,
) {
    let Settings { udp: _, tcp: _, folder, max_bytes } = settings;
    let settings = spool::Settings { source: "syslog", folder, max_bytes, senders_wait: false };
    let (spool, keep) = spool::start(settings, outlet, Arc::clone(&clock), shutdown.clone());
    let udp = async {
        match sockets.udp {
            Some(socket) => receive(socket, spool.clone(), clock).await,
            None => std::future::pending().await,
        }
    };
    let tcp = async {
        match sockets.tcp {
            Some(listener) => accept(listener, spool.clone(), shutdown.clone()).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = shutdown.requested() => {}
        () = keep => {}
        () = udp => {}
        () = tcp => {}
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
        n_failures += 1;
        debug!(%error, "messages wait for the spool");
        tokio::time::sleep(RETRY.delay(n_failures)).await;
    }
}

async fn receive(socket: UdpSocket, spool: Spool, clock: SharedClock) {
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
            let (len, peer) = match socket.recv_from(&mut buffer).await {
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
                spool.lost(Loss { from, to, reason: format!("{n} datagrams found no room") });
            }
        }
    };
    tokio::select! {
        () = storing => {}
        () = receiving => {}
    }
}

async fn accept(listener: TcpListener, spool: Spool, shutdown: Shutdown) {
    let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        // More connections than that wait to be accepted.
        let Ok(permit) = Arc::clone(&connections).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, peer)) => {
                let (spool, shutdown) = (spool.clone(), shutdown.clone());
                tokio::spawn(async move {
                    tokio::select! {
                        () = shutdown.requested() => {}
                        () = converse(stream, peer.ip(), &spool) => {}
                    }
                    drop(permit);
                });
            }
            Err(error) => {
                debug!(%error, "a connection could not be accepted");
                tokio::time::sleep(RETRY.delay(1)).await;
            }
        }
    }
}

async fn converse(mut stream: TcpStream, peer: IpAddr, spool: &Spool) {
    let mut framer = Framer::default();
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let read = timeout(IDLE, stream.read(&mut buffer)).await;
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
