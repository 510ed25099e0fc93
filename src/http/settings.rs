//! What the config says about HTTP.

use std::net::{Ipv4Addr, SocketAddr};

use url::Url;

use crate::base::redact::Redactor;
use crate::base::secret::Secret;
use crate::store::types::SpendLimits;

/// Where to listen and who may come in.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Address to bind. Anything but loopback needs `token`.
    pub listen: SocketAddr,
    /// What people and programs must show: as a bearer token, or once on the login page.
    pub token: Option<Secret>,
    /// Address under which people reach the dashboard, for links in tickets and notices.
    pub public_url: Url,
    /// For what is stored as it was made: patches.
    pub redactor: Redactor,
    /// Limits on money, for people to see.
    pub spend: SpendLimits,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8686)),
            token: None,
            public_url: Url::parse("http://127.0.0.1:8686").expect("a constant address"),
            redactor: Redactor::builtin(),
            spend: SpendLimits::default(),
        }
    }
}
