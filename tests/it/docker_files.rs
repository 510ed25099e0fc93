//! The engine's own files: read through rotation and compression, on from any line, and by turns with the API.

use std::collections::HashMap;
use std::time::Duration;

use bollard::models::HostConfigLogConfig;
use homeostat::base::clock::{SystemClock, Timestamp};
use homeostat::base::shutdown::Shutdown;
use homeostat::model::cursor::Cursor;
use homeostat::watch::source::docker::{self, Patterns, Settings};
use homeostat::watch::source::lane::Outlet;

use crate::support::docker::{BUSYBOX, Container, Launch, engine};
use crate::support::streams::{Stream, Streams, answer};
use crate::support::wait::{PATIENCE, eventually};

/// Whether files or the API are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Files,
    Api,
}

/// Reads a container from the cursors on until `is_done`; what came of both its streams.
async fn read(
    container: &Container,
    way: Way,
    cursors: [Option<Cursor>; 2],
    is_done: impl Fn(&[Stream; 2]) -> bool,
) -> [Stream; 2] {
    let streams = Streams::default();
    let shutdown = Shutdown::new();
    let (outlet, openings) = Outlet::new();
    let keys = ["stdout", "stderr"].map(|name| format!("docker:{}:{name}", container.id));
    let known: HashMap<String, Cursor> =
        keys.iter().cloned().zip(cursors).filter_map(|(key, cursor)| Some((key, cursor?))).collect();
    tokio::spawn(answer(openings, streams.clone(), known));
    let name = globset::Glob::new(&container.name).expect("a glob").compile_matcher();
    let settings = Settings {
        include: Patterns { names: vec![name], ..Patterns::default() },
        list_every: Duration::from_secs(1),
        reads_files: way == Way::Files,
        ..Settings::default()
    };
    let clock = SystemClock::shared();
    let task = tokio::spawn(docker::run(settings, outlet, Timestamp::UNIX_EPOCH, clock, shutdown.clone()));
    let both = eventually("what is waited for", PATIENCE, async || {
        let both = keys.each_ref().map(|key| streams.get(key));
        is_done(&both).then_some(both)
    })
    .await;
    shutdown.request();
    task.await.expect("the source ends by itself").expect("the address is right");
    both
}

fn is_ended(streams: &[Stream; 2]) -> bool {
    streams.iter().all(|stream| stream.n_ends > 0)
}

/// A container that logs in files of this size.
fn rotating(script: &str, max_size: &str, max_file: &str, compress: &str) -> Launch {
    let options = [("max-size", max_size), ("max-file", max_file), ("compress", compress)];
    let options = options.map(|(key, value)| (key.to_owned(), value.to_owned()));
    Launch::shell(BUSYBOX, script).host(|host| {
        host.log_config =
            Some(HostConfigLogConfig { typ: Some("json-file".to_owned()), config: Some(options.into()) });
    })
}

fn numbered(what: &str, numbers: impl Iterator<Item = u32>) -> Vec<String> {
    numbers.map(|n| format!("{what} {n}")).collect()
}

