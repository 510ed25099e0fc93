//! Real containers on a real engine: what the Docker source gives for them, line by line, across every way a container or an engine can
//! come and go.

use std::collections::HashMap;
use std::time::Duration;

use bollard::Docker;
use bollard::models::HostConfigLogConfig;
use homeostat::base::clock::{SystemClock, Timestamp};
use homeostat::base::shutdown::Shutdown;
use homeostat::model::cursor::Cursor;
use homeostat::watch::source::docker::{self, Patterns, Settings};
use homeostat::watch::source::lane::Outlet;
use tokio::task::JoinHandle;

use crate::support::docker::{BUSYBOX, Container, Launch, engine};
use crate::support::name::unique;
use crate::support::private_engine::PrivateEngine;
use crate::support::streams::{Stream, Streams, answer};
use crate::support::wait::{PATIENCE, eventually};

/// The stream of a container, empty if nothing came.
fn of(streams: &Streams, container: &Container, stream: &str) -> Stream {
    streams.get(&format!("docker:{}:{stream}", container.id))
}

/// Waits for the stream's last line.
async fn wait_for(streams: &Streams, container: &Container, stream: &str, last_line: &str) -> Stream {
    streams.wait_for(&format!("docker:{}:{stream}", container.id), last_line).await
}

/// A running source and what it has sent.
#[derive(Debug)]
struct Source {
    streams: Streams,
    shutdown: Shutdown,
    task: JoinHandle<()>,
}

impl Source {
    fn start(settings: Settings, first_run_at: Timestamp, cursors: HashMap<String, Cursor>) -> Self {
        let streams = Streams::default();
        let shutdown = Shutdown::new();
        let (outlet, openings) = Outlet::new();
        tokio::spawn(answer(openings, streams.clone(), cursors));
        let run = docker::run(settings, outlet, first_run_at, SystemClock::shared(), shutdown.clone());
        let task = tokio::spawn(async { run.await.expect("the address is right") });
        Self { streams, shutdown, task }
    }

    /// Watches the containers of these names only, each from its beginning.
    fn of_names(names: &[&str]) -> Self {
        Self::start(settings(names), Timestamp::UNIX_EPOCH, HashMap::new())
    }

    async fn stop(mut self) {
        self.shutdown.request();
        (&mut self.task).await.expect("the source ends by itself");
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.shutdown.request();
    }
}

fn settings(names: &[&str]) -> Settings {
    let names = names.iter().map(|name| globset::Glob::new(name).expect("a glob").compile_matcher());
    Settings {
        include: Patterns { names: names.collect(), ..Patterns::default() },
        list_every: Duration::from_secs(1),
        ..Settings::default()
    }
}

/// A log that only the engine reads, in files of this size, of which it keeps so many and packs all but the last.
fn rotated(max_size: &str, max_file: &str) -> HostConfigLogConfig {
    let options = [("max-size", max_size), ("max-file", max_file), ("compress", "true")];
    let options = options.map(|(key, value)| (key.to_owned(), value.to_owned()));
    HostConfigLogConfig { typ: Some("local".to_owned()), config: Some(options.into()) }
}

fn numbered(what: &str, numbers: impl Iterator<Item = u32>) -> Vec<String> {
    numbers.map(|n| format!("{what} {n}")).collect()
}

