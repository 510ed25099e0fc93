//! Syslog over UDP and TCP, in both framings: each message is counted once.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use homeostat::base::clock::SystemClock;
use homeostat::base::shutdown::Shutdown;
use homeostat::store::Store;
use homeostat::watch::source::syslog::{self, Settings, Sockets};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpStream, UdpSocket};
use tokio::task::JoinSet;

use crate::store::given::Db;
use crate::support::wait::{PATIENCE, eventually};
use crate::support::watching::{counts, watch};

struct Running {
    udp: String,
    tcp: String,
    tasks: JoinSet<()>,
}

async fn start(store: &Arc<dyn Store>, folder: &tempfile::TempDir) -> Running {
    let any: Option<SocketAddr> = Some("127.0.0.1:0".parse().expect("an address"));
    let settings = Settings { udp: any, tcp: any, folder: folder.path().join("spool"), max_bytes: 64 << 20 };
    let sockets = Sockets::bind((any, any)).await.expect("free ports");
    let udp = sockets.udp.as_ref().expect("it was asked for").local_addr().expect("it is bound").to_string();
    let tcp = sockets.tcp.as_ref().expect("it was asked for").local_addr().expect("it is bound").to_string();
    let run = |outlet| syslog::run(settings, sockets, outlet, SystemClock::shared(), Shutdown::new());
    Running { udp, tcp, tasks: watch(store, run) }
}

#[tokio::test]
async fn messages_of_all_forms_are_counted_once() {
    let db = Db::sqlite().await;
    let folder = tempfile::tempdir().expect("a folder can be made");
    let mut truth: BTreeMap<String, u64> = BTreeMap::new();
    for round in 0..3 {
        // The second and third run begin with what the one before had not stored.
        let mut running = start(&db.store, &folder).await;
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
        for n in 0..50 {
            let text = format!("<11>1 2026-11-21T10:00:00Z h udp - - - ERROR order {round}{n} failed");
            socket.send_to(text.as_bytes(), &running.udp).await.expect("it can be sent");
            let trace = "<11>Nov 21 10:00:00 h multi[1]: Traceback (most recent call last):#012  File \"/a.py\", line 1, in a#012ValueError: x";
            socket.send_to(trace.as_bytes(), &running.udp).await.expect("it can be sent");
        }
        let mut lines = TcpStream::connect(&running.tcp).await.expect("it listens");
        let mut counted = TcpStream::connect(&running.tcp).await.expect("it listens");
        for n in 0..100 {
            let line = format!("<11>Nov 21 10:00:00 h lines[7]: ERROR order {round}{n} failed\n");
            lines.write_all(line.as_bytes()).await.expect("it can be sent");
            let message = format!(
                "<11>1 - h counted - - - ERROR order {n} failed\nTraceback (most recent call last):\n  File \"/a.py\", line {n}, in a\nValueError: x"
            );
            let framed = format!("{} {message}", message.len());
            counted.write_all(framed.as_bytes()).await.expect("it can be sent");
        }
        // homeostat's own are left out.
        lines
            .write_all(b"<11>Nov 21 10:00:00 h homeostat[1]: ERROR of its own\n")
            .await
            .expect("it can be sent");
        lines.write_all(b"<11>Nov 21 10:00:00 h bye: ERROR bye").await.expect("it can be sent");
        drop((lines, counted));
        for (service, n) in [("udp", 50), ("multi", 50), ("lines", 100), ("counted", 100), ("bye", 1)] {
            *truth.entry(service.to_owned()).or_default() += n;
        }
        let what = format!("{truth:?}");
        eventually(&what, PATIENCE, async || (counts(&db.store).await == truth).then_some(())).await;
        running.tasks.shutdown().await;
    }
    assert_eq!(db.store.gaps(10).await.expect("the store answers"), []);
}
