//! The journal source, over a scripted `journalctl` that follows, ends, is killed and forgets, and over files read by the real one.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use homeostat::base::shutdown::Shutdown;
use homeostat::store::Store;
use homeostat::watch::source::journal::{self, Settings};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tokio::task::JoinSet;

use crate::store::given::{Db, stories};
use crate::support::chance::{n_actions, seed};
use crate::support::wait::{PATIENCE, eventually};
use crate::support::watching::{counts, watch};

/// Prints entries of a file as `journalctl` does: the last one, or from a cursor on (from the first one that is left, if that is gone). It
/// follows in small steps, and ends when it is told to.
const JOURNALCTL: &str = r#"#!/bin/sh
file="HERE/entries"
cursor=
for argument; do
  case "$argument" in
    --lines=1) tail -n 1 "$file"; exit 0 ;;
    --cursor=*) cursor=${argument#--cursor=} ;;
    --output=json|--all|--quiet|--no-pager|--follow|--no-tail) ;;
    *) echo "what is $argument" >&2; exit 1 ;;
  esac
done
first=1
if [ -n "$cursor" ]; then
  at=$(grep -n -F "\"__CURSOR\":\"$cursor\"" "$file" | cut -d: -f1)
  [ -n "$at" ] && first=$at
fi
[ -e "HERE/gone" ] && { echo "no journal files were found" >&2; exit 1; }
exec tail -n "+$first" -f -s 0.05 "$file"
"#;

struct Journal {
    folder: tempfile::TempDir,
    n: u64,
}

impl Journal {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let journal = Self { folder, n: 0 };
        let script = JOURNALCTL.replace("HERE", &journal.folder.path().display().to_string());
        // Renamed into place: a file that is open for writing cannot be run.
        fs::write(journal.path("new"), script).expect("a file can be written");
        fs::set_permissions(journal.path("new"), fs::Permissions::from_mode(0o755)).expect("it is ours");
        fs::rename(journal.path("new"), journal.path("journalctl")).expect("it is ours");
        File::create(journal.path("entries")).expect("a file can be made");
        journal
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn log(&mut self, unit: &str, message: &str) {
        self.n += 1;
        let entry = json!({
            "__CURSOR": format!("s=1;i={}", self.n),
            "__REALTIME_TIMESTAMP": (1_795_232_769_000_000 + self.n * 1000).to_string(),
            "_SYSTEMD_UNIT": format!("{unit}.service"),
            "_PID": "7",
            "MESSAGE": message,
        });
        let mut file = File::options().append(true).open(self.path("entries")).expect("it is there");
        writeln!(file, "{entry}").expect("it can be written");
    }

    /// Ends the `journalctl` that runs just now.
    fn kill(&self) {
        let file = self.path("entries").display().to_string();
        for entry in fs::read_dir("/proc").expect("there is a /proc").flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|it| it.parse().ok()).and_then(Pid::from_raw)
            else {
                continue;
            };
            let arguments = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            if String::from_utf8_lossy(&arguments).contains(&file) {
                // It may have ended by itself.
                let _ = kill_process(pid, Signal::KILL);
            }
        }
    }

    fn start(&self, store: &Arc<dyn Store>) -> JoinSet<()> {
        let settings = Settings { program: self.path("journalctl"), ..Settings::default() };
        watch(store, |outlet| journal::run(settings, outlet, Shutdown::new()))
    }
}

async fn wait_for(store: &Arc<dyn Store>, truth: &BTreeMap<String, u64>) {
    let what = format!("{truth:?}, if chance began with {}", seed());
    eventually(&what, PATIENCE, async || (counts(store).await == *truth).then_some(())).await;
}

stories!(entries_are_counted_once_however_often_journalctl_and_homeostat_end);

async fn entries_are_counted_once_however_often_journalctl_and_homeostat_end(db: Db) {
    let mut journal = Journal::new();
    let mut random = fastrand::Rng::with_seed(seed());
    journal.log("old", "ERROR from before the first start");
    let mut store = db.opened_again().await;
    let mut tasks = journal.start(&store);
    let mut truth: BTreeMap<String, u64> = BTreeMap::new();
    // It begins at the end that the journal has now: that must be stored before anything is logged.
    let key = homeostat::model::cursor::StreamKey(format!("journal:{}", machine()));
    eventually("the first cursor", PATIENCE, async || store.cursor(&key).await.ok()?).await;
    for n in 0..n_actions(320) {
        match random.u8(0..6) {
            0 => journal.log("shop", "all is well"),
            1 => {
                for line in
                    ["Traceback (most recent call last):", "  File \"/a.py\", line 1, in a", "ValueError: x"]
                {
                    journal.log("traces", line);
                }
                *truth.entry("traces".to_owned()).or_default() += 1;
            }
            2 => journal.log("homeostat", "ERROR of its own"),
            _ => {
                let unit = ["shop", "bot"][random.usize(0..2)];
                journal.log(unit, &format!("ERROR order {n} failed"));
                *truth.entry(unit.to_owned()).or_default() += 1;
            }
        }
        if random.u8(0..10) == 0 {
            tokio::time::sleep(Duration::from_millis(random.u64(0..100))).await;
        }
        match random.u8(0..30) {
            0 => {
                tasks.shutdown().await;
                store = db.opened_again().await;
                tasks = journal.start(&store);
            }
            1 => journal.kill(),
            2 => db.be_away(Duration::from_millis(random.u64(0..200))).await,
            _ => {}
        }
    }
    wait_for(&store, &truth).await;
    assert_eq!(store.gaps(10).await.expect("the store answers"), []);
    tasks.shutdown().await;
}

