//! Opening the database: which one, its connections, its schema.

use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, PgPool, SqliteConnection};

use super::contract::Store;
use super::database::{Database, Mistrusted, Pools};
use super::fault::Fault;
use super::nudge::{self, Nudge};
use super::types::StoreError;
use crate::base::backoff::Backoff;

pub(super) static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");
pub(super) static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");

/// How long a writer waits for another process that writes, before the call is tried again.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a call waits for a free connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(30);

/// Which database, and how many connections to it.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    /// `sqlite:///path/file.db` (file and folder are made) or `postgres://user:password@host/database`.
    pub url: String,
    /// Connections of this process: all of them on PostgreSQL, those that read on SQLite, which has one more that writes.
    pub max_connections: u32,
}

impl Settings {
    /// The file of the database, if it is one.
    pub fn file(&self) -> Option<&Path> {
        let path = self.url.strip_prefix("sqlite:")?;
        let path = path.strip_prefix("//").unwrap_or(path);
        Some(Path::new(path.split('?').next().unwrap_or(path)))
    }

    /// Whether the database is a file in `folder`.
    pub fn is_in(&self, folder: &Path) -> bool {
        self.file().is_some_and(|path| path.starts_with(folder))
    }

    /// Where the database is, without user and password: for messages.
    pub fn place(&self) -> String {
        match url::Url::parse(&self.url) {
            Ok(mut url) if url.has_host() && !url.scheme().starts_with("sqlite") => {
                // Neither fails for an address with a host.
                let _ = (url.set_username(""), url.set_password(None));
                url.set_query(None);
                url.into()
            }
            Ok(_) | Err(_) => self.url.split('?').next().unwrap_or_default().to_owned(),
        }
    }
}

impl std::fmt::Debug for Settings {
    /// The address may hold a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = self.url.split(':').next().unwrap_or_default();
        f.debug_struct("Settings")
            .field("scheme", &scheme)
            .field("max_connections", &self.max_connections)
            .finish_non_exhaustive()
    }
}

/// Why the database cannot be used; the source of [`StoreError::Broken`].
#[derive(Debug, thiserror::Error)]
pub(super) enum Unfit {
    #[error("`database.url` must start with `sqlite:` or `postgres:`")]
    Scheme,
    #[error("`database.url` names no file: a database in memory would forget everything")]
    NoFile,
    #[error(
        "it was made by a newer version of homeostat (schema {found}, this one knows {known}): run that version or a newer one"
    )]
    Newer { found: i64, known: i64 },
    #[error("step {0} of its schema is not the one of this version of homeostat")]
    Changed(i64),
}

/// Opens the database, makes it if it is an SQLite file that is not there, and brings its schema up to date.
pub async fn open(settings: &Settings) -> Result<Arc<dyn Store>, StoreError> {
    let scheme = settings.url.split(':').next().unwrap_or_default();
    let opened = match scheme {
        "sqlite" => open_sqlite(settings).await,
        "postgres" | "postgresql" => open_postgres(settings).await,
        _ => Err(unfit(Unfit::Scheme)),
    };
    match opened {
        Ok(database) => Ok(Arc::new(database)),
        Err(fault) => Err(fault.at("open the database")),
    }
}

pub(super) fn unfit(reason: Unfit) -> Fault {
    Fault::Said(StoreError::Broken { action: "open the database", source: Box::new(reason) })
}

async fn open_sqlite(settings: &Settings) -> Result<Database, Fault> {
    let options = SqliteConnectOptions::from_str(&settings.url)?;
    let file = options.get_filename().to_owned();
    if file.as_os_str().is_empty()
        || settings.url.contains(":memory:")
        || settings.url.contains("mode=memory")
    {
        return Err(unfit(Unfit::NoFile));
    }
    make_private_file(&file).await.map_err(|error| Fault::Sql(sqlx::Error::Io(error)))?;
    // FULL: a commit is on the disk before it is acknowledged. With NORMAL a power cut could take back cursors and counts that the
    // source was told of, and there are few commits: about one a second however many lines are read.
    let writer_options = options
        .clone()
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT);
    migrate_sqlite(&writer_options).await?;
    let mistrusted = Mistrusted::default();
    let is_mistrusted = Arc::clone(&mistrusted);
    // One connection that writes: writers queue here, in order, and not in SQLite's busy handler, which is unfair.
    let writer = SqlitePoolOptions::new()
        .max_connections(1)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .idle_timeout(None)
        .max_lifetime(None)
        .before_acquire(move |connection, _| {
            let is_trusted = !is_mistrusted.swap(false, Ordering::Relaxed);
            Box::pin(async move { Ok(is_trusted && is_clean(connection).await?) })
        })
        .connect_with(writer_options)
        .await?;
    let reader = SqlitePoolOptions::new()
        .max_connections(settings.max_connections.max(1))
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .before_acquire(|connection, _| Box::pin(is_clean(connection)))
        .connect_lazy_with(options.read_only(true).busy_timeout(BUSY_TIMEOUT));
    Ok(Database::new(Pools::Sqlite { writer, reader, mistrusted }, Arc::new(Nudge::new()), None))
}

