//! Databases to tell stories on, and values to tell them with.

#![expect(clippy::unwrap_used, reason = "a story that cannot be set up must fail")]

use std::sync::Arc;
use std::time::Duration;

use homeostat::base::clock::Timestamp;
use homeostat::base::redact::Clean;
use homeostat::model::decision::Decision;
use homeostat::model::detection::{Action, Severity};
use homeostat::model::fingerprint::{Fingerprint, Levels};
use homeostat::model::occurrence::{Around, CommitBatch, OccurrenceGroup, Sample};
use homeostat::model::trace::Runtime;
use homeostat::store::types::{CommittedGroup, TimelineEntry};
use homeostat::store::{Settings, Store, open};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, SqliteConnection};
use tokio::time::sleep;

use crate::support::postgres::Database;

/// Makes two tests of each story: `sqlite::<name>` and `postgres::<name>`.
macro_rules! stories {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    super::$name($crate::store::given::Db::sqlite().await).await;
                }
            )+
        }
        mod postgres {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    super::$name($crate::store::given::Db::postgres().await).await;
                }
            )+
        }
    };
}
pub(crate) use stories;

/// An open database of one test, gone at its end.
#[derive(Debug)]
pub(crate) struct Db {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) url: String,
    _keep: Keep,
}

#[derive(Debug)]
#[expect(dead_code, reason = "held until the end of the test, never read")]
enum Keep {
    File(tempfile::TempDir),
    Server(Database),
}

impl Db {
    pub(crate) async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/folder/homeostat.db", folder.path().display());
        Self { store: open_store(&url).await, url, _keep: Keep::File(folder) }
    }

    pub(crate) async fn postgres() -> Self {
        let database = Database::create().await;
        let url = database.url().to_owned();
        Self { store: open_store(&url).await, url, _keep: Keep::Server(database) }
    }

    pub(crate) fn is_sqlite(&self) -> bool {
        self.url.starts_with("sqlite:")
    }

    /// The same database, opened once more: what another process has.
    pub(crate) async fn opened_again(&self) -> Arc<dyn Store> {
        open_store(&self.url).await
    }

    /// Cuts every connection to it and lets none be made for a while; SQLite is locked by another for it.
    pub(crate) async fn be_away(&self, away: Duration) {
        if self.is_sqlite() {
            let mut connection = SqliteConnection::connect(&self.url).await.unwrap();
            // Somebody else may hold it just then.
            if connection.execute("begin exclusive").await.is_ok() {
                sleep(away).await;
                connection.execute("rollback").await.unwrap();
            }
            return;
        }
        let name = self.url.rsplit('/').next().unwrap();
        let mut connection = PgConnection::connect(&self.url.replace(name, "postgres")).await.unwrap();
        let mut run = async |sql: String| {
            connection.execute(AssertSqlSafe(sql)).await.unwrap();
        };
        run(format!("alter database {name} allow_connections false")).await;
        run(format!("select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}' and usename = current_user"))
            .await;
        sleep(away).await;
        run(format!("alter database {name} allow_connections true")).await;
    }

    /// Changes rows behind the store's back; how many.
    pub(crate) async fn execute(&self, sql: &'static str) -> u64 {
        if self.is_sqlite() {
            let mut connection = SqliteConnection::connect(&self.url).await.unwrap();
            sqlx::query(sql).execute(&mut connection).await.unwrap().rows_affected()
        } else {
            let mut connection = PgConnection::connect(&self.url).await.unwrap();
            sqlx::query(sql).execute(&mut connection).await.unwrap().rows_affected()
        }
    }
}

async fn open_store(url: &str) -> Arc<dyn Store> {
    open(&Settings { url: url.to_owned(), max_connections: 4 }).await.unwrap()
}

/// Second `second` of the story.
pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_767_225_600 + second).unwrap()
}

pub(crate) fn fingerprint(number: u8) -> Fingerprint {
    let mut bytes = [0xa0; 32];
    bytes[0] = number;
    Fingerprint::from_bytes(bytes)
}

pub(crate) fn levels(number: u8) -> Levels {
    Levels {
        exact: Fingerprint::from_bytes([number; 32]),
        identity: fingerprint(number),
        place: Some(Fingerprint::from_bytes([0xff - number; 32])),
        template: format!("order <num> failed {number}"),
    }
}

pub(crate) fn sample(second: i64) -> Sample {
    Sample {
        at: at(second),
        text: Clean::trusted(format!("Traceback at {second}\n  ValueError: \"x\" \\u0000")),
        origin: "shop-1".to_owned(),
        revision: Some("c0ffee".to_owned()),
        around: Around {
            id: None,
            before: Clean::trusted(format!("GET /{second}")),
            after: Clean::default(),
        },
        merged_from: None,
    }
}

/// One occurrence of error `number` in service `shop`, at `second`, that is counted only.
pub(crate) fn group(number: u8, second: i64) -> OccurrenceGroup {
    OccurrenceGroup {
        service: "shop".to_owned(),
        levels: levels(number),
        former: None,
        preimage: format!("python\nValueError {number}"),
        title: Clean::trusted(format!("ValueError: order {number}")),
        rule: "python.traceback".to_owned(),
        severity: Severity::Error,
        action: Action::Issue,
        runtime: Runtime::Python,
        count: 1,
        first_seen: at(second),
        last_seen: at(second),
        samples: vec![sample(second)],
        decision: Decision::Count { reason: "known" },
        jobs: Vec::new(),
    }
}

/// A batch of groups and nothing else.
pub(crate) fn batch(groups: Vec<OccurrenceGroup>) -> CommitBatch {
    CommitBatch { groups, ..CommitBatch::default() }
}

/// Commits one group; what became of it.
pub(crate) async fn commit_one(store: &dyn Store, group: OccurrenceGroup, second: i64) -> CommittedGroup {
    let mut receipt = store.commit(batch(vec![group]), at(second)).await.unwrap();
    receipt.groups.remove(0)
}

pub(crate) fn entry(second: i64, actor: &str, what: &str) -> TimelineEntry {
    TimelineEntry {
        at: at(second),
        actor: actor.to_owned(),
        what: what.to_owned(),
        detail: format!("{what} in detail"),
    }
}
