//! Many at the same time: tasks of one process, processes on one database, and calls that are cut off half-way.

#![expect(clippy::unwrap_used, reason = "stories are functions, not `#[test]`s themselves")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use homeostat::base::id::JobId;
use homeostat::model::cursor::{Cursor, StreamKey};
use homeostat::model::decision::Decision;
use homeostat::model::issue::IssueEvent;
use homeostat::model::job::{JobKind, JobState, NewJob};
use homeostat::model::notice::NoticeKind;
use homeostat::model::occurrence::{CommitBatch, OccurrenceGroup};
use homeostat::model::stage::StageOutcome;
use homeostat::store::Store;
use homeostat::store::types::JobFilter;

use super::given::{Db, at, batch, commit_one, entry, fingerprint, group, stories};

stories! {
    watchers_that_commit_the_same_issues_add_up,
    each_job_runs_exactly_once,
    one_of_many_takes_over_an_expired_lease,
    a_commit_that_is_cut_off_is_whole_or_nothing,
    a_waiting_worker_is_nudged,
    audit_rows_of_many_make_one_chain,
    a_large_commit_is_quick,
}

const TTL: Duration = Duration::from_secs(60);

async fn watchers_that_commit_the_same_issues_add_up(db: Db) {
    const N_COMMITS: u64 = 12;
    let stores = [db.opened_again().await, db.opened_again().await];
    let watchers = (0..6_usize).map(|watcher| {
        let store = Arc::clone(&stores[watcher % 2]);
        tokio::spawn(async move {
            for round in 0..N_COMMITS {
                // Each in an order of its own: whoever locks in the order of arrival locks in a ring.
                let mut groups: Vec<OccurrenceGroup> = (1..=7).map(|number| ticket(number, 3)).collect();
                groups.rotate_left(watcher);
                if round % 2 == 0 {
                    groups.reverse();
                }
                store.commit(batch(groups), at(1)).await.unwrap();
            }
        })
    });
    for watcher in join_all(watchers).await {
        watcher.unwrap();
    }
    for number in 1..=7 {
        let brief = db.store.issue_brief("shop", &fingerprint(number)).await.unwrap().unwrap();
        let detail = db.store.issue_detail(brief.id).await.unwrap();
        assert_eq!(detail.issue.count, 6 * N_COMMITS * 3);
        assert_eq!(detail.per_minute, [(at(0), 6 * N_COMMITS * 3)]);
        assert_eq!(detail.samples.len(), 20);
        let told: Vec<_> = detail.timeline.iter().map(|entry| entry.what.as_str()).collect();
        assert_eq!(told, ["issue opened"]);
    }
    let jobs = db.store.jobs(&JobFilter::default()).await.unwrap();
    assert_eq!(jobs.len(), 7, "one ticket per issue");
}

fn ticket(number: u8, count: u64) -> OccurrenceGroup {
    OccurrenceGroup {
        count,
        decision: Decision::Ticket { reason: "new" },
        jobs: vec![NewJob::open_ticket(true)],
        ..group(number, 1)
    }
}

async fn queue(store: &dyn Store, n_jobs: usize) {
    let issue = commit_one(store, group(1, 0), 0).await.issue;
    for number in 0..n_jobs {
        let job = NewJob::announce(issue, NoticeKind::IssueOpened, None, None, &number.to_string());
        store.enqueue(job, at(1)).await.unwrap();
    }
}

async fn each_job_runs_exactly_once(db: Db) {
    queue(&*db.store, 200).await;
    let stores = [db.opened_again().await, db.opened_again().await];
    let workers = (0..8_usize).map(|worker| {
        let store = Arc::clone(&stores[worker % 2]);
        tokio::spawn(async move {
            let mut ran = Vec::new();
            while let Some(lease) = store.lease(&JobKind::ALL, "test", at(2), TTL).await.unwrap() {
                ran.push(lease.job.id);
                let outcome = StageOutcome::done("ok", vec![]);
                store.complete(lease.job.id, lease.token, outcome, None, at(3)).await.unwrap();
            }
            ran
        })
    });
    let mut n_runs: BTreeMap<JobId, u32> = BTreeMap::new();
    for ran in join_all(workers).await {
        for job in ran.unwrap() {
            *n_runs.entry(job).or_default() += 1;
        }
    }
    assert_eq!(n_runs.len(), 200);
    assert!(n_runs.values().all(|n_runs| *n_runs == 1), "{n_runs:?}");
    let done = JobFilter { state: Some(JobState::Done), limit: 300, ..JobFilter::default() };
    let done = db.store.jobs(&done).await.unwrap();
    assert_eq!((done.len(), done.iter().map(|job| job.n_leases).max()), (200, Some(1)));
}

async fn one_of_many_takes_over_an_expired_lease(db: Db) {
    queue(&*db.store, 1).await;
    let old = db.store.lease(&JobKind::ALL, "gone", at(2), TTL).await.unwrap().unwrap();
    let stores = [db.opened_again().await, db.opened_again().await];
    let workers = (0..8_usize).map(|worker| {
        let store = Arc::clone(&stores[worker % 2]);
        tokio::spawn(async move { store.lease(&JobKind::ALL, "new", at(62), TTL).await.unwrap() })
    });
    let leases: Vec<_> = join_all(workers).await.into_iter().filter_map(Result::unwrap).collect();
    assert_eq!(leases.len(), 1);
    assert_eq!((leases[0].job.id, leases[0].job.n_leases), (old.job.id, 2));
    let outcome = StageOutcome::done("late", vec![]);
    db.store.complete(old.job.id, old.token, outcome, None, at(63)).await.unwrap_err();
}