/// Whether a connection may be used again. A full or broken disk makes SQLite take a transaction back by itself; sqlx's own rollback then
/// fails, and it holds the transaction for open ever after: such a connection is closed, and the pool makes a new one.
async fn is_clean(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    Ok(!connection.is_in_transaction())
}

/// Makes the folder of a file where it is missing, for its owner alone.
pub(super) async fn make_folder(file: &Path) -> std::io::Result<()> {
    match file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) => tokio::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).await,
        None => Ok(()),
    }
}

/// Makes the folder and the file where they are missing, readable for their owner alone: logs are private.
async fn make_private_file(file: &Path) -> std::io::Result<()> {
    make_folder(file).await?;
    tokio::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(file).await?;
    Ok(())
}

/// Unlike PostgreSQL, SQLite gives the migrator nothing to lock: of two processes that open a new file at the same time one may
/// find a table already there. It then looks again.
async fn migrate_sqlite(options: &SqliteConnectOptions) -> Result<(), Fault> {
    let backoff = Backoff::new(Duration::from_millis(20), Duration::from_millis(500));
    let mut n_tries = 0;
    loop {
        n_tries += 1;
        let mut connection = options.connect().await?;
        let result = SQLITE.run_direct(None, &mut connection, false).await;
        connection.close().await?;
        match result {
            Err(MigrateError::Execute(_) | MigrateError::ExecuteMigration(..)) if n_tries < 10 => {
                tokio::time::sleep(backoff.delay(n_tries)).await;
            }
            result => return result.map_err(|error| migration_fault(error, &SQLITE)),
        }
    }
}

async fn open_postgres(settings: &Settings) -> Result<Database, Fault> {
    let options = PgConnectOptions::from_str(&settings.url)?.application_name("homeostat");
    // A connection of its own: a migration that fails leaves the lock of the migrator behind on it.
    let mut connection = options.connect().await?;
    let result = POSTGRES.run_direct(None, &mut connection, false).await;
    connection.close().await?;
    result.map_err(|error| migration_fault(error, &POSTGRES))?;

    let pool = PgPoolOptions::new()
        .max_connections(settings.max_connections.max(1))
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_with(options.clone())
        .await?;
    let nudge = Arc::new(Nudge::new());
    // Listening takes a connection for ever: not one of those that work.
    let for_listener: PgPool = PgPoolOptions::new()
        .max_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_lazy_with(options);
    let listener = tokio::spawn(nudge::listen(for_listener, Arc::clone(&nudge)));
    Ok(Database::new(Pools::Postgres(pool), nudge, Some(listener.abort_handle())))
}

#[expect(clippy::wildcard_enum_match_arm, reason = "sqlx's error is non-exhaustive")]
fn migration_fault(error: MigrateError, migrator: &Migrator) -> Fault {
    let known = migrator.iter().map(|migration| migration.version).max().unwrap_or_default();
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => Fault::Sql(error),
        MigrateError::VersionMissing(found) => unfit(Unfit::Newer { found, known }),
        MigrateError::VersionMismatch(step) => unfit(Unfit::Changed(step)),
        error => Fault::Sql(sqlx::Error::Migrate(Box::new(error))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_has_no_password() {
        for (url, expected) in [
            ("postgres://me:hunter2@db:5433/shop?sslmode=require", "postgres://db:5433/shop"),
            ("postgresql://me@db/shop?password=hunter2", "postgresql://db/shop"),
            ("sqlite:///var/lib/homeostat/homeostat.db?mode=rwc", "sqlite:///var/lib/homeostat/homeostat.db"),
            ("sqlite:/var/lib/homeostat.db", "sqlite:/var/lib/homeostat.db"),
        ] {
            assert_eq!(Settings { url: url.to_owned(), max_connections: 1 }.place(), expected);
        }
    }
}
