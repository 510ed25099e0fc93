//! Syslog over UDP and TCP, in both framings: each message is counted once.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use homeostat::base::clock::{Clock, SystemClock, Timestamp};
use homeostat::base::shutdown::Shutdown;
use homeostat::model::cursor::Gap;
use homeostat::store::Store;
use homeostat::watch::source::syslog::{self, Settings, Sockets};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::store::given::Db;
use crate::support::chance::{n_actions, seed};
use crate::support::numbered::{ALL, Between, Trail, check, counted, lines};
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
        // What is no text is read all the same.
        lines
            .write_all(b"<11>Nov 21 10:00:00 h odd[7]: \0 ERROR order \xff\xfe \0 failed\n")
            .await
            .expect("it can be sent");
        // homeostat's own are left out.
        lines
            .write_all(b"<11>Nov 21 10:00:00 h homeostat[1]: ERROR of its own\n")
            .await
            .expect("it can be sent");
        lines.write_all(b"<11>Nov 21 10:00:00 h bye: ERROR bye").await.expect("it can be sent");
        drop((lines, counted));
        for (service, n) in
            [("udp", 50), ("multi", 50), ("lines", 100), ("counted", 100), ("bye", 1), ("odd", 1)]
        {
            *truth.entry(service.to_owned()).or_default() += n;
        }
        let what = format!("{truth:?}");
        eventually(&what, PATIENCE, async || (counts(&db.store).await == truth).then_some(())).await;
        running.tasks.shutdown().await;
    }
    // Twice it began again: who knows what was sent meanwhile.
    let gaps = db.store.gaps(10).await.expect("the store answers");
    let reasons: Vec<&str> = gaps.iter().map(|gap| gap.reason.as_str()).collect();
    assert_eq!(reasons, ["homeostat did not listen"; 2]);
}

/// A run that ends by itself, or is killed, and the gaps that the next one notes.
#[tokio::test]
async fn a_start_is_a_gap_only_if_something_can_have_been_lost() {
    let any: Option<SocketAddr> = Some("127.0.0.1:0".parse().expect("an address"));
    let cases = [
        // Over UDP, is somebody connected, is it killed; gaps.
        (false, false, false, 0),
        (false, true, false, 1),
        (false, false, true, 1),
        (true, false, false, 1),
    ];
    for (is_udp, is_connected, is_killed, n_gaps) in cases {
        let db = Db::sqlite().await;
        let folder = tempfile::tempdir().expect("a folder can be made");
        let udp = any.filter(|_| is_udp);
        let settings = Settings { udp, tcp: any, folder: folder.path().join("spool"), max_bytes: 64 << 20 };
        for round in 0..2_u64 {
            let sockets = Sockets::bind((udp, any)).await.expect("free ports");
            let tcp = sockets.tcp.as_ref().expect("it was asked for").local_addr().expect("it is bound");
            let (settings, shutdown) = (settings.clone(), Shutdown::new());
            let (stop, has_ended) = (shutdown.clone(), Arc::new(Notify::new()));
            let ended = Arc::clone(&has_ended);
            let mut tasks = watch(&db.store, |outlet| async move {
                syslog::run(settings, sockets, outlet, SystemClock::shared(), stop).await;
                ended.notify_one();
            });
            let mut connection = TcpStream::connect(tcp).await.expect("it listens");
            let line = format!("<11>Nov 21 10:00:00 h shop[7]: ERROR order {round} failed\n");
            connection.write_all(line.as_bytes()).await.expect("it can be sent");
            if !is_connected {
                connection.shutdown().await.expect("it can be closed");
                // Closed on the other side too: the conversation is over.
                assert_eq!(connection.read(&mut [0]).await.expect("it is closed"), 0);
            }
            eventually("the error", PATIENCE, async || {
                (counts(&db.store).await.get("shop") == Some(&(round + 1))).then_some(())
            })
            .await;
            if !is_killed {
                shutdown.request();
                has_ended.notified().await;
            }
            tasks.shutdown().await;
        }
        let gaps = db.store.gaps(10).await.expect("the store answers");
        assert_eq!(gaps.len(), n_gaps, "{is_udp} {is_connected} {is_killed}: {gaps:?}");
    }
}

