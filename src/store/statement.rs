//! A statement in both dialects, and the macros that write it once where one text serves both.
//!
//! Every statement stands in a `statements!` list, so that a test can prepare them all on both databases.

/// One statement. Both texts take the same parameters (`$1`, `$2` …) and give the same columns.
#[derive(Debug, Clone, Copy)]
pub struct Sql {
    pub sqlite: &'static str,
    pub postgres: &'static str,
}

impl Sql {
    /// A text that means the same to both.
    pub(super) const fn both(text: &'static str) -> Self {
        Self { sqlite: text, postgres: text }
    }

    /// The first line of the text, without the dashes.
    pub fn name(&self) -> &'static str {
        self.sqlite.lines().next().unwrap_or_default().trim_start_matches("-- ")
    }
}

/// Names the statements of a file, and lists them in `STATEMENTS`.
macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident = $sql:expr;)*) => {
        $($(#[$doc])* const $name: $crate::store::statement::Sql = $sql;)*
        /// Every statement of this file.
        pub(super) const STATEMENTS: &[$crate::store::statement::Sql] = &[$($name),*];
    };
}

/// A `select` that ends in the rows it found being locked until the end of the transaction. SQLite has one writer: nothing to lock.
macro_rules! for_update {
    ($($text:expr),+) => {
        $crate::store::statement::Sql {
            sqlite: concat!($($text),+),
            postgres: concat!($($text),+, "\nfor update"),
        }
    };
}

/// A statement over many rows, handed in as one JSON array in `$1`: between the two texts stands a table `r` with the named
/// columns and `ordinal`, which counts from 1. One round trip however many rows; ids and hashes are hex in the JSON.
macro_rules! batch {
    ($before:expr, [$($name:ident $kind:ident),+ $(,)?], $after:expr) => {
        $crate::store::statement::Sql {
            sqlite: concat!(
                $before,
                "(select key + 1 as ordinal", $(", ", batch!(@sqlite $name $kind)),+, " from json_each($1)) as r",
                $after
            ),
            postgres: concat!(
                $before,
                "(select ordinal", $(", ", batch!(@postgres $name $kind)),+,
                " from jsonb_array_elements($1::jsonb) with ordinality as each(value, ordinal)) as r",
                $after
            ),
        }
    };
    (@sqlite $name:ident uuid) => { concat!("unhex(value ->> '", stringify!($name), "') as ", stringify!($name)) };
    (@sqlite $name:ident bytes) => { batch!(@sqlite $name uuid) };
    (@sqlite $name:ident $kind:ident) => { concat!("value ->> '", stringify!($name), "' as ", stringify!($name)) };
    (@postgres $name:ident uuid) => { concat!("(value ->> '", stringify!($name), "')::uuid as ", stringify!($name)) };
    (@postgres $name:ident bytes) => {
        concat!("decode(value ->> '", stringify!($name), "', 'hex') as ", stringify!($name))
    };
    (@postgres $name:ident int) => { concat!("(value ->> '", stringify!($name), "')::bigint as ", stringify!($name)) };
    (@postgres $name:ident text) => { concat!("value ->> '", stringify!($name), "' as ", stringify!($name)) };
}

pub(super) use {batch, for_update, statements};
