//! Alertmanager's webhook: alerts become occurrences, each once however often it is told.
//!
//! [`Alerts::receive`] takes the body of a webhook (version 4) and says how it may be answered. The lines behind an alert are asked of
//! Loki where one is configured; where it cannot answer, what the alert itself says is kept. The route belongs to `http`.

mod body;
mod expression;
mod loki;
mod receive;

pub use body::{Alert, InvalidBody, Webhook};
pub use loki::{LokiSettings, check as check_loki};
pub use receive::{AlertAnswer, AlertParts, AlertSettings, Alerts, AlertsError};
