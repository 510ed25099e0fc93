//! Triage's answer for one occurrence, always with its reason.

/// What to do with an occurrence. Every answer but `Drop` counts it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Not even counted, for example a fingerprint the config ignores.
    Drop { reason: &'static str },
    /// Counted, nothing else: known, cooling down, muted, or a rule with the action `count`.
    Count { reason: &'static str },
    /// Open a ticket.
    Ticket { reason: &'static str },
    /// Open a ticket and start a fix.
    Fix { reason: &'static str },
    /// The issue was held to be over and is not: tell people, and go on as the route says.
    Reopen { reason: &'static str },
    /// Too many new fingerprints at once: the occurrence counts towards the service's storm issue.
    Storm { reason: &'static str },
}

impl Decision {
    /// The name used in metrics and in the store.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Drop { .. } => "drop",
            Self::Count { .. } => "count",
            Self::Ticket { .. } => "ticket",
            Self::Fix { .. } => "fix",
            Self::Reopen { .. } => "reopen",
            Self::Storm { .. } => "storm",
        }
    }

    /// Why, in a few words for a person.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Drop { reason }
            | Self::Count { reason }
            | Self::Ticket { reason }
            | Self::Fix { reason }
            | Self::Reopen { reason }
            | Self::Storm { reason } => reason,
        }
    }
}
