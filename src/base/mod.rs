//! The ground floor: time, ids, secrets, back-off, shutdown, error chains.
//!
//! No I/O and no knowledge of anything above. The one exception is [`mod@env`], the only place that reads the
//! process environment, kept here so that every part can be told to use it instead of `std::env`.

pub mod backoff;
pub mod chain;
pub mod clock;
pub mod env;
pub mod id;
pub mod lag;
pub mod markdown;
pub mod metrics;
pub mod redact;
pub mod search;
pub mod secret;
pub mod shutdown;
pub mod swap;
