//! homeostat's own log is not watched by accident: what it says of errors would be errors, for ever.

/// Whether a writer of this name is homeostat itself: its service, its unit, its tag.
pub(super) fn is_own(name: &str) -> bool {
    matches!(name, "homeostat" | "homeostat.service")
}
