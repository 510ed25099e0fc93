//! The tools: what the model may do in its workspace, and nothing else. No push, no network.
//!
//! Each is built over [`crate::agent::contract::Workspace::run`]. What goes back to the model is cleaned of escapes and
//! invisible characters, redacted, and capped, once, before it is first sent.
//!
//! **Invariant:** no path leaves the repository, through `..` or through a link.
//! **Invariant:** a redacted value is a numbered placeholder that edits put back; nothing else of that form is ever written.

mod command;
mod complete;
mod edit;
mod files;
mod input;
mod lists;
mod path;
pub(super) mod run;
pub(super) mod schema;
pub(super) mod text;
