//! A [`spec::SandboxSpec`] run by a container engine: no network, no credentials, capped. Never names the forge.
//!
//! [`engine::Engine`] starts a [`container::Sandbox`] and removes those that were left behind; the sandbox runs one command at a time
//! and takes and gives files as tar. Only fields of the engine API that Podman knows as well are used.
//! `tests/it/sandbox.rs` tries to break each promise.
//!
//! Dependencies are installed beside a [`relay`], which leads to a [`proxy`] of the daemon's own and to nothing else; what was installed
//! becomes a [`snapshot`], an image in which the later sandboxes run.
//!
//! **Invariant:** there is no network, no mount of the host, no credential and no capability inside.
//! **Invariant:** when a command is over, by itself or by its time-out, none of its processes is left.
//! **Invariant:** whatever is run in it, memory, disk, processes and output are capped.

mod body;
mod capture;
pub mod container;
pub mod engine;
pub mod error;
mod exec;
pub mod proxy;
pub mod relay;
pub mod snapshot;
pub mod spec;
mod sweep;
