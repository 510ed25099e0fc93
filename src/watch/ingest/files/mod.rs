//! What `homeostat scan` does: whole files through the pipeline, at the speed of the prefilter.
//!
//! Files are read in large page-aligned blocks. A block without a hit and without an open record costs the prefilter, a
//! count of its lines and a glance at its last ones. **Invariant:** what is found is what pushing line after line into
//! [`super::pipeline`] finds, however the file is cut into blocks.

mod blocks;
mod engine;
mod row;

pub use engine::{FileFound, Scan};
pub use row::{ScanRow, Summary};
