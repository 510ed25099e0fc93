//! Containers that are stopped, started, renamed and made again while their logs are rotated, the engine goes away, and the daemon is killed.

#![expect(clippy::unwrap_used, reason = "a test says where it broke")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bollard::Docker;
use bollard::models::HostConfigLogConfig;
use bollard::query_parameters::{RenameContainerOptionsBuilder, StopContainerOptionsBuilder};
use homeostat::base::clock::Timestamp;
use homeostat::model::cursor::Gap;
use tokio::time::sleep;

use super::SHORT;
use super::daemon::Daemon;
use crate::store::given::Db;
use crate::support::chance::{n_actions, seed};
use crate::support::docker::{BUSYBOX, Launch, engine, output_of, remove};
use crate::support::link::Link;
use crate::support::name::unique;
use crate::support::numbered::{Between, Counted, Trail, check, number_in};
use crate::support::private_engine::PrivateEngine;
use crate::support::wait::{PATIENCE, eventually};

/// Numbers errors from FROM on: of six, five stand on stdout, and a trace on stderr. It ends when it is told to, with a whole six, and goes
/// on from there when it is started again.
const SCRIPT: &str = r#"
trap 'touch /stop' TERM
words() { sed 's/0/ba/g;s/1/ke/g;s/2/li/g;s/3/mo/g;s/4/nu/g;s/5/pa/g;s/6/ro/g;s/7/su/g;s/8/ti/g;s/9/vo/g'; }
rm -f /stop
# Who is to see it should have time to.
[ -e /n ] || sleep 3
i=$(cat /n 2>/dev/null || echo FROM)
while [ ! -e /stop ]; do
  seq $((i+1)) $((i+5)) | words | sed 's/.*/ERROR payment of order & failed/'
  i=$((i+6))
  w=$(echo $i | words)
  printf 'INFO all is well\nTraceback (most recent call last):\n  File "/app/%s.py", line 3, in %s\n    g()\nValueError: order %s is no number\n' $w $w $w >&2
  echo $i > /n
  sleep 0.0PAUSE
done
echo "INFO the numbers end at $i"
"#;

/// What the script prints before each trace.
const BEFORE_TRACE: &str = "INFO all is well\n";

/// How the engine keeps a log: driver, bytes of a file, files.
#[derive(Debug, Clone, Copy)]
struct Kept {
    driver: &'static str,
    max_size: &'static str,
    max_file: &'static str,
}

impl Kept {
    fn config(self) -> HostConfigLogConfig {
        let options = [("max-size", self.max_size), ("max-file", self.max_file), ("compress", "true")];
        let options = options.map(|(key, value)| (key.to_owned(), value.to_owned()));
        HostConfigLogConfig { typ: Some(self.driver.to_owned()), config: Some(options.into()) }
    }
}

/// A container that was there, with the numbers it has written.
struct Run {
    id: String,
    from: u32,
    to: u32,
}

struct World {
    docker: Docker,
    name: String,
    kept: Kept,
    runs: Vec<Run>,
    is_stopped: bool,
    random: fastrand::Rng,
}

impl World {
    /// Nothing yet: what is older than homeostat is not read from its beginning.
    fn new(docker: Docker, kept: Kept, random: fastrand::Rng) -> Self {
        Self { docker, name: unique("conserve"), kept, runs: Vec::new(), is_stopped: true, random }
    }

    fn watched(&self) -> String {
        let name = &self.name;
        format!(
            "[docker.include]\nnames = [\"{name}*\"]\n[[service]]\nname = \"shop\"\ncontainers = [\"{name}*\"]\nroute = \"ignore\"\n"
        )
    }

    fn id(&self) -> &str {
        &self.runs.last().unwrap().id
    }

    async fn create(&mut self) {
        let from = self.runs.last().map_or(0, |run| run.to);
        let script =
            SCRIPT.replace("FROM", &from.to_string()).replace("PAUSE", &self.random.u8(1..9).to_string());
        let kept = self.kept;
        let launch = Launch::shell(BUSYBOX, &script).name(&self.name).host(|host| {
            host.log_config = Some(kept.config());
            host.network_mode = Some("none".to_owned());
        });
        let id = launch.create_on(&self.docker).await;
        self.runs.push(Run { id, from, to: from });
        self.begin().await;
    }

    async fn begin(&mut self) {
        // An engine that has just come back may not be ready.
        eventually("the container starts", PATIENCE, async || {
            self.docker.start_container(self.id(), None).await.ok()
        })
        .await;
        self.is_stopped = false;
    }

