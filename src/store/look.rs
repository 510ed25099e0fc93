//! A look at a database without touching it: is it there, and does this version understand its schema?
//!
//! [`open`](super::open()) brings a schema up to date, which the daemon that uses the database now may not survive; `check`
//! must not.

use std::str::FromStr;

use sqlx::migrate::Migrator;
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, Row};

use super::fault::Fault;
use super::open::{POSTGRES, SQLITE, Settings, Unfit, make_folder, unfit};
use super::types::StoreError;

/// The same for both databases.
const APPLIED: &str =
    "-- applied_migrations\nselect version, checksum from _sqlx_migrations order by version";
const SQLITE_IS_EMPTY: &str =
    "-- is_empty\nselect not exists (select 1 from sqlite_master where name = '_sqlx_migrations') as answer";
const POSTGRES_IS_EMPTY: &str = "-- is_empty\nselect to_regclass('_sqlx_migrations') is null as answer";

/// What a look found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// It can be used as it is.
    Current,
    /// It is not there, or empty: the daemon will make it.
    Missing,
    /// The daemon will bring its schema up to date when it starts, in so many steps.
    Behind { n_steps: usize },
}

/// Looks at the database, changing nothing in it. Of an SQLite file that is not there, the folder is made.
///
/// # Errors
/// The database is away, or was made by another version that this one does not understand.
pub async fn look(settings: &Settings) -> Result<Look, StoreError> {
    let scheme = settings.url.split(':').next().unwrap_or_default();
    let looked = match scheme {
        "sqlite" => look_at_sqlite(settings).await,
        "postgres" | "postgresql" => look_at_postgres(settings).await,
        _ => Err(unfit(Unfit::Scheme)),
    };
    looked.map_err(|fault| fault.at("open the database"))
}

async fn look_at_sqlite(settings: &Settings) -> Result<Look, Fault> {
    let options = SqliteConnectOptions::from_str(&settings.url)?;
    let file = options.get_filename().to_owned();
    let is_there = tokio::fs::try_exists(&file).await.map_err(|error| Fault::Sql(sqlx::Error::Io(error)))?;
    if !is_there {
        make_folder(&file).await.map_err(|error| Fault::Sql(sqlx::Error::Io(error)))?;
        return Ok(Look::Missing);
    }
    let mut connection = options.read_only(true).create_if_missing(false).connect().await?;
    let is_empty: bool = sqlx::query(SQLITE_IS_EMPTY).fetch_one(&mut connection).await?.try_get("answer")?;
    let mut applied = Vec::new();
    if !is_empty {
        for row in sqlx::query(APPLIED).fetch_all(&mut connection).await? {
            applied.push((row.try_get("version")?, row.try_get("checksum")?));
        }
    }
    connection.close().await?;
    compare(&applied, &SQLITE)
}

async fn look_at_postgres(settings: &Settings) -> Result<Look, Fault> {
    let options = PgConnectOptions::from_str(&settings.url)?.application_name("homeostat check");
    let mut connection = options.connect().await?;
    let is_empty: bool =
        sqlx::query(POSTGRES_IS_EMPTY).fetch_one(&mut connection).await?.try_get("answer")?;
    let mut applied = Vec::new();
    if !is_empty {
        for row in sqlx::query(APPLIED).fetch_all(&mut connection).await? {
            applied.push((row.try_get("version")?, row.try_get("checksum")?));
        }
    }
    connection.close().await?;
    compare(&applied, &POSTGRES)
}

/// Steps that were taken, each with the hash of what it did, beside those this version knows.
fn compare(applied: &[(i64, Vec<u8>)], migrator: &Migrator) -> Result<Look, Fault> {
    let known = migrator.iter().map(|step| step.version).max().unwrap_or_default();
    for (version, checksum) in applied {
        match migrator.iter().find(|step| step.version == *version) {
            None => return Err(unfit(Unfit::Newer { found: *version, known })),
            Some(step) if *step.checksum != **checksum => return Err(unfit(Unfit::Changed(*version))),
            Some(_) => {}
        }
    }
    Ok(match migrator.iter().count() - applied.len() {
        _ if applied.is_empty() => Look::Missing,
        0 => Look::Current,
        n_steps => Look::Behind { n_steps },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_look_changes_nothing_and_knows_the_age_of_a_schema() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.db");
        let settings = Settings { url: format!("sqlite://{}", file.display()), max_connections: 1 };
        assert_eq!(look(&settings).await.unwrap(), Look::Missing);
        assert!(!file.exists());

        super::super::open(&settings).await.unwrap().close().await;
        assert_eq!(look(&settings).await.unwrap(), Look::Current);

        let change = async |sql: &'static str| {
            let mut connection =
                SqliteConnectOptions::from_str(&settings.url).unwrap().connect().await.unwrap();
            sqlx::query(sql).execute(&mut connection).await.unwrap();
            connection.close().await.unwrap();
        };
        change("update _sqlx_migrations set checksum = x'00' where version = 1").await;
        assert!(look(&settings).await.is_err());
        change("update _sqlx_migrations set version = 9999 where version = 1").await;
        assert!(look(&settings).await.is_err());
        change("delete from _sqlx_migrations").await;
        assert_eq!(look(&settings).await.unwrap(), Look::Missing);
    }
}
