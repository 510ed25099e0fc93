//! What can go wrong inside the store, before it is known which call it was.
//!
//! A [`Fault`] becomes a [`StoreError`] at the border of the store, where the call gives it its name; no `Fault` leaves.

use super::types::StoreError;

/// A failure inside a call.
#[derive(Debug)]
pub(super) enum Fault {
    Sql(sqlx::Error),
    /// A row that homeostat did not write like this.
    Row(String),
    /// The call ran into its deadline: the other side is silent.
    TimedOut,
    /// What was read at the beginning was changed by another transaction meanwhile.
    Overtaken,
    /// Already in the words of the caller.
    Said(StoreError),
}

/// Which way out there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Another transaction was in the way: the same transaction may succeed at once.
    Conflict,
    /// The database is away, full or shutting down.
    Away,
    Broken,
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Reason(String);

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Said(error)
    }
}

impl Fault {
    /// There is no such row.
    pub(super) fn not_found(what: &'static str, id: impl ToString) -> Self {
        Self::Said(StoreError::NotFound { what, id: id.to_string() })
    }

    /// Whether the whole transaction should be tried again at once.
    pub(super) fn is_conflict(&self) -> bool {
        match self {
            Self::Sql(error) => class_of(error) == Class::Conflict,
            Self::Overtaken => true,
            Self::Row(_) | Self::TimedOut | Self::Said(_) => false,
        }
    }

    /// Whether the database went away, so that it may have done what it was told last.
    pub(super) fn is_away(&self) -> bool {
        match self {
            Self::Sql(error) => class_of(error) == Class::Away,
            Self::TimedOut => true,
            Self::Row(_) | Self::Overtaken | Self::Said(_) => false,
        }
    }

    /// It must not be done, for this reason.
    pub(super) fn refused(reason: impl Into<String>) -> Self {
        Self::Said(StoreError::Refused { reason: reason.into() })
    }

    /// The error of a call that tried to `action`.
    pub(super) fn at(self, action: &'static str) -> StoreError {
        match self {
            Self::Said(error) => error,
            Self::Row(reason) => StoreError::Broken { action, source: Box::new(Reason(reason)) },
            Self::Overtaken => {
                let reason = Reason("other transactions come first again and again".to_owned());
                StoreError::Unavailable { action, source: Box::new(reason) }
            }
            Self::TimedOut => {
                let reason = Reason("the database does not answer in time".to_owned());
                StoreError::Unavailable { action, source: Box::new(reason) }
            }
            Self::Sql(error) => match class_of(&error) {
                Class::Conflict | Class::Away => StoreError::Unavailable { action, source: said(error) },
                Class::Broken => StoreError::Broken { action, source: said(error) },
            },
        }
    }
}

/// The database's own words with the code to look up, without the line of the server's source that sqlx adds.
#[expect(clippy::wildcard_enum_match_arm, reason = "sqlx's error is non-exhaustive")]
fn said(error: sqlx::Error) -> Box<dyn std::error::Error + Send + Sync> {
    match error {
        sqlx::Error::Database(error) => {
            let code = error.code().map_or_else(String::new, |code| format!(" (code {code})"));
            Box::new(Reason(format!("the database says: {}{code}", error.message())))
        }
        error => Box::new(error),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "sqlx's error is non-exhaustive")]
fn class_of(error: &sqlx::Error) -> Class {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => Class::Away,
        sqlx::Error::Database(error) => error.code().map_or(Class::Broken, |code| class_of_code(&code)),
        _ => Class::Broken,
    }
}

/// PostgreSQL's codes have five characters (<https://www.postgresql.org/docs/current/errcodes-appendix.html>), SQLite's are numbers
/// whose low byte is the primary code (<https://www.sqlite.org/rescode.html>).
fn class_of_code(code: &str) -> Class {
    if code.len() == 5 {
        return match (&code[..2], code) {
            (_, "40001" | "40P01" | "55P03") => Class::Conflict,
            // Connection, resources, operator, system; a standby that is not yet the primary, a database that takes no connections for now.
            ("08" | "53" | "57" | "58", _) | (_, "25006" | "55000") => Class::Away,
            _ => Class::Broken,
        };
    }
    match code.parse::<i32>().map(|code| code & 0xff) {
        // BUSY and LOCKED.
        Ok(5 | 6) => Class::Conflict,
        // PERM, NOMEM, READONLY, IOERR, FULL, CANTOPEN and PROTOCOL (locks of a file system that is ill): a disk that is full or was
        // mounted read-only after an error is mended without a new start of the daemon.
        Ok(3 | 7 | 8 | 10 | 13 | 14 | 15) => Class::Away,
        Ok(_) | Err(_) => Class::Broken,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_say_which_way_out_there_is() {
        let cases = [
            ("40001", Class::Conflict),
            ("40P01", Class::Conflict),
            ("57P01", Class::Away),
            ("08006", Class::Away),
            ("53300", Class::Away),
            ("55000", Class::Away),
            ("42P01", Class::Broken),
            ("23505", Class::Broken),
            ("5", Class::Conflict),
            ("517", Class::Conflict),
            ("13", Class::Away),
            ("8", Class::Away),
            ("776", Class::Away),
            ("2067", Class::Broken),
            ("1", Class::Broken),
            ("", Class::Broken),
        ];
        for (code, expected) in cases {
            assert_eq!(class_of_code(code), expected, "{code}");
        }
    }

    #[test]
    fn a_silent_database_is_away_and_a_broken_row_is_broken() {
        assert!(Fault::TimedOut.at("commit").is_transient());
        assert!(!Fault::Row("no such state".to_owned()).at("commit").is_transient());
        assert!(Fault::Sql(sqlx::Error::PoolTimedOut).at("commit").is_transient());
    }
}
