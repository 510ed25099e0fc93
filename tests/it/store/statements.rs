//! Every statement on both databases: it can be prepared, and it finds its rows by an index.

#![expect(clippy::unwrap_used, reason = "stories are functions, not `#[test]`s themselves")]

use std::collections::BTreeSet;

use homeostat::store::{Sql, statements};
use sqlx::{Connection, Executor, PgConnection, Row, SqlStr, SqliteConnection};

use super::given::{Db, stories};

stories! {
    every_statement_can_be_prepared,
}

async fn every_statement_can_be_prepared(db: Db) {
    let statements = statements();
    assert!(statements.len() > 60, "{}", statements.len());
    if db.is_sqlite() {
        let mut connection = SqliteConnection::connect(&db.url).await.unwrap();
        for Sql { sqlite, .. } in statements {
            let prepared = connection.prepare(SqlStr::from_static(sqlite)).await;
            assert!(prepared.is_ok(), "{:?}\n{sqlite}", prepared.err());
        }
    } else {
        let mut connection = PgConnection::connect(&db.url).await.unwrap();
        for Sql { postgres, .. } in statements {
            let prepared = connection.prepare(SqlStr::from_static(postgres)).await;
            assert!(prepared.is_ok(), "{:?}\n{postgres}", prepared.err());
        }
    }
}

#[test]
fn every_statement_has_a_name_of_its_own_and_is_lower_case() {
    let mut names = BTreeSet::new();
    for sql in statements() {
        assert!(names.insert(sql.name()), "`{}` is there twice", sql.name());
        for text in [sql.sqlite, sql.postgres] {
            let (first, rest) = text.split_once('\n').unwrap();
            assert_eq!(first, format!("-- {}", sql.name()));
            assert!(sql.name().chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{first}");
            assert!(!rest.chars().any(char::is_uppercase), "{text}");
        }
    }
}

/// What reads a whole table, and why that is right.
const WHOLE: &[(&str, &str)] = &[
    // The numbers on the dashboard; from covering indexes where it matters.
    ("count_issues", "issues"),
    ("count_jobs", "jobs"),
    ("count_occurrences", "issues"),
    ("count_gaps", "gaps"),
    // From the newest on, in the order of an index, until there are enough.
    ("issues", "issues"),
    ("jobs", "jobs"),
    ("gaps", "gaps"),
    ("audit_entries", "audit"),
    // The next due job: an index over the few jobs that are not over.
    ("lease_job", "jobs"),
    ("abandoned_jobs", "jobs"),
];

#[tokio::test]
async fn every_statement_finds_its_rows_by_an_index() {
    let db = Db::sqlite().await;
    let mut connection = SqliteConnection::connect(&db.url).await.unwrap();
    let tables: Vec<(String,)> = sqlx::query_as("select name from sqlite_master where type = 'table'")
        .fetch_all(&mut connection)
        .await
        .unwrap();
    assert!(tables.len() > 15, "{tables:?}");
    let mut wrong = Vec::new();
    for sql in statements() {
        let explain = sqlx::AssertSqlSafe(format!("explain query plan\n{}", sql.sqlite));
        for row in sqlx::query(explain).fetch_all(&mut connection).await.unwrap() {
            let step: String = row.get("detail");
            let scanned = step.strip_prefix("SCAN ").and_then(|rest| rest.split(' ').next());
            let Some((table,)) = tables.iter().find(|(table,)| Some(table.as_str()) == scanned) else {
                continue;
            };
            if !WHOLE.contains(&(sql.name(), table)) {
                wrong.push(format!("{}: {step}", sql.name()));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
