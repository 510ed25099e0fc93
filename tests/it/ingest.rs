//! Occurrences and cursors across kills: a container with five bugs, read through the Docker source and the whole pipeline into a real
//! store, with everything dropped at random moments. Counts are exact.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::query_parameters::LogsOptionsBuilder;
use futures_util::TryStreamExt;
use homeostat::base::clock::{SystemClock, Timestamp};
use homeostat::base::shutdown::Shutdown;
use homeostat::model::cursor::{Cursor, StreamKey};
use homeostat::model::job::JobKind;
use homeostat::store::Store;
use homeostat::store::types::{IssueFilter, JobFilter};
use homeostat::watch::ingest::services::{self, ServiceMap};
use homeostat::watch::ingest::{self, IngestParts};
use homeostat::watch::source::docker::{self, Patterns, Settings};
use homeostat::watch::source::lane::Outlet;
use homeostat::watch::triage;
use tokio::task::JoinSet;

use crate::store::given::{Db, stories};
use crate::support::docker::{BUSYBOX, Container, Launch, engine};
use crate::support::wait::eventually;
use crate::support::watching::PIPELINE;

/// A loaded machine takes its time over a thousand errors.
const LONG: Duration = Duration::from_secs(180);

/// Prints fifty rounds of five bugs, twenty errors each, with what differs from time to time: order numbers, addresses, threads. Each trace is
/// whole on one stream; some follow one another directly, some stand between other lines.
const FIVE_BUGS: &str = r#"
python() {
  echo "Traceback (most recent call last):"
  echo '  File "/app/shop/orders.py", line 42, in total'
  echo '    return amount / count'
  echo '           ~~~~~~~^~~~~~~'
  echo "ZeroDivisionError: order $1 has no items"
}
java() {
  printf '2026-11-21 10:00:%02d ERROR request %s failed\n' "$((i % 60))" "$1"
  echo "java.lang.IllegalStateException: no stock for item $1"
  printf '\tat com.acme.stock.Shelf.take(Shelf.java:88)\n\tat com.acme.stock.Main.main(Main.java:12)\n'
  echo "Caused by: java.io.IOException: shelf $1 is locked"
  printf '\tat com.acme.stock.Lock.open(Lock.java:17)\n\t... 2 more\n'
}
node() {
  echo "TypeError: Cannot read properties of undefined (reading 'id')"
  echo "    at Cart.find (/app/src/cart.js:14:22)"
  echo "    at handle (/app/src/server.js:$((i + 30)):9)"
  echo "    at process.processTicksAndRejections (node:internal/process/task_queues:95:5)"
}
go() {
  echo "panic: runtime error: index out of range [$1] with length 3"
  echo
  echo "goroutine $((i + 1)) [running]:"
  printf 'main.pick(0xc000012%03d)\n\t/app/main.go:17 +0x1d\nmain.main()\n\t/app/main.go:9 +0x5c\n' "$i"
  echo "exit status 2"
}
rust() {
  echo "thread 'worker-$1' ($((i + 400))) panicked at src/cart.rs:41:9:"
  echo "called \`Option::unwrap()\` on a \`None\` value"
  echo "stack backtrace:"
  printf '   0: core::option::unwrap_failed\n             at /rustc/5980/library/core/src/option.rs:2040:5\n'
  printf '   1: shop::cart::total\n             at ./src/cart.rs:41:9\n'
}
i=0
while [ $i -lt 50 ]; do
  i=$((i + 1))
  echo "request $i handled in $i ms"
  for n in 1 2 3 4 5; do python $i$n; done
  for n in 1 2 3; do java $i$n >&2; done
  for n in 1 2 3; do node $n; echo "request $n handled" ; node $n; done
  echo "request $i handled" >&2
  for n in 1 2; do go $i$n >&2; echo "started again" >&2; done
  for n in 1 2 3 4; do rust $n; done
  PAUSE
done
echo "bye"
echo "bye" >&2
"#;

/// What the script must give: runtime and count.
const EXPECTED: [(&str, u64); 5] = [("go", 100), ("jvm", 150), ("node", 300), ("python", 250), ("rust", 200)];

/// A container that runs [`FIVE_BUGS`], resting for `pause` after each round.
async fn five_bugs(pause: &str) -> Container {
    Launch::shell(BUSYBOX, &FIVE_BUGS.replace("PAUSE", pause)).create(&engine()).await
}

/// The watching half over a store, as the daemon runs it.
#[derive(Debug)]
struct Watching {
    tasks: JoinSet<()>,
    shutdown: Shutdown,
}

impl Watching {
    fn start(store: &Arc<dyn Store>, container: &Container) -> Self {
        let shutdown = Shutdown::new();
        let (outlet, openings) = Outlet::new();
        let parts = IngestParts {
            store: Arc::clone(store),
            pipeline: PIPELINE.clone(),
            services: Arc::new(ServiceMap::new(services::Settings::default())),
            triage: triage::Settings::default(),
            clock: SystemClock::shared(),
        };
        let name = globset::Glob::new(&container.name).expect("a name is a glob").compile_matcher();
        let settings = Settings {
            include: Patterns { names: vec![name], ..Patterns::default() },
            list_every: Duration::from_secs(1),
            ..Settings::default()
        };
        let mut tasks = JoinSet::new();
        let clock = SystemClock::shared();
        let source = docker::run(settings, outlet, Timestamp::UNIX_EPOCH, clock, shutdown.clone());
        tasks.spawn(async { source.await.expect("the address is right") });
        let run = ingest::run(parts, openings, shutdown.clone());
        tasks.spawn(async { run.await.expect("the store takes it") });
        Self { tasks, shutdown }
    }

