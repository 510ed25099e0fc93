//! The command line: run, check, scan, explain, fingerprint, demo, status, issue, job, spend, pause, resume.
//!
//! Commands that talk to the store do so directly, beside a running daemon or without one. Output for programs goes to
//! standard output, everything for people to standard error where both are printed.

mod args;
mod check;
mod context;
mod cost;
mod demo;
pub mod demo_project;
mod exit;
mod explain;
mod fingerprint;
mod issue;
mod job;
mod merge;
mod print;
mod problems;
mod replay;
mod run;
mod scan;
mod serve;
mod spend;
mod status;

pub use run::main;