#[tokio::test]
async fn streams_are_apart_and_a_restart_goes_on_in_the_same_log() {
    let container = Launch::shell(
        BUSYBOX,
        "for i in $(seq 1 2000); do echo out $i; echo err $i >&2; done; echo done; echo done >&2; printf cut",
    )
    .create(&engine())
    .await;
    let source = Source::of_names(&[&container.name]);
    container.start().await;
    container.exit_code().await;
    let expected = |what: &str, tail: &[&str]| {
        let mut lines = numbered(what, 1..=2000);
        lines.extend(tail.iter().map(|it| (*it).to_owned()));
        lines
    };
    // The line without a line break is whole once the container has stopped.
    let stdout = wait_for(&source.streams, &container, "stdout", "cut").await;
    assert_eq!(stdout.lines, expected("out", &["done", "cut"]));
    let stderr = wait_for(&source.streams, &container, "stderr", "done").await;
    assert_eq!(stderr.lines, expected("err", &["done"]));

    container.start().await;
    container.exit_code().await;
    eventually("the second run", PATIENCE, async || {
        (of(&source.streams, &container, "stdout").lines.len() == 2 * 2002).then_some(())
    })
    .await;
    let twice = |mut lines: Vec<String>| {
        lines.extend(lines.clone());
        lines
    };
    assert_eq!(of(&source.streams, &container, "stdout").lines, twice(stdout.lines));
    let stderr_again = eventually("the end of the second run", PATIENCE, async || {
        let stream = of(&source.streams, &container, "stderr");
        (stream.n_ends == 2).then_some(stream)
    })
    .await;
    assert_eq!(stderr_again.lines, twice(stderr.lines));
    assert_eq!(stderr_again.losses, [""; 0]);
    source.stop().await;
}

#[tokio::test]
async fn what_the_engine_rotates_comes_once_over_its_api() {
    // A dozen files of which all but the last are packed while they are followed.
    let script = "sleep 1; i=0; while [ $i -lt 3000 ]; do seq $((i+1)) $((i+50)) | sed s/^/out\\ /; i=$((i+50)); echo err $i >&2; sleep 0.05; done; echo done; echo done >&2";
    let container = Launch::shell(BUSYBOX, script)
        .host(|host| host.log_config = Some(rotated("10k", "50")))
        .create(&engine())
        .await;
    let source = Source::of_names(&[&container.name]);
    container.start().await;
    let stdout = wait_for(&source.streams, &container, "stdout", "done").await;
    let stderr = wait_for(&source.streams, &container, "stderr", "done").await;
    let done = || ["done".to_owned()];
    assert_eq!(stdout.lines, [&numbered("out", 1..=3000)[..], &done()].concat());
    assert_eq!(stderr.lines, [&numbered("err", (50..=3000).step_by(50))[..], &done()].concat());
    assert_eq!((stdout.losses, stderr.losses), (vec![], vec![]));
    source.stop().await;
}

#[tokio::test]
async fn what_is_rotated_away_before_it_is_read_over_the_api_is_a_loss_and_the_rest_comes_once() {
    let script = "sleep 1; for i in 1 2 3; do seq $((i*20000-19999)) $((i*20000)) | sed s/^/out\\ /; sleep 0.$i; done; echo out 60001";
    let container = Launch::shell(BUSYBOX, script)
        .host(|host| host.log_config = Some(rotated("50k", "3")))
        .create(&engine())
        .await;
    let source = Source::of_names(&[&container.name]);
    container.start().await;
    let stream = eventually("the last line", PATIENCE, async || {
        let stream = of(&source.streams, &container, "stdout");
        (stream.lines.last()? == "out 60001").then_some(stream)
    })
    .await;
    let number = |line: &String| line.strip_prefix("out ").and_then(|it| it.parse::<u32>().ok());
    let numbers: Vec<u32> = stream.lines.iter().filter_map(number).collect();
    assert_eq!(numbers.len(), stream.lines.len());
    let holes = numbers.windows(2).filter(|pair| pair[1] != pair[0] + 1).count();
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    assert_eq!(stream.losses, vec!["rotated away before it was read"; holes]);
    source.stop().await;
}

#[tokio::test]
async fn a_stream_is_quiet_once_after_its_last_line() {
    let script = "echo one; sleep 1; echo two; sleep 1000";
    let container = Launch::shell(BUSYBOX, script).create(&engine()).await;
    let source = Source::of_names(&[&container.name]);
    container.start().await;
    let stdout = eventually("quiet", PATIENCE, async || {
        let stream = of(&source.streams, &container, "stdout");
        (stream.n_quiets > 0).then_some(stream)
    })
    .await;
    assert_eq!(stdout.lines, ["one", "two"]);
    assert_eq!((stdout.n_quiets, of(&source.streams, &container, "stderr").n_quiets), (1, 0));
    source.stop().await;
}

