//! `[alerts]`: how Alertmanager's webhook is read, and the Loki to ask for the lines behind an alert.

use super::super::document::Section;
use crate::watch::ingest::alerts::{AlertSettings, LokiSettings};

/// Reads `[alerts]`.
pub(in crate::config) fn alerts(root: &Section<'_>) -> AlertSettings {
    let section = root.section("alerts");
    let default = AlertSettings::default();
    let settings = AlertSettings {
        service_labels: names(&section, "service_labels", "[\"service\", \"job\"]", default.service_labels),
        text_annotations: names(
            &section,
            "text_annotations",
            "[\"log\", \"summary\"]",
            default.text_annotations,
        ),
        loki: loki(&section),
    };
    section.finish();
    settings
}

/// Reads a tenant of Loki.
pub(super) fn tenant(section: &Section<'_>) -> Option<String> {
    let tenant = section.read("tenant", |value| {
        // It is sent as a header.
        let text =
            value.as_str().filter(|it| !it.is_empty() && it.bytes().all(|byte| byte.is_ascii_graphic()));
        text.map(str::to_owned).ok_or_else(|| "write Loki's tenant, for example \"team-a\"".to_owned())
    });
    tenant.map(|found| found.value)
}

/// Reads a list of names that may not be empty.
pub(super) fn names(
    section: &Section<'_>,
    key: &'static str,
    example: &str,
    default: Vec<String>,
) -> Vec<String> {
    let Some(found) = section.texts(key) else { return default };
    if found.value.is_empty() {
        let hint = format!("name at least one, for example {example}, or leave the key out");
        section.wrong(key, Some(&found), "is empty", hint);
    }
    found.value
}

/// Reads `[alerts.loki]`; `None` without it.
fn loki(alerts: &Section<'_>) -> Option<LokiSettings> {
    let section = alerts.section("loki");
    let url = section.web_address("url");
    let tenant = tenant(&section);
    let token = section.secret("token");
    let selector = section.read("selector", |value| {
        let is_selector = |it: &&str| it.starts_with('{') && it.ends_with('}') && it.contains('=');
        let hint = "write a stream selector in which $name stands for a label of the alert: '{container=\"$container\"}'";
        value.as_str().map(str::trim).filter(is_selector).map(str::to_owned).ok_or_else(|| hint.to_owned())
    });
    if section.is_there() && !section.has("url") {
        section.wrong::<()>("url", None, "is missing", "write url = \"http://loki:3100\"");
    }
    section.finish();
    Some(LokiSettings { url: url?.value, tenant, token, selector: selector.map(|found| found.value) })
}
