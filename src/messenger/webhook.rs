//! JSON to any address.

use serde::Serialize;

use super::contract::{Messenger, MessengerError, deliver};
use crate::base::secret::Secret;
use crate::model::notice::Notice;

/// Header that names the delivery: the same for each repetition of one notice.
const DELIVERY: &str = "x-homeostat-delivery";

/// One address.
#[derive(Debug)]
pub(super) struct Webhook {
    pub(super) name: String,
    pub(super) url: Secret,
    pub(super) token: Option<Secret>,
    pub(super) http: reqwest::Client,
}

#[async_trait::async_trait]
impl Messenger for Webhook {
    fn name(&self) -> &str {
        &self.name
    }

    async fn send(&self, notice: &Notice, delivery: &str) -> Result<(), MessengerError> {
        let mut request = self.http.post(self.url.expose()).header(DELIVERY, delivery).json(&wire(notice));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.expose());
        }
        deliver(&self.name, request).await
    }
}

/// The body, version 1. Fields are only added.
#[derive(Debug, Serialize)]
struct WireNotice<'a> {
    version: u8,
    kind: &'static str,
    issue: Option<String>,
    service: &'a str,
    title: &'a str,
    text: &'a str,
    url: Option<&'a str>,
    /// RFC 3339, UTC.
    at: String,
}

fn wire(notice: &Notice) -> WireNotice<'_> {
    WireNotice {
        version: 1,
        kind: notice.kind.name(),
        issue: notice.issue.map(|id| id.to_string()),
        service: &notice.service,
        title: &notice.title,
        text: &notice.text,
        url: notice.url.as_deref(),
        at: notice.at.to_string(),
    }
}