fn machine() -> String {
    let id = fs::read_to_string("/etc/machine-id").unwrap_or_default();
    if id.trim().is_empty() { "local".to_owned() } else { id.trim().to_owned() }
}

#[tokio::test]
async fn a_journal_that_was_vacuumed_is_a_gap_and_one_that_is_away_is_waited_for() {
    let db = Db::sqlite().await;
    let mut journal = Journal::new();
    journal.log("shop", "ERROR from before the first start");
    let mut tasks = journal.start(&db.store);
    let key = homeostat::model::cursor::StreamKey(format!("journal:{}", machine()));
    eventually("the first cursor", PATIENCE, async || db.store.cursor(&key).await.ok()?).await;
    journal.log("shop", "ERROR order 1 failed");
    let mut truth = BTreeMap::from([("shop".to_owned(), 1)]);
    wait_for(&db.store, &truth).await;
    tasks.shutdown().await;
    journal.log("shop", "ERROR never read");
    fs::write(journal.path("entries"), "").expect("it is ours");
    fs::write(journal.path("gone"), "").expect("it is ours");
    journal.log("shop", "ERROR order 3 failed");
    let mut tasks = journal.start(&db.store);
    tokio::time::sleep(Duration::from_millis(200)).await;
    fs::remove_file(journal.path("gone")).expect("it is ours");
    truth.insert("shop".to_owned(), 2);
    wait_for(&db.store, &truth).await;
    let gaps = db.store.gaps(10).await.expect("the store answers");
    let gaps: Vec<_> =
        gaps.iter().map(|gap| (gap.from.as_str(), gap.to.as_str(), gap.reason.as_str())).collect();
    assert_eq!(gaps, [("s=1;i=2", "s=1;i=4", "the journal was cut before it was read")]);
    tasks.shutdown().await;
}

/// Writes entries into a file of the journal's own format.
fn write_journal(folder: &std::path::Path, numbers: std::ops::Range<u64>) {
    const CONVERT: &str = "/lib/systemd/systemd-journal-remote";
    let mut export = String::new();
    for n in numbers {
        let (micros, id) = (1_795_232_769_000_000 + n * 1000, "1123456789abcdef0123456789abcdef");
        export.push_str(&format!(
            "__CURSOR=s={id};i={n:x};b={id};m={n:x};t={micros:x};x=0\n__REALTIME_TIMESTAMP={micros}\n\
             __MONOTONIC_TIMESTAMP={n}\n_BOOT_ID={id}\n_SYSTEMD_UNIT=shop.service\nMESSAGE=ERROR order {n} failed\n\n"
        ));
    }
    let input = folder.join("export");
    fs::write(&input, export).expect("a file can be written");
    let mut convert = std::process::Command::new(CONVERT);
    convert.arg("-o").arg(folder.join("files/shop.journal")).arg(&input);
    let output = convert.output().expect("systemd-journal-remote runs: `scripts/setup test` installs it");
    assert!(output.status.success(), "{output:?}");
}

#[tokio::test]
async fn files_are_read_with_the_real_journalctl() {
    let db = Db::sqlite().await;
    let folder = tempfile::tempdir().expect("a folder can be made");
    fs::create_dir(folder.path().join("files")).expect("a folder can be made");
    write_journal(folder.path(), 1..4);
    let settings = Settings { folder: Some(folder.path().join("files")), ..Settings::default() };
    let start = || watch(&db.store, |outlet| journal::run(settings.clone(), outlet, Shutdown::new()));
    let mut tasks = start();
    let name = format!("journal:{}:{}", machine(), folder.path().join("files").display());
    let key = homeostat::model::cursor::StreamKey(name);
    eventually("the first cursor", PATIENCE, async || db.store.cursor(&key).await.ok()?).await;
    let mut truth = BTreeMap::new();
    for (numbers, n_seen) in [(4..10, 6), (10..15, 11)] {
        write_journal(folder.path(), numbers);
        truth.insert("shop".to_owned(), n_seen);
        wait_for(&db.store, &truth).await;
        tasks.shutdown().await;
        tasks = start();
    }
    assert_eq!(db.store.gaps(10).await.expect("the store answers"), []);
    tasks.shutdown().await;
}
