//! Notices out: Slack incoming webhooks, generic webhooks.
//!
//! One trait, [`Messenger`]; one try per call, with a time limit. A notice's texts are plain and safe already, and are
//! sent as plain text all the same.

mod contract;
mod settings;
mod slack;
mod webhook;

pub use contract::{Messenger, MessengerError};
pub use settings::{Kind, Settings, build};
