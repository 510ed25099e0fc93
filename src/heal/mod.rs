//! The healing half: durable stages, each a leased job.

pub mod announce;
pub mod fix;
pub mod land;
pub mod policy;
pub mod propose;
pub mod story;
pub mod ticket;
pub mod worker;
