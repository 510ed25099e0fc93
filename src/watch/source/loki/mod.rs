//! Grafana Loki: the lines of queries, read with `query_range` from a cursor.
//!
//! `client` asks one thing and says what an error asks for; `answer` reads what comes; `pages` gets all entries of a range, whatever
//! limits are in the way; `follow` is the source. Loki's `tail` is not used: it drops lines without a word, so every line would have to
//! be asked for with `query_range` all the same.
//!
//! API: <https://grafana.com/docs/loki/latest/reference/loki-http-api/#query-logs-within-a-range-of-time>

mod answer;
mod client;
mod follow;
mod pages;
mod selector;

pub use answer::{LogStream, LokiEntry, read};
pub use client::{Auth, Client, LokiError, Range, Remedy, Server};
pub use follow::{Query, Settings, check, run};
pub use pages::{Page, Pages};