    async fn stop(mut self) {
        self.shutdown.request();
        while let Some(ended) = self.tasks.join_next().await {
            ended.expect("no task breaks");
        }
    }

    /// Drops everything where it stands.
    async fn kill(mut self) {
        self.tasks.shutdown().await;
    }
}

/// Waits until both streams are committed to the container's last line.
async fn wait_for_the_end(store: &Arc<dyn Store>, container: &Container) {
    container.exit_code().await;
    for stream in ["stdout", "stderr"] {
        let last = last_nanos(container, stream == "stderr").await;
        let key = StreamKey(format!("docker:{}:{stream}", container.id));
        eventually(&format!("the last line of {stream}"), LONG, async || {
            match store.cursor(&key).await.ok()?? {
                Cursor::Docker { nanos, .. } => (nanos == last).then_some(()),
                Cursor::File { .. } | Cursor::Mixed { .. } => None,
            }
        })
        .await;
    }
}

/// The engine's time of a stream's last line.
async fn last_nanos(container: &Container, is_stderr: bool) -> i64 {
    let options = LogsOptionsBuilder::new().stdout(!is_stderr).stderr(is_stderr).timestamps(true).build();
    let frames: Vec<LogOutput> =
        engine().logs(&container.id, Some(options)).try_collect().await.expect("the log can be read");
    let line = frames.last().expect("a line").to_string();
    let time: Timestamp = line.split(' ').next().and_then(|time| time.parse().ok()).expect("a time");
    i64::try_from(time.as_nanosecond()).expect("a time of this age")
}

/// Issues by runtime with their counts, of all rules.
async fn counts(store: &Arc<dyn Store>, service: &str) -> Vec<(String, String, u64)> {
    let filter = IssueFilter {
        service: Some(service.to_owned()),
        with_counted: true,
        limit: 100,
        ..IssueFilter::default()
    };
    let issues = store.issues(&filter).await.expect("the store answers");
    let mut counts: Vec<_> =
        issues.into_iter().map(|it| (it.runtime.name().to_owned(), it.title, it.count)).collect();
    counts.sort();
    counts
}

/// Compares with [`EXPECTED`], and looks for exactly one ticket for each issue.
async fn check(store: &Arc<dyn Store>, container: &Container) {
    let counts = counts(store, &container.name).await;
    let by_runtime: Vec<(&str, u64)> =
        counts.iter().map(|(runtime, _, count)| (runtime.as_str(), *count)).collect();
    assert_eq!(by_runtime, EXPECTED, "{counts:#?}");
    let filter = JobFilter { kind: Some(JobKind::Ticket), limit: 100, ..JobFilter::default() };
    let mut tickets: BTreeMap<_, u32> = BTreeMap::new();
    for job in store.jobs(&filter).await.expect("the store answers") {
        *tickets.entry(job.issue).or_default() += 1;
    }
    assert_eq!(tickets.into_values().collect::<Vec<u32>>(), [1; 5]);
    assert_eq!(store.gaps(10).await.expect("the store answers"), []);
}

stories!(
    a_thousand_errors_of_five_bugs_are_five_issues,
    counts_are_exact_when_everything_is_dropped_at_random,
);

async fn a_thousand_errors_of_five_bugs_are_five_issues(db: Db) {
    let container = five_bugs(":").await;
    let watching = Watching::start(&db.store, &container);
    container.start().await;
    wait_for_the_end(&db.store, &container).await;
    check(&db.store, &container).await;
    watching.stop().await;
    check(&db.store, &container).await;
}

async fn counts_are_exact_when_everything_is_dropped_at_random(db: Db) {
    let container = five_bugs("sleep 0.05").await;
    container.start().await;
    for _ in 0..6 {
        let store = db.opened_again().await;
        let watching = Watching::start(&store, &container);
        tokio::time::sleep(Duration::from_millis(fastrand::u64(50..1200))).await;
        watching.kill().await;
        // Nothing of this run is still at work: as after a kill of the process.
        store.close().await;
    }
    let watching = Watching::start(&db.store, &container);
    wait_for_the_end(&db.store, &container).await;
    check(&db.store, &container).await;
    watching.stop().await;
}

/// The server ends all connections again and again: every commit in flight may or may not have happened.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counts_are_exact_when_the_database_breaks_off() {
    let db = Db::postgres().await;
    let container = five_bugs("sleep 0.02").await;
    let watching = Watching::start(&db.store, &container);
    container.start().await;
    for _ in 0..15 {
        break_connections(&db.url).await;
        tokio::time::sleep(Duration::from_millis(fastrand::u64(20..200))).await;
    }
    wait_for_the_end(&db.store, &container).await;
    check(&db.store, &container).await;
    watching.stop().await;
}

/// A server with much to do, or one that somebody restarts, is asked again.
async fn break_connections(url: &str) {
    let mut n_tries = 0;
    while let Err(error) = try_to_break_connections(url).await {
        n_tries += 1;
        assert!(n_tries < 100, "no connection could be ended: {error}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn try_to_break_connections(url: &str) -> Result<(), sqlx::Error> {
    use sqlx::{Connection, Executor};
    let mut connection = sqlx::PgConnection::connect(url).await?;
    let sql = "select pg_terminate_backend(pid) from pg_stat_activity \
        where datname = current_database() and pid <> pg_backend_pid()";
    connection.execute(sql).await?;
    connection.close().await
}
