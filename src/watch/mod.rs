//! The watching half: bytes in, durable occurrences out.

pub mod fingerprint;
pub mod ingest;
pub mod join;
pub mod rules;
pub mod scan;
pub mod source;
pub mod triage;
