//! The Claude agent: client, conversation machine, tools, budget, transcript. Never names the forge.
//!
//! [`run::run`] is the way in; [`contract`] says what it needs and what it gives.
//! What it reads (logs, the repository, tool output) is data from strangers: redacted once before it is first sent,
//! fenced and capped. What the model says is stored byte for byte and believed in nothing.

mod client;
pub mod contract;
pub mod entry;
pub mod error;
mod machine;
pub mod price;
mod prompt;
pub mod replay;
pub mod run;
pub mod scripted;
pub mod settings;
mod tools;
pub mod tried;
pub mod usage;
