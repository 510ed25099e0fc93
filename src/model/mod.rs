//! The values that cross borders between parts, and the issue's state machine.
//!
//! No serde and no I/O: wire and row types are separate structs in the parts that own the wire, so that a
//! change of a table or an API never changes what the parts say to each other.

pub mod attempt;
pub mod cursor;
pub mod decision;
pub mod detection;
pub mod fingerprint;
pub mod issue;
pub mod job;
pub mod money;
pub mod notice;
pub mod occurrence;
pub mod proof;
pub mod proposal;
pub mod record;
pub mod service;
pub mod stage;
pub mod ticket;
pub mod trace;
