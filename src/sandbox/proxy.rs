//! The forward proxy through which dependencies are installed: the only thing that an installation can talk to.
//!
//! It opens tunnels (`CONNECT`) and fetches plain HTTP (`GET`, `HEAD`, without a body) for names and ports that are on its list, and
//! nothing else. A name is resolved here, once, and the address that was looked at is the one that is dialled, so that a name cannot
//! mean one host when it is checked and another when it is used; no address of the machine, its networks or its cloud is dialled
//! unless the config names the target as internal. It adds no credential to anything. It listens nowhere: [`Proxy::serve`] takes one
//! connection that somebody else accepted.
//!
//! **Invariant:** what is not on the list, or leads to an address that is not public, is refused and counted.
//! **Invariant:** requests, answers and tunnels are capped in bytes and in time.

mod address;
mod request;
mod target;

pub use target::{Target, TargetError};

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tracing::warn;

use self::request::Request;

/// What a proxy lets through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Who may be talked to.
    pub allow: Vec<Target>,
    /// Who may be talked to although its address is private or the machine's own: mirrors inside a company.
    pub internal: Vec<Target>,
    /// Most bytes that may come in, over all connections.
    pub max_bytes_in: u64,
    /// Most bytes that may go out, over all connections: requests are small.
    pub max_bytes_out: u64,
    /// Longest silence of a connection.
    pub idle: Duration,
}

/// Longest wait for a name and for a connection.
const PATIENCE: Duration = Duration::from_secs(15);

/// Refused targets that are remembered and logged.
const MAX_REFUSED: usize = 20;

/// The proxy. Cheap to clone; clones share limits and counters.
#[derive(Debug, Clone)]
pub struct Proxy {
    settings: Arc<Settings>,
    tally: Arc<Mutex<Tally>>,
}

/// What went through.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tally {
    pub n_served: u64,
    pub n_refused: u64,
    pub n_failed: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    /// The first that were refused, with the reason; hosts and ports only, nothing else of what was asked for.
    pub refused: BTreeMap<String, Refusal>,
}

/// Why something was not let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// Not a request that a proxy takes.
    Malformed,
    /// Another method than `CONNECT`, `GET` and `HEAD`, or one with a body.
    Method,
    NotAllowed,
    /// The name leads to an address of the machine or of its networks.
    NotPublic,
    /// The limit of bytes is reached.
    TooMuch,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "not a request of HTTP/1.1",
            Self::Method => "only CONNECT, GET and HEAD without a body are allowed",
            Self::NotAllowed => "not on the list",
            Self::NotPublic => "its address is not a public one",
            Self::TooMuch => "more bytes than are allowed",
        })
    }
}

/// Why a request got no further.
enum Stop {
    Refused(Refusal),
    /// The other side cannot be reached.
    Away,
}

impl Proxy {
    /// A proxy with counters of its own.
    pub fn new(settings: Settings) -> Self {
        Self { settings: Arc::new(settings), tally: Arc::default() }
    }

    /// What went through so far.
    pub fn tally(&self) -> Tally {
        self.tally.lock().expect("nothing panics while it holds this lock").clone()
    }

    /// Serves one connection to its end. What goes wrong on it ends it and is counted.
    pub async fn serve(&self, mut client: impl AsyncRead + AsyncWrite + Unpin) {
        let request = match timeout(self.settings.idle, Request::read(&mut client)).await {
            Ok(Ok(Some(request))) => request,
            Ok(Ok(None)) | Err(_) => return,
            Ok(Err(refusal)) => return self.refuse(&mut client, None, refusal).await,
        };
        let upstream = match self.dial(&request).await {
            Ok(upstream) => upstream,
            Err(Stop::Refused(refusal)) => {
                return self.refuse(&mut client, Some(request.target()), refusal).await;
            }
            Err(Stop::Away) => {
                self.count(|tally| tally.n_failed += 1);
                return answer(&mut client, "502 Bad Gateway", "the host cannot be reached").await;
            }
        };
        self.count(|tally| tally.n_served += 1);
        self.carry(client, upstream, &request).await;
    }

