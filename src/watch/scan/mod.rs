//! Find candidate lines in raw bytes: one prefilter for the required literals of all rules, then the rules themselves.
//!
//! Whole blocks are searched at once; lines are cut only around hits. Pure.

mod prefilter;
mod scanner;
#[cfg(target_arch = "x86_64")]
mod vector;
#[cfg(target_arch = "x86_64")]
mod windowed;
#[cfg(target_arch = "x86_64")]
mod windows;

pub use scanner::Scanner;
