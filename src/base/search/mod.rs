//! Many literals searched for at once, without regard to case: what the scan of raw blocks and the rules share.
//!
//! With AVX2 where the processor has it, else with an automaton; which of the two is chosen when the program runs, and both
//! find the same. Pure.

mod cuts;
pub mod digits;
mod literals;
mod rarity;
mod required;
#[cfg(target_arch = "x86_64")]
mod vector;
#[cfg(target_arch = "x86_64")]
mod windowed;
#[cfg(target_arch = "x86_64")]
mod windows;

pub use cuts::Cut;
pub use literals::{Literals, ORDINARY};
pub use required::{Cost, RequiredLiterals, Searched};