#[tokio::test]
async fn over_the_api_a_pause_is_told_long_before_silence_and_of_each_stream() {
    let container = Launch::shell(BUSYBOX, "echo one; sleep 1; echo two; sleep 1000").create(&engine()).await;
    let script = "echo error >&2; while :; do echo chat; sleep 0.01; done";
    let chatty = Launch::shell(BUSYBOX, script).create(&engine()).await;
    let names = [container.name.as_str(), chatty.name.as_str()];
    let source = Source::start(
        Settings { reads_files: false, ..settings(&names) },
        Timestamp::UNIX_EPOCH,
        HashMap::new(),
    );
    container.start().await;
    chatty.start().await;
    let stdout = eventually("quiet", PATIENCE, async || {
        let stream = of(&source.streams, &container, "stdout");
        (stream.n_quiets > 0).then_some(stream)
    })
    .await;
    assert_eq!((stdout.lines, stdout.n_pauses, stdout.n_quiets), (vec!["one".into(), "two".into()], 2, 1));
    // The other stream never stops.
    let stderr = eventually("quiet", PATIENCE, async || {
        let stream = of(&source.streams, &chatty, "stderr");
        (stream.n_quiets > 0).then_some(stream)
    })
    .await;
    assert_eq!((stderr.lines, stderr.n_pauses, stderr.n_quiets), (vec!["error".into()], 1, 1));
    assert_eq!(of(&source.streams, &chatty, "stdout").n_quiets, 0);
    source.stop().await;
}

#[tokio::test]
async fn a_source_that_starts_again_goes_on_after_any_line() {
    // Many lines share a nanosecond only by chance; the parts of a long line always do.
    let script = "for i in $(seq 1 300); do echo out $i; echo err $i >&2; done; \
        head -c 40000 /dev/zero | tr '\\0' x; echo; for i in $(seq 301 400); do echo out $i; done; printf cut";
    let container = Launch::shell(BUSYBOX, script).start(&engine()).await;
    container.exit_code().await;
    let first = Source::of_names(&[&container.name]);
    let stdout = wait_for(&first.streams, &container, "stdout", "cut").await;
    let stderr = wait_for(&first.streams, &container, "stderr", "err 300").await;
    first.stop().await;
    assert_eq!(stdout.lines[300].len(), 40_000);

    for (n_stdout, n_stderr) in [(1, 300), (150, 1), (300, 299), (301, 7), (302, 300), (402, 300)] {
        let cursors = HashMap::from([
            (format!("docker:{}:stdout", container.id), stdout.cursors[n_stdout - 1].clone()),
            (format!("docker:{}:stderr", container.id), stderr.cursors[n_stderr - 1].clone()),
        ]);
        let second = Source::start(settings(&[&container.name]), Timestamp::UNIX_EPOCH, cursors);
        let again = eventually("the end of the log", PATIENCE, async || {
            let streams =
                (of(&second.streams, &container, "stdout"), of(&second.streams, &container, "stderr"));
            (streams.0.n_ends == 1 && streams.1.n_ends == 1).then_some(streams)
        })
        .await;
        assert_eq!(again.0.lines, stdout.lines[n_stdout..], "after line {n_stdout} of stdout");
        assert_eq!(again.0.cursors, stdout.cursors[n_stdout..], "after line {n_stdout} of stdout");
        assert_eq!(again.1.lines, stderr.lines[n_stderr..], "after line {n_stderr} of stderr");
        second.stop().await;
    }
}

#[tokio::test]
async fn a_terminal_gives_one_stream_with_long_lines_whole() {
    let script = "echo first; head -c 50000 /dev/zero | tr '\\0' y; echo; echo error >&2; printf cut";
    let container = Launch::shell(BUSYBOX, script).tty().create(&engine()).await;
    let source = Source::of_names(&[&container.name]);
    container.start().await;
    let expected = ["first", &"y".repeat(50_000), "error", "cut"];
    let stream = wait_for(&source.streams, &container, "stdout", "cut").await;
    assert_eq!(stream.lines, expected);

    container.exit_code().await;
    container.start().await;
    let stream = eventually("the second run", PATIENCE, async || {
        let stream = of(&source.streams, &container, "stdout");
        (stream.n_ends == 2).then_some(stream)
    })
    .await;
    assert_eq!(stream.lines, [expected, expected].concat());
    assert_eq!(of(&source.streams, &container, "stderr"), Stream::default());
    source.stop().await;
}

