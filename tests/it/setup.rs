//! What `scripts/setup test` promises to the other tests: an engine, its images, a PostgreSQL, git over HTTP; and that the helpers in
//! `support` clean up after themselves.

use sqlx::Connection;

use crate::support::docker::{BUSYBOX, Launch, SANDBOX, engine};
use crate::support::git::{Credential, GitServer, Repository};
use crate::support::postgres::Database;

#[tokio::test]
async fn a_container_runs_and_is_removed() {
    let engine = engine();
    let container = Launch::shell(BUSYBOX, "echo out; echo $WHO >&2; exit 3")
        .label("homeostat.purpose", "setup")
        .env("WHO", "err")
        .start(&engine)
        .await;
    assert_eq!(container.exit_code().await, 3);
    assert_eq!(container.output().await, ("out\n".to_owned(), "err\n".to_owned()));

    let id = container.id.clone();
    drop(container);
    assert!(engine.inspect_container(&id, None).await.is_err(), "the container is still there");
}

#[tokio::test]
async fn a_container_can_be_stopped_started_and_made_again() {
    let engine = engine();
    let script = "trap 'echo stopping; exit 0' TERM; echo ready; while :; do sleep 0.1; done";
    let container = Launch::shell(BUSYBOX, script).tty().create(&engine).await;
    container.start().await;
    container.wait_for_output("ready").await;
    container.signal("TERM").await;
    assert_eq!(container.exit_code().await, 0);
    container.restart().await;
    container.stop(0).await;
    assert!(container.output().await.0.starts_with("ready\r\nstopping\r\nready\r\n"));

    container.remove().await;
    assert!(!container.exists().await);
    let again = Launch::shell(BUSYBOX, "true").name(&container.name).start(&engine).await;
    assert_eq!((again.name.as_str(), again.exit_code().await), (container.name.as_str(), 0));
}

#[tokio::test]
async fn the_sandbox_image_has_its_tools_and_its_user() {
    let script = "id -un; pwd; touch here; \
        for tool in python3 pytest git rg make patch tar ps; do command -v $tool >/dev/null || echo no $tool; done";
    let container = Launch::shell(SANDBOX, script)
        .host(|host| host.network_mode = Some("none".to_owned()))
        .start(&engine())
        .await;
    assert_eq!(container.exit_code().await, 0);
    assert_eq!(container.output().await, ("agent\n/workspace\n".to_owned(), String::new()));
}

#[tokio::test]
async fn the_image_of_each_language_can_test_it() {
    for (image, script) in [
        ("homeostat/sandbox-go:1", "go version"),
        ("homeostat/sandbox-jvm:1", "javac -version && javap org.junit.runner.JUnitCore && mvn -v"),
        ("homeostat/sandbox-node:1", "node --version && npm --version"),
        ("homeostat/sandbox-ruby:1", "ruby -rminitest -e '' && rspec --version && rake --version"),
        ("homeostat/sandbox-rust:1", "cargo --version && cc --version"),
    ] {
        let container = Launch::shell(image, &format!("set -e; id -un | grep -x agent; {script}"));
        let container =
            container.host(|host| host.network_mode = Some("none".to_owned())).start(&engine()).await;
        let code = container.exit_code().await;
        assert_eq!(code, 0, "{image}: {:?}", container.output().await);
    }
}

#[tokio::test]
async fn a_database_is_empty_and_is_dropped() {
    let database = Database::create().await;
    let mut connection = sqlx::PgConnection::connect(database.url()).await.unwrap();
    let sql = "select count(*) from pg_tables where schemaname = 'public'";
    let n_tables: i64 = sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap();
    assert_eq!(n_tables, 0);

    let url = database.url().to_owned();
    drop(database);
    assert!(sqlx::PgConnection::connect(&url).await.is_err(), "the database is still there");
}

#[tokio::test]
async fn a_repository_is_served_to_those_who_may() {
    let repository = Repository::create("project", &[("src/app.py", "print('hello')\n")]);
    repository.commit("topic", "say more", &[("src/app.py", "print('hello, world')\n")]);
    assert_eq!(repository.branches(), ["main", "topic"]);

    let reader = Credential { user: "reader".to_owned(), password: "r-1".to_owned(), may_push: false };
    let writer = Credential { user: "writer".to_owned(), password: "w-1".to_owned(), may_push: true };
    let server = GitServer::start(repository.root(), vec![reader, writer]).await;
    let url = server.repository_url("project");
    let as_user = |login: &str| url.replace("http://", &format!("http://{login}@"));

    let clone = tempfile::tempdir().unwrap();
    let target = clone.path().join("project");
    assert!(!git(clone.path(), &["clone", "-q", &url, "refused"]).await, "no credentials");
    assert!(
        !git(clone.path(), &["clone", "-q", &as_user("reader:wrong"), "refused"]).await,
        "wrong password"
    );
    assert!(git(clone.path(), &["clone", "-q", &as_user("reader:r-1"), "project"]).await);
    assert_eq!(std::fs::read_to_string(target.join("src/app.py")).unwrap(), "print('hello')\n");

    assert!(!git(&target, &["push", "-q", "origin", "HEAD:refs/heads/new"]).await, "a reader may not push");
    assert!(git(&target, &["push", "-q", &as_user("writer:w-1"), "HEAD:refs/heads/new"]).await);
    assert_eq!(repository.branches(), ["main", "new", "topic"]);

    let seen = server.seen();
    assert!(seen.iter().any(|request| request.status == 401 && request.user.is_none()));
    assert!(seen.iter().any(|request| request.status == 403 && request.user.as_deref() == Some("reader")));
}

/// Runs a git client with no configuration of its own; gives whether it succeeded.
async fn git(folder: &std::path::Path, arguments: &[&str]) -> bool {
    tokio::process::Command::new("git")
        .current_dir(folder)
        .args(arguments)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_ASKPASS", "true")
        .stderr(std::process::Stdio::null())
        .status()
        .await
        .expect("git can be run")
        .success()
}