    /// Lets it end by itself; the number it has reached is in its log.
    async fn end(&mut self) {
        let options = StopContainerOptionsBuilder::new().t(30).build();
        eventually("the container stops", PATIENCE, async || {
            self.docker.stop_container(self.id(), Some(options.clone())).await.ok()
        })
        .await;
        self.is_stopped = true;
        let (stdout, _) = output_of(&self.docker, self.id()).await;
        let (_, last) = stdout.rsplit_once("the numbers end at ").expect("it ended by itself");
        self.runs.last_mut().unwrap().to = last.trim().parse().unwrap();
    }

    async fn act(&mut self, daemon: &Daemon) -> String {
        match self.random.u8(0..4) {
            _ if self.is_stopped => {
                self.begin().await;
                "the container starts".to_owned()
            }
            0 | 1 => {
                self.end().await;
                format!("the container stops at {}", self.runs.last().unwrap().to)
            }
            2 => {
                let name = format!("{}-{}", self.name, self.random.u32(..));
                let name = [name.as_str(), self.name.as_str()];
                for name in name {
                    let options = RenameContainerOptionsBuilder::new().name(name).build();
                    self.docker.rename_container(self.id(), options).await.unwrap();
                }
                "the container is renamed, twice".to_owned()
            }
            // What is rotated away of a container that nobody ever saw leaves no trace.
            _ if !daemon.is_running() => "nobody would see another container".to_owned(),
            _ => {
                self.end().await;
                let old = format!("{}-{}", self.name, self.runs.len());
                let options = RenameContainerOptionsBuilder::new().name(&old).build();
                self.docker.rename_container(self.id(), options).await.unwrap();
                self.create().await;
                daemon.has_counted(self.runs.last().unwrap().from + 1).await;
                format!("another container from {} on", self.runs.last().unwrap().from)
            }
        }
    }

    /// Numbers that the engine does not have any more.
    async fn lost(&self) -> BTreeSet<u32> {
        let n = self.runs.last().unwrap().to;
        let mut lost: BTreeSet<u32> = (1..=n).collect();
        for run in &self.runs {
            let (stdout, stderr) = output_of(&self.docker, &run.id).await;
            // Of the oldest trace only the end may be left.
            let traces = stderr.split(BEFORE_TRACE).skip(1).flat_map(str::lines);
            for number in stdout.lines().chain(traces).filter_map(number_in) {
                lost.remove(&number);
            }
        }
        lost
    }

    async fn remove(&self) {
        for run in &self.runs {
            remove(&self.docker, &run.id).await.unwrap();
        }
    }

    /// The numbers between which a gap lies: the last one counted before it began, the first one after it ended.
    fn between(&self, gap: &Gap, is_stderr: bool, counted: &BTreeMap<u32, Counted>) -> Option<Between> {
        let run = self.runs.iter().find(|run| gap.stream.0.contains(&run.id))?;
        // One without the name of a stream is of both.
        let is_of_other = gap.stream.0.ends_with(if is_stderr { ":stdout" } else { ":stderr" });
        if is_of_other {
            return None;
        }
        let of_stream = |number: &u32| {
            (*number > run.from) && (*number <= run.to) && number.is_multiple_of(6) == is_stderr
        };
        let of_stream: Vec<_> = counted.iter().filter(|(number, _)| of_stream(number)).collect();
        let (from, to) = (gap.from.parse::<Timestamp>().ok(), gap.to.parse::<Timestamp>().ok()?);
        let after = of_stream.iter().rev().find(|(_, it)| from.is_some_and(|from| it.at <= from));
        let before = of_stream.iter().find(|(_, it)| it.at >= to);
        Some(Between {
            after: after.map_or(run.from, |(number, _)| **number),
            before: before.map_or(run.to + 1, |(number, _)| **number),
        })
    }
}

