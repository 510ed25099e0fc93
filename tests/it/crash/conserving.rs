//! Hundreds of things happen to a log, to the database and to the daemon: what is counted is what was written, and every number that is
//! missing lies inside a stored gap.
//!
//! `HOMEOSTAT_ACTIONS` makes a story longer, `HOMEOSTAT_SEED` another one; a failure prints the seed and the last things that happened.

/// Containers through the engine's own files, and over its API.
mod container;
/// The real daemon over a database, ended and disturbed.
mod daemon;
/// A log file, rotated, cut, packed and removed.
mod file;
