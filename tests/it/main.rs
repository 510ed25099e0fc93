//! All integration tests in one binary: it links once, and its modules share `support`.

/// What other tests stand on: containers, databases, repositories.
mod support;

/// What `scripts/setup test` promises is there.
mod setup;
