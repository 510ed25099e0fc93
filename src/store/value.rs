//! What goes into a statement and comes out of a row, the same for both databases.

use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{Decode, Postgres, Row as _, Sqlite, Type};
use uuid::Uuid;

use super::fault::Fault;
use crate::base::clock::Timestamp;
use crate::base::id::{AliasId, AttemptId, IssueId, JobId, LeaseToken, ProposalId, ReservationId, TicketId};
use crate::model::fingerprint::Fingerprint;
use crate::model::money::NanoUsd;

/// A parameter. `None` is null of that type: PostgreSQL wants to know.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Int(Option<i64>),
    Text(Option<String>),
    Bytes(Option<Vec<u8>>),
    Uuid(Option<Uuid>),
    Bool(bool),
}

/// The parameters of a statement, in order.
macro_rules! args {
    ($($value:expr),* $(,)?) => { vec![$($crate::store::value::Value::from($value)),*] };
}
pub(super) use args;

macro_rules! value_from {
    ($($source:ty => $variant:ident, $convert:expr;)*) => {
        $(
            impl From<$source> for Value {
                fn from(value: $source) -> Self {
                    Self::$variant(Some(($convert)(value)))
                }
            }
            impl From<Option<$source>> for Value {
                fn from(value: Option<$source>) -> Self {
                    Self::$variant(value.map($convert))
                }
            }
        )*
    };
}

value_from! {
    i64 => Int, |it| it;
    i32 => Int, i64::from;
    u32 => Int, i64::from;
    u64 => Int, saturated;
    NanoUsd => Int, |it: NanoUsd| it.0;
    Timestamp => Int, |it: Timestamp| it.as_microsecond();
    &str => Text, without_nul;
    String => Text, |it: String| without_nul(&it);
    &String => Text, |it: &String| without_nul(it);
    Fingerprint => Bytes, |it: Fingerprint| it.stored();
    Vec<u8> => Bytes, |it| it;
    Uuid => Uuid, |it| it;
    IssueId => Uuid, IssueId::uuid;
    JobId => Uuid, JobId::uuid;
    LeaseToken => Uuid, LeaseToken::uuid;
    AliasId => Uuid, AliasId::uuid;
    AttemptId => Uuid, AttemptId::uuid;
    ProposalId => Uuid, ProposalId::uuid;
    TicketId => Uuid, TicketId::uuid;
    ReservationId => Uuid, ReservationId::uuid;
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

/// A count as the database's integer.
pub(super) fn saturated(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// PostgreSQL's text cannot hold a NUL; logs can. Both databases get the same text.
pub(super) fn without_nul(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// Rows as one JSON array, for `batch!`; a NUL becomes U+FFFD here too.
pub(super) fn json_rows<T: serde::Serialize>(rows: &[T]) -> Result<Value, Fault> {
    let mut json = Vec::with_capacity(rows.len() * 256);
    serde::Serialize::serialize(rows, &mut serde_json::Serializer::with_formatter(&mut json, NoNul))
        .map_err(|error| Fault::Row(format!("failed to write rows as JSON: {error}")))?;
    let text = String::from_utf8(json).map_err(|error| Fault::Row(format!("rows are no text: {error}")))?;
    Ok(Value::Text(Some(text)))
}

struct NoNul;

impl serde_json::ser::Formatter for NoNul {
    fn write_char_escape<W: ?Sized + std::io::Write>(
        &mut self,
        writer: &mut W,
        escape: serde_json::ser::CharEscape,
    ) -> std::io::Result<()> {
        if matches!(escape, serde_json::ser::CharEscape::AsciiControl(0)) {
            return writer.write_all("\u{fffd}".as_bytes());
        }
        serde_json::ser::CompactFormatter.write_char_escape(writer, escape)
    }
}

/// A fingerprint as hex digits, for a `bytes` column of `batch!`.
pub(super) fn hex_of(fingerprint: Fingerprint) -> String {
    hex::encode(fingerprint.stored())
}

/// An id as hex digits, for a `uuid` column of `batch!`.
pub(super) fn hex_id(id: Uuid) -> String {
    hex::encode(id.as_bytes())
}

/// A row of either database.
#[derive(Debug)]
pub(super) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

/// What both databases can read from a column.
pub(super) trait Column:
    for<'row> Decode<'row, Sqlite> + Type<Sqlite> + for<'row> Decode<'row, Postgres> + Type<Postgres>
{
}

impl<T> Column for T where
    T: for<'row> Decode<'row, Sqlite> + Type<Sqlite> + for<'row> Decode<'row, Postgres> + Type<Postgres>
{
}

impl Row {
    pub(super) fn get<T: Column>(&self, column: &'static str) -> Result<T, Fault> {
        let value = match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        };
        Ok(value?)
    }

    pub(super) fn text(&self, column: &'static str) -> Result<String, Fault> {
        self.get(column)
    }

    pub(super) fn time(&self, column: &'static str) -> Result<Timestamp, Fault> {
        time(column, self.get(column)?)
    }

    pub(super) fn time_or_none(&self, column: &'static str) -> Result<Option<Timestamp>, Fault> {
        self.get::<Option<i64>>(column)?.map(|micros| time(column, micros)).transpose()
    }

    /// A count of any unsigned type.
    pub(super) fn count<T: TryFrom<i64>>(&self, column: &'static str) -> Result<T, Fault> {
        let number: i64 = self.get(column)?;
        T::try_from(number).map_err(|_| wrong(column, number))
    }

    pub(super) fn money(&self, column: &'static str) -> Result<NanoUsd, Fault> {
        self.get(column).map(NanoUsd)
    }

    pub(super) fn fingerprint(&self, column: &'static str) -> Result<Fingerprint, Fault> {
        fingerprint(column, self.get(column)?)
    }

    pub(super) fn fingerprint_or_none(&self, column: &'static str) -> Result<Option<Fingerprint>, Fault> {
        self.get::<Option<Vec<u8>>>(column)?.map(|bytes| fingerprint(column, bytes)).transpose()
    }

    /// The value with the name that stands in `column`.
    pub(super) fn named<T>(
        &self,
        column: &'static str,
        from_name: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, Fault> {
        let name = self.text(column)?;
        from_name(&name).ok_or_else(|| wrong(column, name))
    }
}

fn time(column: &'static str, micros: i64) -> Result<Timestamp, Fault> {
    Timestamp::from_microsecond(micros).map_err(|_| wrong(column, micros))
}

fn fingerprint(column: &'static str, bytes: Vec<u8>) -> Result<Fingerprint, Fault> {
    Fingerprint::from_stored(&bytes).ok_or_else(|| wrong(column, hex::encode(bytes)))
}

/// The fault of a column that holds what homeostat never writes there.
pub(super) fn wrong(column: &'static str, value: impl std::fmt::Display) -> Fault {
    Fault::Row(format!("column `{column}` holds `{value}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nul_never_reaches_the_database() {
        let Value::Text(Some(json)) = json_rows(&["a\0b \\u0000 \"\n"]).unwrap() else {
            panic!("rows are text");
        };
        assert_eq!(json, "[\"a\u{fffd}b \\\\u0000 \\\"\\n\"]");
        assert_eq!(without_nul("a\0b"), "a\u{fffd}b");
    }
}
