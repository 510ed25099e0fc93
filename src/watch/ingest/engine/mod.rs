//! The engine of blocks: raw lines in, findings out, with the place of every line that may yet be needed.
//!
//! The daemon's streams and the scan of files use the same one. It skips to the lines that the scanner marks, remembers the few before
//! them, and unwraps and pushes only what is left; a block without a mark costs one pass and no allocation. What is found, and what is
//! held, is the same as by pushing line after line, however the lines were cut into blocks. No clock and no I/O.

mod around;
mod block_engine;
mod handled;
mod piece;
mod short_cut;
mod skip;

pub(super) use block_engine::{BlockEngine, Input, OddLines};
pub(super) use handled::Spot;
#[cfg(test)]
pub(super) use short_cut::n_short_cuts;