/// Ends the story: all that was written is counted, or lies in a gap that its stream has.
async fn settle(mut world: World, mut daemon: Daemon, mut trail: Trail) {
    if !world.is_stopped {
        world.end().await;
    }
    let n = world.runs.last().unwrap().to;
    trail.note(format!("the end, at {n}"));
    let lost = world.lost().await;
    daemon.has_counted_all((1..=n).filter(|number| !lost.contains(number))).await;
    let (counted, gaps) = daemon.end(n, &mut trail).await;
    // One stream at a time.
    for is_stderr in [false, true] {
        let of_stream = |number: &u32| number.is_multiple_of(6) == is_stderr;
        let told: Vec<Between> =
            gaps.iter().filter_map(|gap| world.between(gap, is_stderr, &counted)).collect();
        let counts =
            counted.iter().filter(|(number, _)| of_stream(number)).map(|(number, it)| (*number, it.count));
        let mut counts: BTreeMap<u32, u64> = counts.collect();
        // What the other stream has is no business of this one.
        counts.extend((1..=n).filter(|number| !of_stream(number)).map(|number| (number, 1)));
        check(&counts, n, &lost, &told);
    }
    for gap in &gaps {
        assert_eq!(gap.reason, "rotated away before it was read", "{gap:?}");
    }
    world.remove().await;
}

async fn pause(random: &mut fastrand::Rng, trail: &mut Trail) {
    let pause = Duration::from_millis(random.u64(0..80));
    sleep(pause).await;
    trail.note(format!("pause {pause:?}"));
}

/// Two files of 40 kB: what is written while homeostat is away may be rotated away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_engines_small_files_are_counted_once_or_lie_in_a_gap() {
    let mut trail = Trail::new(seed());
    let mut random = fastrand::Rng::with_seed(seed());
    let kept = Kept { driver: "json-file", max_size: "40k", max_file: "2" };
    let mut world = World::new(engine(), kept, random.fork());
    let mut daemon = Daemon::start(Db::sqlite().await, &world.watched()).await;
    world.create().await;
    daemon.has_counted(1).await;
    for _ in 0..n_actions(SHORT) {
        match random.u8(0..40) {
            0..=3 => daemon.act(&mut random, &mut trail).await,
            4..=5 => trail.note(world.act(&daemon).await),
            _ => pause(&mut random, &mut trail).await,
        }
    }
    settle(world, daemon, trail).await;
}

/// A driver whose files only the engine reads, over a connection that breaks. A follower of a log that the engine rotates just then is
/// given less than there is, or the same again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_over_the_api_is_counted_once_or_lies_in_a_gap() {
    let mut trail = Trail::new(seed());
    let mut random = fastrand::Rng::with_seed(seed());
    let kept = Kept { driver: "local", max_size: "20k", max_file: "3" };
    let mut world = World::new(engine(), kept, random.fork());
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("docker.sock");
    let link = Link::unix(&socket, "/var/run/docker.sock".into());
    let watched = format!("[docker]\nhost = \"unix://{}\"\n{}", socket.display(), world.watched());
    let mut daemon = Daemon::start(Db::postgres().await, &watched).await;
    world.create().await;
    daemon.has_counted(1).await;
    for _ in 0..n_actions(SHORT) {
        match random.u8(0..40) {
            0..=2 => daemon.act(&mut random, &mut trail).await,
            3..=4 => {
                link.mend();
                trail.note(world.act(&daemon).await);
            }
            5..=6 => {
                link.cut(random.bool());
                trail.note("the connection is cut");
            }
            7..=12 => link.mend(),
            _ => pause(&mut random, &mut trail).await,
        }
    }
    link.mend();
    settle(world, daemon, trail).await;
}

/// An engine of its own that ends and begins again, with and without its containers living on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_that_restarts_is_no_gap() {
    let mut trail = Trail::new(seed());
    let mut random = fastrand::Rng::with_seed(seed());
    let mut private = PrivateEngine::start(random.bool()).await;
    let kept = Kept { driver: "json-file", max_size: "20k", max_file: "500" };
    let mut world = World::new(private.docker(), kept, random.fork());
    let watched = format!("[docker]\nhost = \"{}\"\n{}", private.host(), world.watched());
    let mut daemon = Daemon::start(Db::sqlite().await, &watched).await;
    world.create().await;
    daemon.has_counted(1).await;
    for _ in 0..n_actions(SHORT) {
        match random.u8(0..80) {
            0..=5 => daemon.act(&mut random, &mut trail).await,
            6..=10 => trail.note(world.act(&daemon).await),
            11 => {
                // Else its last words are written to nobody.
                if !world.is_stopped {
                    world.end().await;
                }
                let is_killed = random.bool();
                private.restart(is_killed).await;
                trail.note(format!("the engine restarts, killed: {is_killed}"));
            }
            _ => pause(&mut random, &mut trail).await,
        }
    }
    settle(world, daemon, trail).await;
    private.stop().await;
}
