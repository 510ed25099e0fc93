//! A [`spec::SandboxSpec`] run by a container engine: no network, no credentials, capped. Never names the forge.
//!
//! Only fields of the engine API that Podman knows as well are used. `tests/it/sandbox.rs` tries to break each promise.

pub mod error;
pub mod spec;
