//! The lines of the same stream around a record, for those whose text may be kept.
//!
//! Lines that no error stands among cost nothing; an error costs one look whether its like was shown enough of already. They are
//! evidence and nothing else: no count and no identity hangs on them, and what is not at hand is left out.

mod lines;
mod recent;
mod select;

pub use select::Settings;

pub(super) use lines::{Lines, MAX_LOOKED_AT, Wants, within};
pub(super) use recent::Recents;
pub(super) use select::Select;
