//! Find candidate lines in raw bytes: one prefilter for the required literals of all rules, then the rules themselves.
//!
//! Whole blocks are searched at once; lines are cut only around hits. Pure.

mod scanner;

pub use scanner::Scanner;
