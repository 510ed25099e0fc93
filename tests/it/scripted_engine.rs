//! The Docker source over a scripted engine: what a real one does too seldom for a test. Lost followers, Podman's forms, and more
//! containers than any machine has.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use homeostat::base::clock::{SystemClock, Timestamp};
use homeostat::base::shutdown::Shutdown;
use homeostat::model::cursor::Cursor;
use homeostat::watch::source::docker::{self, Settings};
use homeostat::watch::source::lane::Outlet;
use tokio::task::JoinHandle;

use crate::support::engine::{Scripted, ScriptedEngine};
use crate::support::program::{Program, free_address};
use crate::support::streams::{Stream, Streams, answer};
use crate::support::wait::{PATIENCE, eventually};

fn start(engine: &ScriptedEngine, cursors: HashMap<String, Cursor>) -> (Streams, Shutdown, JoinHandle<()>) {
    let (streams, shutdown) = (Streams::default(), Shutdown::new());
    let (outlet, openings) = Outlet::new();
    tokio::spawn(answer(openings, streams.clone(), cursors));
    let settings = Settings {
        host: Some(engine.host()),
        list_every: Duration::from_millis(500),
        stall_check: Duration::from_millis(100),
        ..Settings::default()
    };
    let run = docker::run(settings, outlet, Timestamp::UNIX_EPOCH, SystemClock::shared(), shutdown.clone());
    let task = tokio::spawn(async { run.await.expect("the address is right") });
    (streams, shutdown, task)
}

fn id(n: u32) -> String {
    format!("{n:064x}")
}

fn key(n: u32, stream: &str) -> String {
    format!("docker:{}:{stream}", id(n))
}

#[tokio::test]
async fn a_follower_that_the_engine_has_lost_asks_again() {
    let engine = ScriptedEngine::start();
    let line =
        |n: u32| (1, format!("2026-11-21T10:00:{n:02}.000000000Z"), format!("line {n}\n").into_bytes());
    engine.lose_follower_after(2);
    let log = (1..=5).map(line).collect();
    engine.put(&id(1), Scripted { name: "web".to_owned(), is_running: true, log, ..Scripted::default() });
    let (streams, shutdown, task) = start(&engine, HashMap::new());
    let stream = streams.wait_for(&key(1, "stdout"), "line 5").await;
    let expected: Vec<String> = (1..=5).map(|n| format!("line {n}")).collect();
    assert_eq!(stream.lines, expected);
    assert_eq!(stream.losses, [""; 0]);
    assert_eq!(engine.n_followers(), 2);
    shutdown.request();
    task.await.expect("it ends by itself");
}

/// What Podman's engine writes otherwise: times in the zone of its machine, parts of 8 KiB with times of their own, `remove` for `destroy`,
/// a log file of another format.
#[tokio::test]
async fn podman_is_read_like_docker() {
    let engine = ScriptedEngine::start();
    let part = "x".repeat(8 << 10);
    let frame = |device: u8, nanos: u32, text: &str| {
        (device, format!("2026-11-21T15:30:00.{nanos:09}+05:30"), text.as_bytes().to_vec())
    };
    let log = vec![
        frame(1, 1, "first\n"),
        frame(1, 2, &part),
        frame(2, 3, "error\n"),
        frame(1, 4, &part),
        frame(1, 5, "end\n"),
        frame(1, 5, "again\n"),
        (1, "2026-11-21T15:30:01.000000000+05:30".to_owned(), b"odd \xff\0 bytes\n".to_vec()),
        (1, "2026-11-21T15:30:01.000000001+05:30".to_owned(), b"last".to_vec()),
    ];
    let container = Scripted { name: "web".to_owned(), log, ..Scripted::default() };
    engine.put(&id(1), container.clone());
    let (streams, shutdown, task) = start(&engine, HashMap::new());
    let is_ended = |it: &Stream| it.n_ends == 1;
    let both = eventually("both ends", PATIENCE, async || {
        let both = ["stdout", "stderr"].map(|stream| streams.get(&key(1, stream)));
        both.iter().all(is_ended).then_some(both)
    })
    .await;
    let long = format!("{part}{part}end");
    assert_eq!(both[0].lines, ["first", &long, "again", "odd \u{fffd}\0 bytes", "last"]);
    assert_eq!(both[1].lines, ["error"]);
    engine.remove(&id(1));
    engine.tell("remove", &id(1), &container).await;
    shutdown.request();
    task.await.expect("it ends by itself");

    // On from any line.
    engine.put(&id(1), container);
    for n_read in 1..both[0].lines.len() {
        let cursors = HashMap::from([
            (key(1, "stdout"), both[0].cursors[n_read - 1].clone()),
            (key(1, "stderr"), both[1].cursors[0].clone()),
        ]);
        let (streams, shutdown, task) = start(&engine, cursors);
        let again =
            eventually("the end", PATIENCE, async || Some(streams.get(&key(1, "stdout"))).filter(is_ended))
                .await;
        assert_eq!(again.lines, both[0].lines[n_read..], "after line {n_read}");
        shutdown.request();
        task.await.expect("it ends by itself");
    }
}

