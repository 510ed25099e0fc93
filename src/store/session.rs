//! One connection at work: a transaction, or a connection that reads. Runs statements in the dialect of its database.

use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, Postgres, Sqlite, SqliteConnection, Transaction};

use super::fault::Fault;
use super::statement::Sql;
use super::value::{Row, Value};

/// A connection with, for writes, an open transaction; dropping it takes everything back.
#[derive(Debug)]
pub(super) struct Session {
    connection: Connection,
    /// Whether jobs were queued: whoever waits for them is nudged after the commit.
    pub(super) has_queued: bool,
    /// Whether doing it twice would show: should the answer to the commit be lost, it is asked for.
    pub(super) counts: bool,
}

#[derive(Debug)]
pub(super) enum Connection {
    Sqlite(Transaction<'static, Sqlite>),
    SqliteReader(PoolConnection<Sqlite>),
    Postgres(Transaction<'static, Postgres>),
    PostgresReader(PoolConnection<Postgres>),
}

enum Link<'a> {
    Sqlite(&'a mut SqliteConnection),
    Postgres(&'a mut PgConnection),
}

/// Binds values to a query of either database.
macro_rules! bound {
    ($database:ty, $sql:expr, $values:expr) => {{
        let mut query = sqlx::query::<$database>($sql);
        for value in $values {
            query = match value {
                Value::Int(value) => query.bind(value),
                Value::Text(value) => query.bind(value),
                Value::Bytes(value) => query.bind(value),
                Value::Uuid(value) => query.bind(value),
                Value::Bool(value) => query.bind(value),
            };
        }
        query
    }};
}

impl Session {
    pub(super) fn new(connection: Connection) -> Self {
        Self { connection, has_queued: false, counts: false }
    }

    fn link(&mut self) -> Link<'_> {
        match &mut self.connection {
            Connection::Sqlite(transaction) => Link::Sqlite(transaction),
            Connection::SqliteReader(connection) => Link::Sqlite(connection),
            Connection::Postgres(transaction) => Link::Postgres(transaction),
            Connection::PostgresReader(connection) => Link::Postgres(connection),
        }
    }

    /// The connection, if this is a transaction of PostgreSQL.
    pub(super) fn postgres(&mut self) -> Option<&mut PgConnection> {
        match &mut self.connection {
            Connection::Postgres(transaction) => Some(transaction),
            Connection::Sqlite(_) | Connection::SqliteReader(_) | Connection::PostgresReader(_) => None,
        }
    }

    /// All rows.
    pub(super) async fn all(&mut self, sql: &Sql, values: Vec<Value>) -> Result<Vec<Row>, Fault> {
        match self.link() {
            Link::Sqlite(connection) => {
                let rows = bound!(Sqlite, sql.sqlite, values).fetch_all(connection).await?;
                Ok(rows.into_iter().map(Row::Sqlite).collect())
            }
            Link::Postgres(connection) => {
                let rows = bound!(Postgres, sql.postgres, values).fetch_all(connection).await?;
                Ok(rows.into_iter().map(Row::Postgres).collect())
            }
        }
    }

    /// The first row, if there is one.
    pub(super) async fn first(&mut self, sql: &Sql, values: Vec<Value>) -> Result<Option<Row>, Fault> {
        match self.link() {
            Link::Sqlite(connection) => {
                let row = bound!(Sqlite, sql.sqlite, values).fetch_optional(connection).await?;
                Ok(row.map(Row::Sqlite))
            }
            Link::Postgres(connection) => {
                let row = bound!(Postgres, sql.postgres, values).fetch_optional(connection).await?;
                Ok(row.map(Row::Postgres))
            }
        }
    }

    /// The row that every answer to this statement has.
    pub(super) async fn one(&mut self, sql: &Sql, values: Vec<Value>) -> Result<Row, Fault> {
        self.first(sql, values).await?.ok_or_else(|| Fault::Row(format!("`{}` gave no row", sql.name())))
    }

    /// Changes rows; how many.
    pub(super) async fn run(&mut self, sql: &Sql, values: Vec<Value>) -> Result<u64, Fault> {
        match self.link() {
            Link::Sqlite(connection) => {
                Ok(bound!(Sqlite, sql.sqlite, values).execute(connection).await?.rows_affected())
            }
            Link::Postgres(connection) => {
                Ok(bound!(Postgres, sql.postgres, values).execute(connection).await?.rows_affected())
            }
        }
    }

    /// Makes the transaction durable.
    pub(super) async fn commit(self) -> Result<(), Fault> {
        match self.connection {
            Connection::Sqlite(transaction) => transaction.commit().await?,
            Connection::Postgres(mut transaction) => {
                if self.has_queued {
                    sqlx::query(super::nudge::NOTIFY).execute(&mut *transaction).await?;
                }
                transaction.commit().await?;
            }
            Connection::SqliteReader(_) | Connection::PostgresReader(_) => {}
        }
        Ok(())
    }
}
