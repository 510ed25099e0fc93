//! Several fingerprints that count for one issue: merged by a person beside a running daemon, and by a new version of the algorithm.

#![expect(clippy::unwrap_used, reason = "a story that cannot be told must fail")]

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use homeostat::base::clock::{SystemClock, Timestamp};
use homeostat::base::redact::Clean;
use homeostat::base::shutdown::Shutdown;
use homeostat::model::fingerprint::Fingerprint;
use homeostat::model::job::NewJob;
use homeostat::model::occurrence::OccurrenceGroup;
use homeostat::store::Store;
use homeostat::store::types::{AliasWhy, IssueFilter, JobFilter};
use homeostat::watch::fingerprint::{Fingerprinter, Former, UserRules};
use homeostat::watch::ingest::pipeline::Pipeline;
use homeostat::watch::ingest::services::{self, ServiceMap};
use homeostat::watch::ingest::{self, IngestParts};
use homeostat::watch::source::file::{self, Patterns, Settings};
use homeostat::watch::source::lane::Outlet;
use homeostat::watch::triage;
use rustix::process::Signal;
use tokio::task::JoinSet;

use crate::store::given::{Db, at, commit_one, group, stories};
use crate::support::postgres::Database;
use crate::support::program::{Program, free_address, json_of};
use crate::support::wait::{PATIENCE, eventually};

/// Two errors that a person may hold to be one.
const ERRORS: [&str; 2] = ["cannot open the ledger", "the ledger does not answer"];

/// A daemon over one file, and what the file was given.
struct Desk {
    folder: tempfile::TempDir,
    config: String,
    log: PathBuf,
}

impl Desk {
    fn new(folder: tempfile::TempDir, database: &str) -> Self {
        let (log, address) = (folder.path().join("shop.log"), free_address());
        let text = format!(
            "[state]\nfolder = \"{}\"\n{database}\n\
             [http]\nlisten = \"{address}\"\npublic_url = \"http://{address}\"\n\
             [docker]\nenabled = false\n\
             [[file]]\npaths = [\"{}\"]\nservice = \"shop\"\nfrom_start = true\n\
             [[service]]\nname = \"shop\"\nroute = \"ticket\"\n",
            folder.path().join("state").display(),
            log.display(),
        );
        let file = folder.path().join("homeostat.toml");
        fs::write(&file, text).unwrap();
        let config = file.to_str().unwrap().to_owned();
        Self { folder, config, log }
    }

    async fn start(&self) -> Program {
        let program = Program::start(&["run", "--config", &self.config], self.folder.path());
        program.line_with("homeostat is up", PATIENCE).await;
        program
    }

    /// Logs each error so many times.
    fn log(&self, n: [u64; 2]) {
        let mut text = String::new();
        for (error, n) in ERRORS.iter().zip(n) {
            for number in 0..n {
                writeln!(text, "2026-11-21 10:00:00 INFO order {number} came").unwrap();
                writeln!(text, "2026-11-21 10:00:01 ERROR {error}: attempt {number}").unwrap();
            }
        }
        append(&self.log, &text);
    }

    async fn json(&self, arguments: &[&str]) -> Vec<serde_json::Value> {
        json_of(&[&["issue"], arguments, &["--json", "--config", &self.config]].concat()).await
    }

    /// Fingerprint and count of the issue of an error, listed or merged.
    async fn issue(&self, error: &str) -> Option<(String, u64)> {
        let mut issues = self.json(&["list", "--all"]).await;
        issues.extend(self.json(&["list", "--state", "merged"]).await);
        let found = issues.iter().find(|it| it["title"].as_str().unwrap().contains(error))?;
        Some((found["fingerprint"].as_str().unwrap().to_owned(), found["count"].as_u64().unwrap()))
    }

    /// Waits until the two issues have counted so many.
    async fn counts(&self, expected: [u64; 2]) {
        let what = format!("{expected:?} occurrences");
        eventually(&what, PATIENCE, async || {
            let [one, other] = [self.issue(ERRORS[0]).await?.1, self.issue(ERRORS[1]).await?.1];
            assert!(one <= expected[0] && other <= expected[1], "{one} and {other}, not {expected:?}");
            ([one, other] == expected).then_some(())
        })
        .await;
    }
}

