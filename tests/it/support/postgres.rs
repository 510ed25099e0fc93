//! A PostgreSQL database for one test, dropped at its end.
//!
//! The server is the one of `HOMEOSTAT_TEST_DATABASE_URL`, else the one `scripts/setup test` starts; its role may create databases.

use std::time::Duration;

use homeostat::base::env;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use super::name::unique;

/// What `scripts/setup test` starts.
const DEFAULT_URL: &str = "postgres://homeostat:homeostat@127.0.0.1:5433/homeostat";

/// An empty database; dropped together with the value.
#[derive(Debug)]
pub(crate) struct Database {
    /// The server's own database, from which others are made and dropped.
    server: String,
    name: String,
    url: String,
}

impl Database {
    /// Makes an empty database with a name of its own.
    ///
    /// # Panics
    /// When the server cannot be reached; says what starts it.
    pub(crate) async fn create() -> Self {
        let server = env::var(env::TEST_DATABASE_URL).unwrap_or_else(|| DEFAULT_URL.to_owned());
        let name = unique("db").replace('-', "_");
        let mut url = url::Url::parse(&server).expect("HOMEOSTAT_TEST_DATABASE_URL is a URL");
        url.set_path(&name);
        // template0: nobody can be connected to it, so databases can be made at the same time.
        execute(&server, format!("create database {name} template template0"))
            .await
            .unwrap_or_else(|error| panic!("no database from {server} ({error}): run scripts/setup test"));
        Self { server, name, url: url.into() }
    }

    /// `postgres://…/<name>`, with the role's password.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Database {
    /// Drops it with whatever connections are still open. A thread of its own, as the test's runtime may be the one that is ending.
    fn drop(&mut self) {
        let (server, name) = (self.server.clone(), self.name.clone());
        let dropped = std::thread::spawn(move || {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime can be built")
                .block_on(drop_database(&server, &name))
        })
        .join();
        let is_dropped = matches!(dropped, Ok(Ok(())));
        assert!(
            is_dropped || std::thread::panicking(),
            "the database {} was left behind: {dropped:?}",
            self.name
        );
    }
}

/// Drops a database. The server's own worker, which nobody else may end, is in it for a moment now and then.
async fn drop_database(server: &str, name: &str) -> Result<(), sqlx::Error> {
    let mut n_tries = 0;
    loop {
        match execute(server, format!("drop database if exists {name} with (force)")).await {
            Err(_) if n_tries < 50 => n_tries += 1,
            dropped => return dropped,
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn execute(url: &str, sql: String) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect(url).await?;
    connection.execute(AssertSqlSafe(sql)).await?;
    connection.close().await
}
