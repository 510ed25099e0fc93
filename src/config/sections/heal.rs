//! `[heal]`, `[tracker]`, `[forge]`: how much runs at once, and where tickets and proposals go.

use super::super::document::Section;
use crate::heal::worker;

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
    let settings = worker::Settings {
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
