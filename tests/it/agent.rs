//! The agent against the strict scripted model server.
//!
//! The workspace is a real sandbox with a real repository; only the model is scripted, and that over the real protocol.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up its scene must fail")]

mod attempt;
mod client;
mod desk;
mod limits;
mod refusals;
mod tools;
