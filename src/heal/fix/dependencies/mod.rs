//! Installs a project's dependencies before anything is run, and keeps what was installed.
//!
//! What declares them is taken from the base branch by the host (`manifests`), and it is all that the container of the installation
//! gets: no source, no log, no credential; its one way out is the allow-listing proxy. How it is done is data per package manager
//! (`recipe`); scripts of packages run only where the config says so. What was installed becomes a snapshot, known by a hash of all that
//! it depends on, in which the agent works and the checks run without any network (`install`). An installation that
//! fails is a diagnosis and not an error.

mod install;
mod manifests;
mod recipe;
mod settings;

pub(super) use install::{Installation, Prepared};
pub use settings::{OnFailure, Settings};
