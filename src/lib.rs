//! homeostat watches what running services log and heals what breaks.
//!
//! # Bird's eye view
//!
//! One daemon with two halves that meet in a database. The **watching half** turns bytes from containers and files into
//! durable occurrences: source → scan → join → redact → detect → fingerprint → triage → one commit. The **healing
//! half** runs durable jobs: ticket → fix → propose → land, and announce beside them; each is leased, retried and
//! resumed through the queue, and no stage calls another.
//!
//! # Entry points
//!
//! `main` parses the command line and hands over to [`cli`]. `homeostat run` builds everything in [`daemon`].
//! To follow one error, start at `watch::ingest`; to follow one fix, at `heal::fix`.
//!
//! # Invariants
//!
//! 1. A cursor is committed only together with everything read before it; counts are exact across `kill -9`.
//! 2. What is lost all the same is a gap: counted, stored, shown.
//! 3. No foreign text leaves the watching half that has not passed the redactor ([`base::redact`]).
//! 4. Foreign text that reaches the model is data: fenced, capped, escaped.
//! 5. No credential is ever inside a sandbox, and its container has no network.
//! 6. Nothing reaches the default branch but through a proposal.
//! 7. Money is reserved before each model call and settled after it; an unknown price is no call.
//! 8. Killing the process at any instant repeats at most one outside step, and that one looks before it creates.
//! 9. The pause switch stops new leases at once and running work within seconds, and survives a restart.
//! 10. Odd input is a value and a counter, never an error that stops a source.
//!
//! Two walls hold whatever else changes: `agent`, `sandbox` and `heal::fix` never name `forge`; `heal::propose` and
//! `heal::land` never name `agent`. `tests/tidy.rs` guards these and every other direction.
//!
//! # Modules in reading order

pub mod agent;
pub mod base;
pub mod cli;
pub mod config;
pub mod daemon;
pub mod forge;
pub mod github;
pub mod heal;
pub mod http;
pub mod messenger;
pub mod model;
pub mod repo;
pub mod sandbox;
pub mod store;
pub mod tracker;
pub mod watch;
