//! A container prints 1,000 errors of five bugs; the daemon is killed five times meanwhile and still counts each exactly once.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;
use tokio::time::{Instant, sleep_until};

use crate::support::docker::{BUSYBOX, Launch, engine};
use crate::support::name::unique;
use crate::support::postgres::Database;
use crate::support::program::{Program, free_address, json_of};
use crate::support::wait::{PATIENCE, eventually};

/// (runtime, how often in each round, what it prints); `%s` is the number of the round.
const BUGS: [(&str, u64, &str); 5] = [
    (
        "python",
        2,
        "Traceback (most recent call last):\n  \
         File \"/srv/shop/worker.py\", line 88, in run\n    self.handle(order)\n  \
         File \"/srv/shop/orders.py\", line 31, in handle\n    voucher = lines[order.voucher]\n\
         KeyError: 'voucher-%s'\n",
    ),
    (
        "jvm",
        3,
        "Exception in thread \"worker-%s\" java.lang.IllegalStateException: cart is closed\n\
         \tat com.example.shop.Cart.add(Cart.java:41)\n\
         \tat com.example.shop.Checkout.run(Checkout.java:112)\n\
         \tat java.base/java.lang.Thread.run(Thread.java:1583)\n",
    ),
    (
        "node",
        4,
        "TypeError: Cannot read properties of undefined (reading 'price')\n    \
         at total (/srv/shop/cart.js:7:18)\n    \
         at checkout (/srv/shop/checkout.js:52:9)\n    \
         at process.processTicksAndRejections (node:internal/process/task_queues:95:5)\n",
    ),
    (
        "go",
        5,
        "panic: runtime error: index out of range [%s] with length 3\n\n\
         goroutine 1 [running]:\n\
         main.pick({0xc00001c0a8, 0x3, 0x3}, 0x7)\n\t/srv/shop/pick.go:17 +0x1d\n\
         main.main()\n\t/srv/shop/main.go:9 +0x45\n",
    ),
    (
        "rust",
        6,
        "thread 'main' panicked at src/stock.rs:27:10:\n\
         index out of bounds: the len is 3 but the index is %s\n\
         stack backtrace:\n   \
         0: rust_begin_unwind\n             at /rustc/abc/library/std/src/panicking.rs:645:5\n   \
         1: shop::stock::take\n             at ./src/stock.rs:27:10\n   \
         2: shop::main\n             at ./src/main.rs:6:5\n\
         note: Some details are omitted, run with `RUST_BACKTRACE=full` for a verbose backtrace.\n",
    ),
];

/// With 20 errors in each, 1,000 in all.
const N_ROUNDS: u64 = 50;
/// A fifth of a second's pause after each round.
const TAKES: Duration = Duration::from_secs(10);
const N_KILLS: usize = 5;

/// A shell script that prints the bugs of a round in turn, each whole on one stream; the streams swap with every round.
fn script() -> String {
    let mut script = format!("for i in $(seq 10 {}); do\n", N_ROUNDS + 9);
    script.push_str("if [ $((i % 2)) = 0 ]; then a=1 b=2; else a=2 b=1; fi\n");
    let most = BUGS.iter().map(|(_, n, _)| *n).max().unwrap_or(0);
    for turn in 0..most {
        script.push_str("echo \"order $i is handled\" >&$a\n");
        for (idx, (runtime, n, _)) in BUGS.iter().enumerate() {
            if turn < *n {
                let stream = if idx % 2 == 0 { "a" } else { "b" };
                writeln!(script, "printf \"$BUG_{runtime}\" $i >&${stream}").expect("a string takes it");
            }
        }
    }
    script.push_str("sleep 0.2\ndone\n");
    script
}

/// The daemon's config; it watches one container only.
fn write_config(folder: &Path, database: &str, container: &str) -> String {
    let address = free_address();
    let state = folder.join("state");
    let text = format!(
        "[state]\nfolder = \"{}\"\n{database}\n\
         [http]\nlisten = \"{address}\"\npublic_url = \"http://{address}\"\n\
         [docker.include]\nnames = [\"{container}\"]\n\
         [[service]]\nname = \"shop\"\ncontainers = [\"{container}\"]\nroute = \"ticket\"\n",
        state.display()
    );
    let file = folder.join("homeostat.toml");
    std::fs::write(&file, text).expect("the config can be written");
    file.to_str().expect("a temporary folder has a plain name").to_owned()
}

async fn start(config: &str, tmp: &Path) -> Program {
    let program = Program::start(&["run", "--config", config], tmp);
    program.line_with("homeostat is up", PATIENCE).await;
    program
}

/// (runtime, fingerprint) and count of every issue.
async fn counts(config: &str) -> BTreeMap<(String, String), u64> {
    let issues = json_of(&["issue", "list", "--json", "--all", "--config", config]).await;
    let count = |issue: &serde_json::Value| {
        let text = |key: &str| issue[key].as_str().expect("a text").to_owned();
        ((text("runtime"), text("fingerprint")), issue["count"].as_u64().expect("a number"))
    };
    issues.iter().map(count).collect()
}

async fn five_bugs_are_counted_exactly(folder: &TempDir, database: &str) {
    let name = unique("shop");
    let config = write_config(folder.path(), database, &name);
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    let mut kills: Vec<Duration> = (0..N_KILLS).map(|_| TAKES.mul_f64(random.f64())).collect();
    kills.sort();

    let mut program = start(&config, folder.path()).await;
    let mut launch = Launch::shell(BUSYBOX, &script()).name(&name);
    for (runtime, _, text) in BUGS {
        launch = launch.env(&format!("BUG_{runtime}"), text);
    }
    let container = launch.start(&engine()).await;
    let began = Instant::now();
    for kill in &kills {
        // The moment is the experiment: nothing is waited for.
        sleep_until(began + *kill).await;
        program.kill().await;
        program = Program::start(&["run", "--config", &config], folder.path());
    }
    assert_eq!(container.exit_code().await, 0);

    let expected: Vec<(String, u64)> = sorted(BUGS.map(|(runtime, n, _)| (runtime.to_owned(), n * N_ROUNDS)));
    let what = format!("1,000 errors after kills at {kills:?} (seed {seed})");
    eventually(&what, PATIENCE, async || {
        let counts = counts(&config).await;
        (counts.values().sum::<u64>() >= expected.iter().map(|(_, n)| n).sum()).then_some(())
    })
    .await;
    program.line_with("homeostat is up", PATIENCE).await;
    // Its end hands over whatever is still on the way: a count that is too high shows now.
    program.signal(Signal::TERM);
    program.ends_with(0, PATIENCE).await;
    let found = counts(&config).await;
    let by_runtime = sorted(found.iter().map(|((runtime, _), n)| (runtime.clone(), *n)));
    assert_eq!(by_runtime, expected, "{what}: {found:#?}");
}

fn sorted(counts: impl IntoIterator<Item = (String, u64)>) -> Vec<(String, u64)> {
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort();
    counts
}

#[tokio::test]
async fn a_thousand_errors_are_five_issues_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    five_bugs_are_counted_exactly(&folder, "").await;
}

#[tokio::test]
async fn a_thousand_errors_are_five_issues_on_postgres() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::create().await;
    let mut url: url::Url = database.url().parse().unwrap();
    let password = folder.path().join("password");
    std::fs::write(&password, url.password().unwrap_or_default()).unwrap();
    url.set_password(None).unwrap();
    let section =
        format!("[database]\nurl = \"{url}\"\npassword = {{ file = \"{}\" }}\n", password.display());
    five_bugs_are_counted_exactly(&folder, &section).await;
}
