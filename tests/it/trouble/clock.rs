//! A clock that is set, forward and back, while there is work.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::sync::Arc;

use homeostat::base::clock::{ManualClock, SharedClock, Timestamp};
use homeostat::base::shutdown::Shutdown;
use homeostat::watch::source::file::{self, Patterns};
use homeostat::watch::source::syslog::{self, Sockets};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::store::given::{Db, stories};
use crate::support::wait::{PATIENCE, eventually};
use crate::support::watching::{counts, watch_by};

stories!(a_clock_that_jumps_loses_and_doubles_nothing);

async fn a_clock_that_jumps_loses_and_doubles_nothing(db: Db) {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let log = folder.path().join("app.log");
    std::fs::write(&log, "").expect("there is room");
    let begin: Timestamp = "2026-11-21T10:00:00Z".parse().expect("a time");
    let clock = Arc::new(ManualClock::new(begin));
    let shared: SharedClock = Arc::clone(&clock) as SharedClock;
    let any = Some("127.0.0.1:0".parse().expect("an address"));
    let sockets = Sockets::bind((None, any)).await.expect("a free port");
    let address = sockets.tcp.as_ref().expect("it was asked for").local_addr().expect("it is bound");
    let settings =
        syslog::Settings { udp: None, tcp: any, folder: folder.path().join("spool"), max_bytes: 64 << 20 };
    let files = file::Settings {
        patterns: Patterns::new([log.to_str().expect("a plain name")]).expect("a pattern"),
        is_from_start: true,
        ..file::Settings::default()
    };
    let by = Arc::clone(&shared);
    let mut tasks = watch_by(&db.store, Arc::clone(&shared), |outlet| async move {
        let files = file::run(files, outlet.clone(), begin, Shutdown::new());
        tokio::join!(files, syslog::run(settings, sockets, outlet, by, Shutdown::new()));
    });
    let mut sender = TcpStream::connect(address).await.expect("it listens");
    let mut truth = BTreeMap::new();
    for (n, seconds) in [0i64, 3600, -3600, 86_400 * 400, -86_400 * 9000, 1, 0].into_iter().enumerate() {
        let now = begin.checked_add(jiff::SignedDuration::from_secs(seconds)).expect("a time");
        clock.set(now);
        let mut file = OpenOptions::new().append(true).open(&log).expect("the log is there");
        // Programs stamp their lines by the same clock.
        let text = format!(
            "{now} ERROR order failed\n{now} INFO fine\nTraceback (most recent call last):\n  File \"/a.py\", line 1, in a\n"
        );
        file.write_all(text.as_bytes()).expect("there is room");
        let message = format!("<11>1 {now} h shop - - - ERROR order failed\n");
        sender.write_all(message.as_bytes()).await.expect("it can be sent");
        file.write_all(b"ValueError: x\n").expect("there is room");
        *truth.entry("app".to_owned()).or_insert(0) += 2;
        *truth.entry("shop".to_owned()).or_insert(0) += 1;
        eventually(&format!("{truth:?} after jump {n}"), PATIENCE, async || {
            let counts = counts(&db.store).await;
            (counts.values().sum::<u64>() >= truth.values().sum::<u64>()).then_some(())
        })
        .await;
    }
    let counted = counts(&db.store).await;
    assert_eq!(counted.values().sum::<u64>(), truth.values().sum::<u64>(), "{counted:?}");
    assert_eq!(counted.get("shop"), truth.get("shop"));
    assert_eq!(db.store.gaps(10).await.expect("the store answers"), []);
    tasks.shutdown().await;
}
