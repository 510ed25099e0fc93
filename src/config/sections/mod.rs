//! One function per section of the config: reads its keys, checks them, gives the settings of the part it is for.

pub(super) mod agent;
pub(super) mod alerts;
pub(super) mod dependencies;
pub(super) mod fingerprints;
pub(super) mod github;
pub(super) mod heal;
pub(super) mod loki;
pub(super) mod policy;
pub(super) mod receive;
pub(super) mod samples;
pub(super) mod serve;
pub(super) mod service_rules;
pub(super) mod services;
pub(super) mod watch;
