//! `kill -9` of the real daemon, again and again: nothing is lost, nothing happens twice, nothing is left.

/// Whatever happens to the log meanwhile.
mod conserving;
/// Counts stay exact.
mod counting;
/// One ticket, one proposal, all money accounted, no container.
mod healing;
/// At random moments, over several bugs at once.
mod random;
