//! One story, run on SQLite and on PostgreSQL.