    /// A connection to the request's target, if it may be had.
    async fn dial(&self, request: &Request) -> Result<TcpStream, Stop> {
        let (host, port) = (request.host(), request.port());
        let is_among = |targets: &[Target]| targets.iter().any(|target| target.covers(host, port));
        let is_internal = is_among(&self.settings.internal);
        if !is_internal && !is_among(&self.settings.allow) {
            return Err(Stop::Refused(Refusal::NotAllowed));
        }
        if self.is_exhausted() {
            return Err(Stop::Refused(Refusal::TooMuch));
        }
        let resolved = timeout(PATIENCE, tokio::net::lookup_host((host, port))).await;
        let Ok(Ok(addresses)) = resolved else { return Err(Stop::Away) };
        let addresses: Vec<SocketAddr> = addresses.collect();
        let may_dial = |address: &SocketAddr| {
            address::is_public(address.ip()) || is_internal && address::may_be_named(address.ip())
        };
        // One address that is none of ours to dial makes the whole name suspect.
        if !addresses.iter().all(may_dial) {
            return Err(Stop::Refused(Refusal::NotPublic));
        }
        for address in addresses {
            if let Ok(Ok(stream)) = timeout(PATIENCE, TcpStream::connect(address)).await {
                return Ok(stream);
            }
        }
        Err(Stop::Away)
    }

    /// Copies until one side is silent, gone, or over the limit.
    async fn carry(
        &self,
        client: impl AsyncRead + AsyncWrite + Unpin,
        upstream: TcpStream,
        request: &Request,
    ) {
        let (mut client_in, mut client_out) = tokio::io::split(client);
        let (mut upstream_in, mut upstream_out) = upstream.into_split();
        let begun = match request {
            Request::Connect { .. } => {
                client_out.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await
            }
            Request::Fetch { head, .. } => {
                self.count(|tally| tally.bytes_out += head.len() as u64);
                upstream_out.write_all(head).await
            }
        };
        if begun.is_err() {
            return;
        }
        let down = async {
            self.copy(&mut upstream_in, &mut client_out, |tally| &mut tally.bytes_in).await;
            let _ = client_out.shutdown().await;
        };
        let up = async {
            if let Request::Connect { .. } = request {
                self.copy(&mut client_in, &mut upstream_out, |tally| &mut tally.bytes_out).await;
                // A side that has said all it has to say may still be told something.
                let _ = upstream_out.shutdown().await;
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = down => {}
            () = up => {}
        }
    }

    async fn copy(
        &self,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
        counter: impl Fn(&mut Tally) -> &mut u64,
    ) {
        let mut buffer = vec![0; 16 << 10];
        loop {
            let Ok(Ok(n_read)) = timeout(self.settings.idle, from.read(&mut buffer)).await else { return };
            if n_read == 0 {
                return;
            }
            self.count(|tally| *counter(tally) += n_read as u64);
            if self.is_exhausted() {
                return;
            }
            let written = timeout(self.settings.idle, to.write_all(&buffer[..n_read])).await;
            if !matches!(written, Ok(Ok(()))) {
                return;
            }
        }
    }

    fn is_exhausted(&self) -> bool {
        let tally = self.tally.lock().expect("nothing panics while it holds this lock");
        tally.bytes_in > self.settings.max_bytes_in || tally.bytes_out > self.settings.max_bytes_out
    }

    fn count(&self, change: impl FnOnce(&mut Tally)) {
        change(&mut self.tally.lock().expect("nothing panics while it holds this lock"));
    }

    async fn refuse(&self, client: &mut (impl AsyncWrite + Unpin), target: Option<String>, refusal: Refusal) {
        let target = target.unwrap_or_else(|| "(no target)".to_owned());
        let mut is_new = false;
        self.count(|tally| {
            tally.n_refused += 1;
            if tally.refused.len() < MAX_REFUSED && !tally.refused.contains_key(&target) {
                is_new = true;
                tally.refused.insert(target.clone(), refusal);
            }
        });
        if is_new {
            warn!(target, reason = %refusal, "refused a connection of an installation");
        }
        answer(client, "403 Forbidden", &format!("homeostat's proxy refuses {target}: {refusal}")).await;
    }
}

/// An answer of the proxy's own. A client that does not take it is no concern.
async fn answer(client: &mut (impl AsyncWrite + Unpin), status: &str, text: &str) {
    let n_bytes = text.len() + 1;
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {n_bytes}\r\nConnection: close\r\n\r\n{text}\n"
    );
    let _ = client.write_all(answer.as_bytes()).await;
    let _ = client.shutdown().await;
}

#[cfg(test)]
mod tests;