#[tokio::test]
async fn either_way_goes_on_behind_the_other() {
    let script = "for i in $(seq 1 200); do echo out $i; echo err $i >&2; done; \
        head -c 40000 /dev/zero | tr '\\0' x; echo; for i in $(seq 201 300); do echo out $i; done; printf cut";
    let container = Launch::shell(BUSYBOX, script).start(&engine()).await;
    container.exit_code().await;
    let none = || [None, None];
    let by_api = read(&container, Way::Api, none(), is_ended).await;
    let by_file = read(&container, Way::Files, none(), is_ended).await;
    assert_eq!((by_api[0].lines.len(), by_api[1].lines.len()), (302, 200));
    for stream in [0, 1] {
        assert_eq!(by_file[stream].lines, by_api[stream].lines);
        let times = |stream: &Stream| stream.cursors.iter().map(time_of).collect::<Vec<_>>();
        assert_eq!(times(&by_file[stream]), times(&by_api[stream]));
    }
    for (first, second) in [(Way::Api, Way::Files), (Way::Files, Way::Api), (Way::Files, Way::Files)] {
        let all = if first == Way::Api { &by_api } else { &by_file };
        for (n_stdout, n_stderr) in [(1, 199), (100, 1), (200, 200), (201, 7), (302, 200)] {
            let cursors =
                [all[0].cursors[n_stdout - 1].clone(), all[1].cursors[n_stderr - 1].clone()].map(Some);
            let rest = read(&container, second, cursors, is_ended).await;
            assert_eq!(rest[0].lines, all[0].lines[n_stdout..], "{first:?} {second:?} {n_stdout}");
            assert_eq!(rest[1].lines, all[1].lines[n_stderr..], "{first:?} {second:?} {n_stderr}");
        }
    }
}

fn time_of(cursor: &Cursor) -> (i64, u32) {
    match *cursor {
        Cursor::Docker { nanos, n_at_nanos, .. } => (nanos, n_at_nanos),
        Cursor::File { .. } | Cursor::Mixed { .. } => (0, 0),
    }
}

#[tokio::test]
async fn rotated_and_compressed_files_are_read_live_and_afterwards() {
    let script =
        "for i in $(seq 1 4000); do echo line $i of this log; [ $((i % 200)) = 0 ] && sleep 0.1; done";
    let container = rotating(script, "100k", "5", "true").start(&engine()).await;
    let expected: Vec<String> = (1..=4000).map(|n| format!("line {n} of this log")).collect();
    let live = read(&container, Way::Files, [None, None], is_ended).await;
    assert_eq!((&live[0].lines, &live[0].losses), (&expected, &vec![]));
    container.exit_code().await;
    for n in [1, 700, 1500, 2800, 3999] {
        let cursors = [live[0].cursors[n - 1].clone(), live[1].start.clone().unwrap()].map(Some);
        let rest = read(&container, Way::Files, cursors, is_ended).await;
        assert_eq!((rest[0].lines.as_slice(), &rest[0].losses), (&expected[n..], &vec![]), "after line {n}");
    }
}

#[tokio::test]
async fn what_was_rotated_away_unread_is_a_loss() {
    let script =
        "echo line 1; while [ ! -e /go ]; do sleep 0.05; done; for i in $(seq 2 2000); do echo line $i; done";
    let container = rotating(script, "20k", "2", "false").start(&engine()).await;
    let first = read(&container, Way::Files, [None, None], |it| !it[0].lines.is_empty()).await;
    container.run("touch /go").await;
    container.exit_code().await;
    let cursors = [first[0].cursors[0].clone(), first[1].start.clone().unwrap()].map(Some);
    let rest = read(&container, Way::Files, cursors, is_ended).await;
    assert_eq!(rest[0].losses, ["rotated away before it was read"]);
    let n_kept = u32::try_from(rest[0].lines.len()).unwrap();
    assert!((100..1900).contains(&n_kept), "{n_kept}");
    assert_eq!(rest[0].lines, numbered("line", 2001 - n_kept..=2000));
}

#[tokio::test]
async fn a_container_that_is_removed_is_read_to_its_end() {
    let script = "i=0; while :; do i=$((i+1)); echo line $i; [ $((i % 50)) = 0 ] && sleep 0.02; done";
    let container = rotating(script, "50m", "2", "false").start(&engine()).await;
    let reading = read(&container, Way::Files, [None, None], is_ended);
    let removing = async {
        container.wait_for_output("line 1000\n").await;
        container.remove().await;
    };
    let (both, ()) = tokio::join!(reading, removing);
    let n_lines = u32::try_from(both[0].lines.len()).unwrap();
    assert!(n_lines >= 1000);
    assert_eq!((&both[0].lines, &both[0].losses), (&numbered("line", 1..=n_lines), &vec![]));
}
