//! What integration tests stand on: a container, a database, a repository, each fresh, each with a name of its own, each gone at the
//! end of the test, also when it panics.
//!
//! They are the real things (the machine's engine, PostgreSQL and git), as `scripts/setup test` has started them. A test never skips
//! because one of them is away: it fails and says what to run. What stands outside of the machine is scripted, and strict: `github`.

/// Seeds, and how many things happen.
pub(crate) mod chance;
pub(crate) mod docker;
/// A scripted container engine.
pub(crate) mod engine;
pub(crate) mod git;
/// A strict scripted GitHub: its REST API over real repositories.
pub(crate) mod github;
/// A network that can be cut.
pub(crate) mod link;
/// A strict Loki.
pub(crate) mod loki;
/// Its tail.
pub(crate) mod loki_tail;
pub(crate) mod name;
/// Numbered errors, and which of them may be missing.
pub(crate) mod numbered;
pub(crate) mod postgres;
pub(crate) mod private_engine;
pub(crate) mod program;
/// Registries of packages.
pub(crate) mod registry;
pub(crate) mod streams;
pub(crate) mod wait;
/// The watching half over a source, as the daemon runs it.
pub(crate) mod watching;
