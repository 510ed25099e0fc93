//! A network that can be cut: what connects to the link is connected with something else, until the link is cut.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// One end of it; gone with the value.
#[derive(Debug)]
pub(crate) struct Link {
    is_away: Arc<AtomicBool>,
    cuts: watch::Sender<u64>,
    task: JoinHandle<()>,
}

impl Link {
    /// Connects what connects to the socket `at` with the socket `to`.
    pub(crate) fn unix(at: &Path, to: PathBuf) -> Self {
        let listener = UnixListener::bind(at).expect("a socket can be made");
        Self::start(move |link| async move {
            while let Ok((client, _)) = listener.accept().await {
                link.join(client, UnixStream::connect(to.clone()));
            }
        })
    }

    /// Connects what connects to a port of loopback, which is given too, with the address `to`.
    pub(crate) async fn tcp(to: SocketAddr) -> (Self, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let at = listener.local_addr().expect("it is bound");
        let link = Self::start(move |link| async move {
            while let Ok((client, _)) = listener.accept().await {
                link.join(client, TcpStream::connect(to));
            }
        });
        (link, at)
    }

    fn start<F>(accept: impl FnOnce(Joining) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let is_away = Arc::new(AtomicBool::new(false));
        let (cuts, is_cut) = watch::channel(0);
        let task = tokio::spawn(accept(Joining { is_away: Arc::clone(&is_away), is_cut }));
        Self { is_away, cuts, task }
    }

    /// Breaks all connections off. While it is away new ones are broken off at once.
    pub(crate) fn cut(&self, is_away: bool) {
        self.is_away.store(is_away, Ordering::SeqCst);
        self.cuts.send_modify(|n_cuts| *n_cuts += 1);
    }

    /// New connections are let through again.
    pub(crate) fn mend(&self) {
        self.is_away.store(false, Ordering::SeqCst);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Debug, Clone)]
struct Joining {
    is_away: Arc<AtomicBool>,
    is_cut: watch::Receiver<u64>,
}

impl Joining {
    fn join<C, S>(&self, mut client: C, server: impl Future<Output = std::io::Result<S>> + Send + 'static)
    where
        C: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        if self.is_away.load(Ordering::SeqCst) {
            return;
        }
        let mut is_cut = self.is_cut.clone();
        is_cut.mark_unchanged();
        tokio::spawn(async move {
            let Ok(mut server) = server.await else { return };
            tokio::select! {
                // The link is cut, or gone with its test.
                _ = is_cut.changed() => {}
                _ = copy_bidirectional(&mut client, &mut server) => {}
            }
        });
    }
}