#[tokio::test]
async fn short_lives_are_read_to_their_end() {
    let engine = engine();
    let prefix = unique("short");
    let source = Source::of_names(&[&format!("{prefix}-*")]);
    let script = "echo begin; sleep 0.2; for i in $(seq 1 50); do echo line $i; done; echo end >&2";
    let mut expected = vec!["begin".to_owned()];
    expected.extend(numbered("line", 1..=50));
    let mut kept = Vec::new();
    for n in 0..10 {
        let name = format!("{prefix}-{n}");
        // Every other one is removed by the engine as soon as it ends.
        let launch = Launch::shell(BUSYBOX, script).name(&name).host(|host| {
            host.auto_remove = Some(n % 2 == 0);
        });
        kept.push(launch.start(&engine).await);
    }
    for container in &kept {
        let stream = wait_for(&source.streams, container, "stdout", "line 50").await;
        assert_eq!(stream.lines, expected, "{}", container.name);
        wait_for(&source.streams, container, "stderr", "end").await;
    }
    for container in &kept {
        let losses = of(&source.streams, container, "stdout").losses;
        assert_eq!(losses, [""; 0], "{}", container.name);
    }
    source.stop().await;
}

#[tokio::test]
async fn a_recreated_container_is_another_one() {
    let engine = engine();
    let container = Launch::shell(BUSYBOX, "echo old; sleep 600").start(&engine).await;
    let source = Source::of_names(&[&container.name]);
    wait_for(&source.streams, &container, "stdout", "old").await;
    container.remove().await;
    let again = Launch::shell(BUSYBOX, "echo new; sleep 600").name(&container.name).start(&engine).await;
    wait_for(&source.streams, &again, "stdout", "new").await;
    assert_eq!(of(&source.streams, &container, "stdout").lines, ["old"]);
    // The old one ended, so that its open records are not held for ever.
    eventually("the end of the old one", PATIENCE, async || {
        (of(&source.streams, &container, "stdout").n_ends == 1).then_some(())
    })
    .await;
    source.stop().await;
}

#[tokio::test]
async fn an_old_container_is_read_from_now_or_as_far_back_as_asked() {
    let script = "echo old; while [ ! -e /go ]; do sleep 0.05; done; echo new; sleep 600";
    let container = Launch::shell(BUSYBOX, script).start(&engine()).await;
    container.wait_for_output("old").await;
    let now = homeostat::base::clock::Clock::now(&SystemClock);

    let from_now = Source::start(settings(&[&container.name]), now, HashMap::new());
    let lookback = Settings { lookback: Duration::from_secs(3600), ..settings(&[&container.name]) };
    let from_before = Source::start(lookback, now, HashMap::new());
    wait_for(&from_before.streams, &container, "stdout", "old").await;
    eventually("the place to start from", PATIENCE, async || {
        of(&from_now.streams, &container, "stdout").start
    })
    .await;
    touch(&container, "/go").await;
    let lines = wait_for(&from_now.streams, &container, "stdout", "new").await.lines;
    assert_eq!(lines, ["new"]);
    assert_eq!(wait_for(&from_before.streams, &container, "stdout", "new").await.lines, ["old", "new"]);
    from_now.stop().await;
    from_before.stop().await;
}

