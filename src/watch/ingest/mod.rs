//! Ties the watching half together and commits occurrences with their cursors.

pub mod decode;
pub mod pipeline;
