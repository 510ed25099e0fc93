//! OTLP/HTTP: `POST /v1/logs` from any collector or SDK, protobuf or JSON, gzip or plain.
//!
//! What is answered 200 is durable: it stands in the spool, from which the lane gets it. `wire` and `json` read the two forms into `Logs`,
//! `text` makes lines of them as an application would have printed them, `server` answers.
//!
//! Protocol: <https://opentelemetry.io/docs/specs/otlp/#otlphttp>, messages:
//! <https://github.com/open-telemetry/opentelemetry-proto/blob/main/opentelemetry/proto/logs/v1/logs.proto>

mod json;
mod server;
mod text;
mod wire;

pub use json::read as read_json;
pub use server::{Settings, run};
pub use text::{Logs, items};
pub use wire::read as read_protobuf;