/// Memory a process has ever had at once, in MiB.
fn peak_mib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("Linux says so");
    let kib: u64 = line.split_whitespace().nth(1).and_then(|it| it.parse().ok()).expect("a number");
    kib >> 10
}

const N_CHURNED: u32 = 100_000;

/// Each container has other labels; one in a thousand is watched and logs an error.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_containers_come_and_go() {
    let engine = ScriptedEngine::start();
    let folder = tempfile::tempdir().expect("a folder can be made");
    let address = free_address();
    let config = folder.path().join("homeostat.toml");
    let text = format!(
        "[state]\nfolder = \"{}\"\n[http]\nlisten = \"{address}\"\n[docker]\nhost = \"{}\"\n[heal]\nenabled = false\n",
        folder.path().join("state").display(),
        engine.host()
    );
    std::fs::write(&config, text).expect("the config can be written");
    let config = config.to_str().expect("a plain name");
    let program = Program::start(&["run", "--config", config], folder.path());
    program.line_with("homeostat is up", PATIENCE).await;
    eventually("a listener", PATIENCE, async || engine.has_listeners().then_some(())).await;
    let before = peak_mib(program.pid());
    for n in 0..N_CHURNED {
        let mut labels: BTreeMap<String, String> = (0..8)
            .map(|m| (format!("label-{m}"), format!("value {n} of {m}, as it is on no other")))
            .collect();
        let is_watched = n % 1000 == 0;
        labels.insert("homeostat.watch".to_owned(), is_watched.to_string());
        let line = (2, "2026-11-21T10:00:00.000000000Z".to_owned(), b"error: order has failed\n".to_vec());
        let container = Scripted { name: format!("job-{n}"), labels, log: vec![line], is_running: false };
        if is_watched {
            engine.put(&id(n), container.clone());
        }
        for action in ["create", "start", "die", "destroy"] {
            if !is_watched || action != "destroy" {
                engine.tell(action, &id(n), &container).await;
            }
        }
    }
    let expected = f64::from(N_CHURNED / 1000);
    eventually("all errors", PATIENCE, async || {
        let answer = reqwest::get(format!("http://{address}/metrics")).await.ok()?.text().await.ok()?;
        let line = answer.lines().find(|it| it.starts_with("homeostat_stored_occurrences"))?;
        let n: f64 = line.rsplit_once(' ')?.1.parse().ok()?;
        assert!(n <= expected, "{n} of {expected}");
        (n >= expected).then_some(())
    })
    .await;
    let grown = peak_mib(program.pid()).saturating_sub(before);
    assert!(grown < 48, "memory grew by {grown} MiB");
    assert_eq!(program.n_lines_with(" WARN ") + program.n_lines_with(" ERROR "), 0);
}
