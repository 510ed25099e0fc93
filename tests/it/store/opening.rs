//! Opening: new, again, by two at once, from the future, and what cannot be opened.

#![expect(clippy::unwrap_used, reason = "stories are functions, not `#[test]`s themselves")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use futures_util::future::join_all;
use homeostat::base::chain::Chain;
use homeostat::store::{Settings, StoreError, open};

use super::given::{Db, at, commit_one, group, stories};

stories! {
    what_was_stored_is_there_when_opened_again,
    one_that_was_closed_answers_no_more,
    a_database_of_a_newer_version_is_refused,
    a_schema_that_was_changed_is_refused,
    a_broken_row_is_an_error_that_names_it,
    ids_are_made_once_however_many_ask,
}

async fn what_was_stored_is_there_when_opened_again(db: Db) {
    let id = commit_one(&*db.store, group(1, 1), 1).await.issue;
    let (instance, first_run) = (db.store.instance_id().await.unwrap(), at(5));
    assert_eq!(db.store.first_run_at(first_run).await.unwrap(), first_run);
    let issue = db.store.issue(id).await.unwrap();
    db.store.close().await;
    let store = db.opened_again().await;
    store.ping().await.unwrap();
    assert_eq!(store.issue(id).await.unwrap(), issue);
    assert_eq!(store.instance_id().await.unwrap(), instance);
    assert_eq!(store.first_run_at(at(9)).await.unwrap(), first_run);
    assert_eq!(instance.len(), 16);
}

async fn one_that_was_closed_answers_no_more(db: Db) {
    db.store.close().await;
    assert!(db.store.ping().await.is_err());
    assert!(db.store.set_paused(true, "ada", at(1)).await.is_err());
}

async fn a_database_of_a_newer_version_is_refused(db: Db) {
    db.execute(
        "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
         values (9999, 'from the future', true, 'abc', 0)",
    )
    .await;
    let message = refusal(&db.url).await;
    let expected = "failed to open the database: it was made by a newer version of homeostat (schema 9999, this one knows ";
    assert!(message.starts_with(expected), "{message}");
}

async fn a_schema_that_was_changed_is_refused(db: Db) {
    db.execute("update _sqlx_migrations set checksum = 'abc' where version = 1").await;
    let message = refusal(&db.url).await;
    let expected =
        "failed to open the database: step 1 of its schema is not the one of this version of homeostat";
    assert_eq!(message, expected);
}

async fn a_broken_row_is_an_error_that_names_it(db: Db) {
    let id = commit_one(&*db.store, group(1, 1), 1).await.issue;
    db.execute("update issues set severity = 'purple'").await;
    let error = db.store.issue(id).await.unwrap_err();
    assert!(!error.is_transient());
    assert_eq!(Chain(&error).to_string(), "failed to read an issue: column `severity` holds `purple`");
}

async fn ids_are_made_once_however_many_ask(db: Db) {
    let stores = join_all((0..4).map(|_| db.opened_again())).await;
    let asked = stores.iter().zip(10..).map(|(store, second)| async move {
        (store.instance_id().await.unwrap(), store.first_run_at(at(second)).await.unwrap())
    });
    let mut told = join_all(asked).await;
    told.dedup();
    assert_eq!(told.len(), 1, "{told:?}");
}

async fn refusal(url: &str) -> String {
    let error = open(&settings(url)).await.unwrap_err();
    assert!(!error.is_transient(), "{error:?}");
    Chain(&error).to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_dropped_its_connections_is_used_again() {
    let db = Db::postgres().await;
    let id = commit_one(&*db.store, group(1, 1), 1).await.issue;
    db.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity
         where datname = current_database() and pid <> pg_backend_pid()",
    )
    .await;
    assert_eq!(db.store.issue(id).await.unwrap().count, 1);
    assert_eq!(commit_one(&*db.store, group(1, 2), 2).await.count, 2);
}

fn settings(url: &str) -> Settings {
    Settings { url: url.to_owned(), max_connections: 2 }
}

#[tokio::test]
async fn what_is_no_database_is_said_so() {
    let cases = [
        (
            "mysql://localhost/x",
            "failed to open the database: `database.url` must start with `sqlite:` or `postgres:`",
        ),
        ("", "failed to open the database: `database.url` must start with `sqlite:` or `postgres:`"),
        (
            "sqlite::memory:",
            "failed to open the database: `database.url` names no file: a database in memory would forget everything",
        ),
        (
            "sqlite://",
            "failed to open the database: `database.url` names no file: a database in memory would forget everything",
        ),
    ];
    for (url, expected) in cases {
        assert_eq!(refusal(url).await, expected, "{url}");
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("no.db");
    std::fs::write(&file, "this is no database, but it is long enough to be taken for one at first sight")
        .unwrap();
    let message = refusal(&format!("sqlite://{}", file.display())).await;
    assert!(message.contains("file is not a database"), "{message}");
}

#[tokio::test]
async fn a_server_that_is_away_may_come_back() {
    // Nobody listens on a port that was bound and given back.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = open(&settings(&format!("postgres://ada:pass@127.0.0.1:{port}/x"))).await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    let message = Chain(&error).to_string();
    assert!(message.starts_with("failed to open the database: the database is not available: "), "{message}");
    assert!(!message.contains("pass"), "{message}");

    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    let error =
        open(&settings(&format!("sqlite://{}/file/x.db", folder.path().display()))).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
}

#[test]
fn settings_do_not_show_the_password() {
    let shown = format!("{:?}", settings("postgres://ada:hunter2@db/x"));
    assert_eq!(shown, r#"Settings { scheme: "postgres", max_connections: 2, .. }"#);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_file_is_made_once_and_is_private() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("new folder").join("homeostat.db");
    let url = format!("sqlite://{}", file.display()).replace(' ', "%20");
    let opened = join_all((0..4).map(|_| {
        let url = url.clone();
        tokio::spawn(async move { open(&settings(&url)).await })
    }))
    .await;
    assert!(opened.into_iter().all(|it| it.unwrap().is_ok()));
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&file), 0o600);
    assert_eq!(mode(file.parent().unwrap()), 0o700);
}
