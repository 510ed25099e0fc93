//! Where lines come from: Docker containers, files, the journal, Loki, and what is sent as OTLP or syslog, each with its cursor.
//!
//! Sources find what there is to read, read it to its end, and wait when nobody takes the lines. They know no store and no rule: a
//! [`lane`] gives them a stream's committed cursor and takes whole lines.
//!
//! **Invariant:** what a source sends is in order and without a hole from the cursor it was given; what it could not read it
//! reports as a loss.

mod ahead;
mod bell;
mod blocking;
pub mod docker;
pub mod file;
pub mod journal;
pub mod lane;
pub mod loki;
pub mod otlp;
mod own;
mod pace;
pub mod spool;
pub mod syslog;
mod writers;
