//! Grafana Loki: the lines of queries, read with `query_range` from a cursor.
//!
//! `client` asks one thing and says what an error asks for; `answer` reads what comes; `pages` gets all entries of a range, whatever
//! limits are in the way; `follow` is the source. Loki's `tail` drops lines without a word, so every line is asked for with `query_range`;
//! `tail` only listens whether something came.
//!
//! API: <https://grafana.com/docs/loki/latest/reference/loki-http-api/#query-logs-within-a-range-of-time>

mod answer;
mod client;
mod follow;
mod pages;
mod selector;
mod tail;

pub use answer::{LogStream, LokiEntry, read};
pub use client::{Auth, Client, LokiError, Range, Remedy, Server};
pub use follow::{Query, Settings, check, run, writer};
pub use pages::{Page, Pages};
