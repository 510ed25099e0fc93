//! `[journal]`, `[otlp]` and `[syslog]`: the machine's journal, and where logs may be sent to. All are off unless they stand in the config.

use std::net::SocketAddr;
use std::path::Path;

use super::super::document::{Found, Section};
use crate::watch::source::{journal, otlp, syslog};

/// What a spool may hold, by default.
const SPOOL_BYTES: u64 = 1 << 30;

const PRIORITIES: [(&str, &str); 8] = [
    ("emerg", "emerg"),
    ("alert", "alert"),
    ("crit", "crit"),
    ("err", "err"),
    ("warning", "warning"),
    ("notice", "notice"),
    ("info", "info"),
    ("debug", "debug"),
];

/// Reads `[journal]`; `None` without it.
pub(in crate::config) fn journal(root: &Section<'_>) -> Option<journal::Settings> {
    let section = root.section("journal");
    let is_enabled = section.flag("enabled", section.is_there());
    let units = section.texts("units").map(|found| found.value).unwrap_or_default();
    let priority = section.choice("priority", &PRIORITIES, "debug");
    let folder = section.path("folder").map(|found| found.value);
    section.finish();
    let priority = (priority != "debug").then(|| priority.to_owned());
    is_enabled.then(|| journal::Settings { units, priority, folder, ..journal::Settings::default() })
}

/// Reads `[otlp]`; `None` without it.
pub(in crate::config) fn otlp(root: &Section<'_>, state: &Path) -> Option<otlp::Settings> {
    let section = root.section("otlp");
    let listen = address(&section, "listen");
    let token = section.secret("token");
    let max_bytes = spool_bytes(&section);
    if section.is_there() && !section.has("listen") {
        section.wrong::<()>("listen", None, "is missing", "write listen = \"127.0.0.1:4318\"");
    }
    if let Some(found) = &listen
        && !found.value.ip().is_loopback()
        && !section.has("token")
    {
        let hint = "add token = { credential = \"otlp-token\" }, or listen on 127.0.0.1";
        section.wrong("listen", Some(found), "is open to others and there is no token", hint);
    }
    section.finish();
    let folder = state.join("spool").join("otlp");
    Some(otlp::Settings { listen: listen?.value, token, folder, max_bytes })
}

/// Reads `[syslog]`; `None` without it.
pub(in crate::config) fn syslog(root: &Section<'_>, state: &Path) -> Option<syslog::Settings> {
    let section = root.section("syslog");
    let udp = address(&section, "udp").map(|found| found.value);
    let tcp = address(&section, "tcp").map(|found| found.value);
    let max_bytes = spool_bytes(&section);
    if section.is_there() && !section.has("udp") && !section.has("tcp") {
        section.wrong::<()>("udp", None, "is missing", "write udp = \"127.0.0.1:514\", or tcp, or both");
    }
    section.finish();
    let folder = state.join("spool").join("syslog");
    (udp.is_some() || tcp.is_some()).then_some(syslog::Settings { udp, tcp, folder, max_bytes })
}

fn spool_bytes(section: &Section<'_>) -> u64 {
    section.bytes("max_spool", (64 << 20)..=(1 << 40), SPOOL_BYTES)
}

fn address(section: &Section<'_>, key: &'static str) -> Option<Found<SocketAddr>> {
    section.read(key, |value| {
        let address = value.as_str().and_then(|text| text.parse().ok());
        address.ok_or_else(|| "write an address and a port, for example \"127.0.0.1:4318\"".to_owned())
    })
}
