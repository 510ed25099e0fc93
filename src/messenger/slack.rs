//! Slack incoming webhooks: <https://api.slack.com/messaging/webhooks>.

use serde_json::{Value, json};

use super::contract::{Messenger, MessengerError, deliver};
use crate::base::markdown::cap_chars;
use crate::base::secret::Secret;
use crate::model::notice::Notice;

/// One channel's webhook.
#[derive(Debug)]
pub(super) struct Slack {
    pub(super) name: String,
    pub(super) url: Secret,
    pub(super) http: reqwest::Client,
}

#[async_trait::async_trait]
impl Messenger for Slack {
    fn name(&self) -> &str {
        &self.name
    }

    async fn send(&self, notice: &Notice, _: &str) -> Result<(), MessengerError> {
        deliver(&self.name, self.http.post(self.url.expose()).json(&message(notice))).await
    }
}

/// Foreign words stand in `plain_text` objects, which know no mentions, links or formats; the fallback text is escaped.
/// <https://api.slack.com/reference/block-kit/composition-objects#text>
fn message(notice: &Notice) -> Value {
    let mut blocks = vec![
        json!({"type": "header", "text": {"type": "plain_text", "text": cap_chars(&notice.title, 150), "emoji": false}}),
        json!({"type": "section", "text": {"type": "plain_text", "text": cap_chars(&notice.text, 2_900), "emoji": false}}),
    ];
    if let Some(url) = notice.url.as_deref().filter(|url| url.starts_with("http")) {
        let link = format!("<{}|Read more>", escape(url).replace('|', "%7C"));
        blocks.push(
            json!({"type": "context", "elements": [{"type": "mrkdwn", "text": link, "verbatim": true}]}),
        );
    }
    json!({
        "text": escape(&notice.title),
        "blocks": blocks,
        "unfurl_links": false,
        "unfurl_media": false,
    })
}

/// The three characters that Slack gives a meaning: <https://api.slack.com/reference/surfaces/formatting#escaping>
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::Timestamp;
    use crate::model::notice::NoticeKind;

    #[test]
    fn hostile_words_are_plain_text() {
        let notice = Notice {
            issue: None,
            kind: NoticeKind::IssueOpened,
            service: "shop".to_owned(),
            title: "shop: new error: <!channel> & <https://evil.example|click>".to_owned(),
            text: "Seen once.\n*bold* :smile:".to_owned(),
            url: Some("https://github.com/acme/shop/issues/7".to_owned()),
            at: Timestamp::UNIX_EPOCH,
        };
        insta::assert_json_snapshot!(message(&notice));
    }
}