fn append(path: &Path, text: &str) {
    let mut file = fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// Merged and unmerged by the command line while the daemon runs, is killed and starts again: nothing is lost, nothing counted twice.
async fn merged_issues_count_as_one_through_kills(folder: tempfile::TempDir, database: &str) {
    let desk = Desk::new(folder, database);
    let program = desk.start().await;
    desk.log([3, 4]);
    desk.counts([3, 4]).await;
    let (one, other) = (desk.issue(ERRORS[0]).await.unwrap().0, desk.issue(ERRORS[1]).await.unwrap().0);

    desk.json(&["merge", &one, &other]).await;
    desk.log([5, 1]);
    desk.counts([3, 4 + 5 + 1]).await;
    // The moment is the experiment: it is killed with the next ones on their way.
    desk.log([200, 100]);
    tokio::time::sleep(Duration::from_millis(fastrand::u64(0..60))).await;
    program.kill().await;
    desk.log([7, 2]);
    let mut program = desk.start().await;
    desk.counts([3, 10 + 300 + 9]).await;

    program.kill().await;
    let merged = &desk.json(&["show", &one]).await[0];
    assert_eq!(merged["state"], "merged");
    let shown = &desk.json(&["show", &other]).await[0];
    assert_eq!(shown["aliases"][0]["count"], 5 + 200 + 7, "how many came by the other fingerprint");
    desk.json(&["unmerge", &one]).await;
    desk.log([11, 13]);
    program = desk.start().await;
    desk.counts([3 + 11, 319 + 13]).await;
    program.signal(Signal::TERM);
    program.ends_with(0, PATIENCE).await;
    desk.counts([14, 332]).await;
}

#[tokio::test]
async fn merged_issues_count_as_one_through_kills_on_sqlite() {
    merged_issues_count_as_one_through_kills(tempfile::tempdir().unwrap(), "").await;
}

#[tokio::test]
async fn merged_issues_count_as_one_through_kills_on_postgres() {
    let (folder, database) = (tempfile::tempdir().unwrap(), Database::create().await);
    let mut url: url::Url = database.url().parse().unwrap();
    let password = folder.path().join("password");
    fs::write(&password, url.password().unwrap_or_default()).unwrap();
    url.set_password(None).unwrap();
    let section =
        format!("[database]\nurl = \"{url}\"\npassword = {{ file = \"{}\" }}\n", password.display());
    merged_issues_count_as_one_through_kills(folder, &section).await;
}

stories! {
    an_upgrade_opens_no_issue_anew,
}

/// A version that came before: it knew nothing but the first word of a message.
fn version_0(_: &UserRules, text: &Clean) -> Fingerprint {
    let message = text.as_str().split("ERROR ").nth(1).unwrap_or_default();
    let word = message.split(' ').next().unwrap_or_default();
    Fingerprint::of_version(
        0,
        *Fingerprinter::builtin().fingerprint(&Clean::trusted(word)).levels.identity.bytes(),
    )
}

/// The watching half of a release over one file.
fn watch(store: &Arc<dyn Store>, path: &Path, former: Option<Former>) -> JoinSet<()> {
    static PIPELINE: LazyLock<Pipeline> = LazyLock::new(Pipeline::builtin);
    let (outlet, openings) = Outlet::new();
    let parts = IngestParts {
        store: Arc::clone(store),
        pipeline: PIPELINE.clone().with_former(former),
        services: Arc::new(ServiceMap::new(services::Settings::default())),
        triage: triage::Settings::default(),
        clock: SystemClock::shared(),
    };
    let settings = Settings {
        patterns: Patterns::new([path.to_str().unwrap()]).unwrap(),
        is_from_start: true,
        poll_every: Duration::from_millis(50),
        ..Settings::default()
    };
    let mut tasks = JoinSet::new();
    tasks.spawn(file::run(settings, outlet, Timestamp::UNIX_EPOCH, Shutdown::new()));
    tasks.spawn(async move { ingest::run(parts, openings, Shutdown::new()).await.unwrap() });
    tasks
}

/// A store that version 0 wrote, then a release with version 1 that still knows version 0, then one that does not.
async fn an_upgrade_opens_no_issue_anew(db: Db) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.log");
    let line = |message: &str, n: u32| {
        format!("2026-11-21 10:00:00 INFO x\n2026-11-21 10:00:0{n} ERROR {message} {n}\n")
    };
    let old = {
        let mut old = OccurrenceGroup { count: 7, jobs: vec![NewJob::open_ticket(false)], ..group(1, 1) };
        old.service = path.display().to_string();
        old.levels.identity =
            version_0(&UserRules::none(), &Clean::trusted(line("ledger cannot be opened", 1)));
        commit_one(&*db.store, old, 1).await.issue
    };
    let count = async |issue| db.store.issue(issue).await.unwrap().count;
    let wait_for = async |issue, n| {
        eventually(&format!("{n} occurrences"), PATIENCE, async || (count(issue).await == n).then_some(()))
            .await;
    };
    // Both were one to version 0; version 1 tells them apart, and they stay one.
    let mut tasks = watch(&db.store, &path, Some(Former::new(version_0)));
    append(
        &path,
        &[line("ledger cannot be opened", 1), line("ledger does not answer", 2), line("x", 9)].concat(),
    );
    wait_for(old, 9).await;
    append(&path, &[line("ledger cannot be opened", 3), line("x", 9)].concat());
    wait_for(old, 10).await;
    tasks.shutdown().await;
    // What version 0 never saw is an issue of version 1.
    let issues = db.store.issues(&IssueFilter::default()).await.unwrap();
    let mut found: Vec<_> = issues
        .iter()
        .map(|it| (it.id == old, it.levels.identity.to_string()[..3].to_owned(), it.count))
        .collect();
    found.sort();
    assert_eq!(found, [(false, "h1:".to_owned(), 2), (true, "h0:".to_owned(), 10)]);
    let detail = db.store.issue_detail(old).await.unwrap();
    let aliases: Vec<_> = detail.aliases.iter().map(|it| (it.why, it.count)).collect();
    assert_eq!(aliases, [(AliasWhy::NewVersion, 1), (AliasWhy::NewVersion, 2)]);
    let jobs = db.store.jobs(&JobFilter { issue: Some(old), ..JobFilter::default() }).await.unwrap();
    assert_eq!(jobs.len(), 1, "its ticket, and no second one");
    assert_eq!(jobs[0].created_at, at(1));

    // The release after that has forgotten version 0; the store has not.
    let mut tasks = watch(&db.store, &path, None);
    append(&path, &[line("ledger does not answer", 4), line("x", 9)].concat());
    wait_for(old, 11).await;
    tasks.shutdown().await;
    assert_eq!(db.store.issues(&IssueFilter::default()).await.unwrap().len(), 2);
}
