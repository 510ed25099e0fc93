//! What stages tell people: texts built from the store, and timeline entries written once.
//!
//! Every text that holds words of a log, a model or a repository is made by [`crate::base::markdown`]'s functions and
//! by nothing else. Texts are pure functions of stored values; their looks are snapshots beside them.

pub mod attempt;
pub mod evidence;
pub mod marker;
pub mod notice;
pub mod proposal;
pub mod ticket;
pub mod timeline;

#[cfg(test)]
mod fixture;