/// Over TCP, whose senders learn nothing of what is lost on the way: a message may be taken by the system when homeostat is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbered_messages_are_counted_once_or_were_sent_to_nobody() {
    let db = Db::sqlite().await;
    let mut trail = Trail::new(seed());
    let mut random = fastrand::Rng::with_seed(seed());
    let folder = tempfile::tempdir().expect("a folder can be made");
    let mut store = db.opened_again().await;
    let mut running = start(&store, &folder).await;
    let mut connection: Option<TcpStream> = None;
    let mut sent = vec![SystemClock.now()];
    for _ in 0..n_actions(320) {
        match random.u8(0..40) {
            0..=2 => {
                running.tasks.shutdown().await;
                store = db.opened_again().await;
                running = start(&store, &folder).await;
                // A system that kills breaks it off; what is in it then is what may be lost.
                connection = None;
                trail.note("killed and started");
            }
            3 => connection = None,
            4 => db.be_away(Duration::from_millis(random.u64(0..200))).await,
            5..=20 => tokio::time::sleep(Duration::from_millis(random.u64(0..40))).await,
            _ => {
                let n = u32::try_from(sent.len()).expect("few");
                let is_trace = random.u8(0..4) == 0;
                let text = format!("<11>Nov 21 10:00:00 h shop[7]: {}", lines(n, is_trace));
                let text = if is_trace { text.trim_end().replace('\n', "#012") + "\n" } else { text };
                trail.note(format!("send {n}"));
                sent.push(SystemClock.now());
                loop {
                    if connection.is_none() {
                        connection = Some(TcpStream::connect(&running.tcp).await.expect("it listens"));
                    }
                    let written = match &mut connection {
                        Some(connection) => connection.write_all(text.as_bytes()).await.is_ok(),
                        None => false,
                    };
                    if written {
                        break;
                    }
                    connection = None;
                }
            }
        }
    }
    drop(connection);
    let n = u32::try_from(sent.len()).expect("few");
    let mut last = TcpStream::connect(&running.tcp).await.expect("it listens");
    sent.push(SystemClock.now());
    last.write_all(format!("<11>Nov 21 10:00:00 h shop: {}", lines(n, false)).as_bytes())
        .await
        .expect("it is sent");
    drop(last);
    // What was sent over another connection may be on its way still.
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        let (counts, told) = found(&store, &sent).await;
        let is_told = |number| told.iter().any(|gap| gap.after < number && number < gap.before);
        if (1..=n).all(|number| counts.contains_key(&number) || is_told(number)) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    running.tasks.shutdown().await;
    let (counts, told) = found(&store, &sent).await;
    check(&counts, n, &(1..=n).collect(), &told);
}

/// What was counted, and what the gaps tell.
async fn found(store: &Arc<dyn Store>, sent: &[Timestamp]) -> (BTreeMap<u32, u64>, Vec<Between>) {
    let counts = counted(store).await.into_iter().map(|(number, it)| (number, it.count)).collect();
    let gaps = store.gaps(ALL).await.expect("the store answers");
    (counts, gaps.iter().map(|gap| between(gap, sent)).collect())
}

/// Numbers that were sent in the time of a gap, or just before it: what is on the way was sent before it is taken.
fn between(gap: &Gap, sent: &[Timestamp]) -> Between {
    let time = |text: &str| text.parse::<Timestamp>().expect("a time");
    let from = gap.from.parse::<Timestamp>().ok().and_then(|it| it.checked_sub(Duration::from_secs(1)).ok());
    let to = time(&gap.to);
    let after = sent.iter().rposition(|at| from.is_some_and(|from| *at < from)).unwrap_or(0);
    let before = sent.iter().position(|at| *at > to).unwrap_or(sent.len());
    let number = |idx: usize| u32::try_from(idx).expect("few");
    Between { after: number(after), before: number(before) }
}
