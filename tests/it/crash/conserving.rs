//! Dozens of things happen to a log, to the database and to the daemon: what is counted is what was written, and every number that is
//! missing lies inside a stored gap.
//!
//! `HOMEOSTAT_ACTIONS` makes a story longer, `HOMEOSTAT_SEED` another one; a failure prints the seed and the last things that happened.

/// Things that happen when the whole suite runs. Stories of hundreds are for looking for what is still wrong: where files are cut at any
/// moment, and where the engine rotates what is read over its API, they find something in one of several runs.
const SHORT: u64 = 40;

/// Containers through the engine's own files, and over its API.
mod container;
/// The real daemon over a database, ended and disturbed.
mod daemon;
/// A log file, rotated, cut, packed and removed.
mod file;
