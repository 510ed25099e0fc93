//! `[sandbox.dependencies]`: what an installation of dependencies may do and reach.

use std::time::Duration;

use url::Url;

use super::super::document::Section;
use crate::heal::fix::dependencies::{OnFailure, Settings};
use crate::sandbox::proxy::Target;
use crate::sandbox::snapshot::Keep;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// Reads it. `image` is that of the sandbox.
pub(super) fn dependencies(sandbox: &Section<'_>, image: &str) -> Settings {
    let section = sandbox.section("dependencies");
    let default = Settings::default();
    let minutes = |n: u64| Duration::from_secs(n * 60);
    let days = |n: u64| Duration::from_secs(n * 86_400);
    let on_failure = [("continue", OnFailure::Continue), ("stop", OnFailure::Stop)];
    let settings = Settings {
        is_enabled: section.flag("enabled", default.is_enabled),
        allow: targets(&section, "allow").unwrap_or(default.allow),
        internal: targets(&section, "internal").unwrap_or(default.internal),
        runs_scripts: section.flag("scripts", default.runs_scripts),
        on_failure: section.choice("on_failure", &on_failure, default.on_failure),
        environment: environment(&section),
        timeout: section.duration("max_time", minutes(1)..=minutes(120), default.timeout),
        max_bytes: section.bytes("max_size", MIB..=64 * GIB, default.max_bytes),
        keep: Keep {
            age: section.duration("keep", days(1)..=days(365), default.keep.age),
            total_bytes: section.bytes("keep_size", MIB..=1024 * GIB, default.keep.total_bytes),
        },
        relay_image: section.text("relay_image").map_or_else(|| image.to_owned(), |found| found.value),
    };
    section.finish();
    settings
}

fn targets(section: &Section<'_>, key: &'static str) -> Option<Vec<Target>> {
    let found = section.texts(key)?;
    let mut targets = Vec::new();
    for text in &found.value {
        match text.parse() {
            Ok(target) => targets.push(target),
            Err(error) => {
                let message = format!("{error}");
                section.wrong(key, Some(&found), message, "write, for example, \"registry.example:443\"");
            }
        }
    }
    Some(targets)
}

/// `NAME=value`. A password in an address would end up in a container.
fn environment(section: &Section<'_>) -> Vec<(String, String)> {
    let Some(found) = section.texts("environment") else { return Vec::new() };
    let mut pairs = Vec::new();
    for text in &found.value {
        let is_name = |name: &str| {
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        let Some((name, value)) = text.split_once('=').filter(|(name, _)| is_name(name)) else {
            let hint = "write \"NAME=value\", for example \"GOPROXY=https://proxy.example\"";
            section.wrong("environment", Some(&found), "an entry is not of the form NAME=value", hint);
            continue;
        };
        let has_password = value.split_whitespace().filter_map(|word| word.parse::<Url>().ok()).any(|url| {
            url.password().is_some() || (!url.username().is_empty() && url.scheme().starts_with("http"))
        });
        if has_password {
            let message =
                format!("the address in `{name}` holds a credential, and none is ever in a sandbox");
            let hint = "name a mirror inside your network that needs none";
            section.wrong("environment", Some(&found), message, hint);
        }
        pairs.push((name.to_owned(), value.to_owned()));
    }
    pairs
}