/// As a kill does, but with the same store going on afterwards: the connection that was cut off must not be stuck or half-way.
async fn a_commit_that_is_cut_off_is_whole_or_nothing(db: Db) {
    let stream = StreamKey("docker:abc:stdout".to_owned());
    let issue = commit_one(&*db.store, group(1, 0), 0).await.issue;
    let mut n_cut_off = 0;
    for step in 0..60_u64 {
        let count = db.store.issue(issue).await.unwrap().count;
        let cursor = Cursor::Docker { nanos: i64::try_from(count + 1).unwrap(), n_at_nanos: 1, log: None };
        let batch =
            CommitBatch { cursors: vec![(stream.clone(), cursor)], ..batch(vec![group(1, 0), group(2, 0)]) };
        let store = Arc::clone(&db.store);
        let commit = tokio::spawn(async move { store.commit(batch, at(1)).await });
        // Later and later, so that it is cut off at every step of the way.
        let start = Instant::now();
        while start.elapsed() < Duration::from_micros(step * 100) {
            tokio::task::yield_now().await;
        }
        commit.abort();
        n_cut_off += u32::from(commit.await.is_err());
        // What was sent before the cut may still be on its way: a change of the same issue waits for its end.
        db.store
            .apply_issue_event(issue, IssueEvent::Unmuted, vec![], entry(1, "ada", "looked"))
            .await
            .unwrap();

        let after = db.store.issue(issue).await.unwrap().count;
        assert!(after == count || after == count + 1);
        let expected = (after > 1).then(|| Cursor::Docker {
            nanos: i64::try_from(after).unwrap(),
            n_at_nanos: 1,
            log: None,
        });
        assert_eq!(db.store.cursor(&stream).await.unwrap(), expected, "after step {step}");
        let minutes = db.store.issue_detail(issue).await.unwrap().per_minute;
        assert_eq!(minutes, [(at(0), after)]);
    }
    assert!(n_cut_off > 5, "{n_cut_off}");
    commit_one(&*db.store, group(1, 0), 1).await;
}

async fn a_waiting_worker_is_nudged(db: Db) {
    queue(&*db.store, 0).await;
    // On SQLite the queueing process is this one; on PostgreSQL it may be another.
    let other = if db.is_sqlite() { Arc::clone(&db.store) } else { db.opened_again().await };
    let issue = db.store.issue_brief("shop", &fingerprint(1)).await.unwrap().unwrap().id;
    for about in ["a", "b"] {
        // Listening begins some time after opening, with a nudge of its own.
        while db.store.lease(&JobKind::ALL, "test", at(1), TTL).await.unwrap().is_some() {}
        let start = Instant::now();
        let job = NewJob::announce(issue, NoticeKind::IssueOpened, None, None, about);
        let queued = async {
            tokio::task::yield_now().await;
            other.enqueue(job, at(1)).await.unwrap();
        };
        let nudged = async {
            loop {
                db.store.job_nudge(Duration::from_secs(50)).await;
                if db.store.lease(&JobKind::ALL, "test", at(1), TTL).await.unwrap().is_some() {
                    break;
                }
            }
        };
        tokio::join!(queued, nudged);
        assert!(start.elapsed() < Duration::from_secs(40), "nobody was nudged");
    }
}

async fn audit_rows_of_many_make_one_chain(db: Db) {
    let stores = [db.opened_again().await, db.opened_again().await];
    let writers = (0..6_usize).map(|writer| {
        let store = Arc::clone(&stores[writer % 2]);
        tokio::spawn(async move {
            for second in 0..10 {
                store.audit(&format!("person {writer}"), "mute", "issue", "", at(second)).await.unwrap();
            }
        })
    });
    for writer in join_all(writers).await {
        writer.unwrap();
    }
    assert!(db.store.verify_audit().await.unwrap());
    assert_eq!(db.store.audit_entries(1).await.unwrap()[0].seq, 60);
}

/// Not a benchmark: it notices when a commit begins to cost a round trip per group.
async fn a_large_commit_is_quick(db: Db) {
    let groups: Vec<OccurrenceGroup> = (0..200).map(|number| ticket(number, 1)).collect();
    let start = Instant::now();
    for _ in 0..5 {
        db.store.commit(batch(groups.clone()), at(1)).await.unwrap();
    }
    let took = start.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert_eq!(db.store.overview(at(1)).await.unwrap().n_occurrences, 1000);
}

/// The command line beside the daemon, or a person with `sqlite3`: here Python, which holds the write lock again and again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_process_may_write_to_the_file_at_the_same_time() {
    const OTHER: &str = "
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)
for n in range(100):
    db.execute('begin immediate')
    db.execute('insert into meta (key, value) values (?, ?)', (f'other {n}', ''))
    total = sum(range(20000))
    db.execute('commit')
";
    let db = Db::sqlite().await;
    let file = db.url.strip_prefix("sqlite://").unwrap();
    let mut other =
        tokio::process::Command::new("python3").args(["-c", OTHER, file]).kill_on_drop(true).spawn().unwrap();
    let mut n_commits = 0;
    loop {
        commit_one(&*db.store, group(1, 1), 1).await;
        n_commits += 1;
        if let Some(status) = other.try_wait().unwrap() {
            assert!(status.success());
            break;
        }
    }
    let count = db.store.overview(at(1)).await.unwrap().n_occurrences;
    assert_eq!(count, n_commits);
    assert_eq!(db.execute("delete from meta where key like 'other %'").await, 100);
}
