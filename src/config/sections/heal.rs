//! `[heal]`, `[tracker]`, `[forge]`: how much runs at once, and where tickets and proposals go.

use std::time::Duration;

use super::super::document::Section;
use crate::heal::worker;
use crate::messenger;

/// Where tickets or proposals go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// homeostat's own: the dashboard.
    Local,
    GitHub,
}

const PLACES: [(&str, Place); 2] = [("local", Place::Local), ("github", Place::GitHub)];

/// Reads `[heal]`: `None` if healing is off.
pub(in crate::config) fn worker(root: &Section<'_>) -> Option<worker::Settings> {
    let section = root.section("heal");
    let is_enabled = section.flag("enabled", true);
    let default = worker::Settings::default();
    let count = |key, default: usize| {
        let n = section.number(key, 1..=64, default as u64);
        usize::try_from(n).unwrap_or(default)
    };
    let second = Duration::from_secs(1);
    let lease_ttl = section.duration("lease", 3 * second..=3600 * second, default.lease_ttl);
    let settings = worker::Settings {
        lease_ttl,
        // A few may fail before the lease is lost.
        heartbeat_every: default.heartbeat_every.min(lease_ttl / 6),
        n_short: count("jobs", default.n_short),
        n_fixes: count("fixes", default.n_fixes),
        ..default
    };
    section.finish();
    is_enabled.then_some(settings)
}

/// Reads `[tracker]` or `[forge]`. GitHub needs `[github]` with a token.
pub(in crate::config) fn place(root: &Section<'_>, key: &'static str, has_github: bool) -> Place {
    let section = root.section(key);
    let place = section.choice("kind", &PLACES, Place::Local);
    if place == Place::GitHub && !has_github && !root.section("github").is_there() {
        section.wrong::<()>(
            "kind",
            None,
            "\"github\" needs a token",
            "add [github] with token = { file = \"…\" }",
        );
    }
    section.finish();
    place
}

/// Reads `[[messenger]]`.
pub(in crate::config) fn messengers(root: &Section<'_>) -> Vec<messenger::Settings> {
    let mut messengers: Vec<messenger::Settings> = Vec::new();
    for (idx, section) in root.sections("messenger").into_iter().enumerate() {
        let kind = section.choice("kind", &[("slack", Some(true)), ("webhook", Some(false))], None);
        for key in ["kind", "url"] {
            if !section.has(key) {
                section.wrong::<()>(key, None, "is missing", "a messenger needs `kind` and `url`");
            }
        }
        let name = section.text("name").map_or_else(|| format!("messenger {}", idx + 1), |found| found.value);
        let url = section.secret("url").filter(|url| {
            let is_address =
                url::Url::parse(url.expose()).is_ok_and(|it| matches!(it.scheme(), "http" | "https"));
            if !is_address {
                let hint = "put one address into it, for example https://hooks.slack.com/services/…";
                section.wrong::<()>("url", None, "the secret holds no http or https address", hint);
            }
            is_address
        });
        let token = section.secret("token");
        if let (Some(is_slack), Some(url)) = (kind, url) {
            let kind = if is_slack {
                messenger::Kind::Slack { url }
            } else {
                messenger::Kind::Webhook { url, token }
            };
            messengers.push(messenger::Settings::new(name, kind));
        }
        section.finish();
    }
    messengers
}