#[tokio::test]
async fn what_cannot_be_read_or_is_not_wanted_is_left() {
    let engine = engine();
    let prefix = unique("choice");
    let source = Source::of_names(&[&format!("{prefix}-*")]);
    let launch =
        |name: &str| Launch::shell(BUSYBOX, "echo hello; sleep 600").name(&format!("{prefix}-{name}"));
    let opted_out = launch("opted-out").label("homeostat.watch", "false").start(&engine).await;
    let sandbox = launch("sandbox").label("homeostat.job", "1").start(&engine).await;
    let no_driver = launch("none")
        .host(|host| {
            let config = bollard::models::HostConfigLogConfig { typ: Some("none".to_owned()), config: None };
            host.log_config = Some(config);
        })
        .start(&engine)
        .await;
    let watched = launch("watched").start(&engine).await;
    wait_for(&source.streams, &watched, "stdout", "hello").await;
    let losses = eventually("the loss", PATIENCE, async || {
        let losses = of(&source.streams, &no_driver, "stdout").losses;
        (!losses.is_empty()).then_some(losses)
    })
    .await;
    assert_eq!(losses, ["its log driver cannot be read"]);
    for container in [&opted_out, &sandbox] {
        assert!(source.streams.named(&container.name).is_empty(), "{}", container.name);
    }
    source.stop().await;
}

/// An engine of its own, stopped and killed while a container logs; with and without the containers living on.
#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_restarts_costs_no_line_it_kept() {
    for is_live_restore in [false, true] {
        let mut private = PrivateEngine::start(is_live_restore).await;
        let docker = private.docker();
        let name = unique("engine");
        let settings = Settings { host: Some(private.host()), ..settings(&[&name]) };
        let source = Source::start(settings, Timestamp::UNIX_EPOCH, HashMap::new());
        // Each run of the container numbers its lines from 1.
        let script =
            "trap 'echo stopped; exit 0' TERM; i=0; while :; do i=$((i+1)); echo line $i; sleep 0.01; done";
        let container = Launch::shell(BUSYBOX, script).name(&name).host(|host| {
            let policy = bollard::models::RestartPolicyNameEnum::ALWAYS;
            host.restart_policy =
                Some(bollard::models::RestartPolicy { name: Some(policy), maximum_retry_count: None });
            host.network_mode = Some("none".to_owned());
        });
        let container = container.create_on(&docker).await;
        docker.start_container(&container, None).await.expect("the container starts");

        for is_killed in [false, true] {
            let n_before = n_lines(&source, &container);
            eventually("more lines", PATIENCE, async || {
                (n_lines(&source, &container) > n_before + 30).then_some(())
            })
            .await;
            private.restart(is_killed).await;
        }
        let n_before = n_lines(&source, &container);
        eventually("lines after the restarts", PATIENCE, async || {
            (n_lines(&source, &container) > n_before + 30).then_some(())
        })
        .await;
        docker.kill_container(&container, None).await.expect("the container is killed");
        let lines = eventually("the end", PATIENCE, async || {
            let expected = engine_lines(&docker, &container).await;
            let lines = lines(&source, &container);
            (lines.len() >= expected.len()).then_some((lines, expected))
        })
        .await;
        assert_eq!(lines.0, lines.1, "live restore: {is_live_restore}");
        source.stop().await;
        private.stop().await;
    }
}

fn lines(source: &Source, id: &str) -> Vec<String> {
    source.streams.get(&format!("docker:{id}:stdout")).lines
}

fn n_lines(source: &Source, id: &str) -> usize {
    lines(source, id).len()
}

/// What the engine has kept.
async fn engine_lines(docker: &Docker, id: &str) -> Vec<String> {
    use futures_util::TryStreamExt;
    let options = bollard::query_parameters::LogsOptionsBuilder::new().stdout(true).build();
    let chunks: Vec<bollard::container::LogOutput> =
        docker.logs(id, Some(options)).try_collect().await.expect("the log can be read");
    let text: Vec<u8> = chunks.into_iter().flat_map(|chunk| chunk.into_bytes().to_vec()).collect();
    String::from_utf8_lossy(&text).lines().map(str::to_owned).collect()
}

/// Makes an empty file in a running container.
async fn touch(container: &Container, path: &str) {
    let engine = engine();
    let options = bollard::models::ExecConfig {
        cmd: Some(vec!["touch".to_owned(), path.to_owned()]),
        ..Default::default()
    };
    let exec = engine.create_exec(&container.id, options).await.expect("a command can be made");
    engine.start_exec(&exec.id, None).await.expect("a command can be run");
}
