//! API, webhooks in, dashboard, metrics, health.
//!
//! Pages are rendered here, readable without JavaScript, and need nothing from outside. A small script listens to
//! server-sent events and swaps the page's content when something changed. Every answer carries a strict content
//! security policy; every change is a POST that must come from the same site.

mod actions;
mod alerts;
mod assets;
mod error;
mod guard;
mod health;
mod live;
mod login;
mod merges;
mod pages;
mod path_id;
mod router;
mod rule_cost;
mod server;
mod settings;
mod state;

pub use router::router;
pub use server::serve;
pub use settings::Settings;
pub use state::{App, Parts};
