//! The issue: all occurrences of a fingerprint in a service, and the states it moves through.

use super::attempt::Outcome;
use super::detection::{Action, Severity};
use super::fingerprint::Levels;
use super::trace::Runtime;
use crate::base::clock::Timestamp;
use crate::base::id::IssueId;

/// An issue as stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Issue {
    pub id: IssueId,
    pub service: String,
    /// Levels of the first occurrence; `levels.identity` is the key.
    pub levels: Levels,
    pub preimage: String,
    pub title: String,
    pub rule: String,
    pub severity: Severity,
    pub action: Action,
    pub runtime: Runtime,
    pub state: IssueState,
    /// All occurrences ever.
    pub count: u64,
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
    pub updated_at: Timestamp,
}

/// Where an issue stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IssueState {
    /// Seen; nothing runs.
    Open,
    /// A fix job is queued or running.
    Fixing,
    /// A proposal waits for people.
    Proposed,
    /// The proposal is merged; not yet known whether the error stays away.
    Landed,
    /// Held to be over.
    Resolved,
    /// homeostat has done what it can; the ticket says what a person should do.
    NeedsPerson,
    /// Counted only, until the time if there is one.
    Muted { until: Option<Timestamp> },
    /// Its occurrences count for another issue. Told by a person, ended by a person: no event moves it, and beneath it stays the state
    /// it comes back to.
    Merged { into: IssueId },
}

/// What can happen to an issue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IssueEvent {
    FixQueued,
    AttemptEnded(Outcome),
    ProposalOpened,
    ProposalMerged,
    ProposalClosed,
    /// A new occurrence after it was held to be over.
    SeenAgain,
    Resolved,
    Muted {
        until: Option<Timestamp>,
    },
    Unmuted,
}

impl IssueState {
    /// The issue that its occurrences count for, if a person said so.
    pub const fn merged_into(self) -> Option<IssueId> {
        if let Self::Merged { into } = self { Some(into) } else { None }
    }

    /// Until when it is muted, where it is and not for good.
    pub const fn muted_until(self) -> Option<Timestamp> {
        if let Self::Muted { until } = self { until } else { None }
    }

    /// The state after `event`. Events that do not fit leave the state as it is: they come from outside and late.
    #[must_use]
    pub const fn after(self, event: IssueEvent) -> Self {
        match (self, event) {
            (Self::Merged { .. }, _) => self,
            (_, IssueEvent::Muted { until }) => Self::Muted { until },
            (Self::Muted { .. }, IssueEvent::Unmuted) => Self::Open,
            (Self::Muted { .. }, _) | (_, IssueEvent::Unmuted) => self,
            (Self::Open | Self::NeedsPerson | Self::Resolved | Self::Landed, IssueEvent::FixQueued) => {
                Self::Fixing
            }
            (Self::Fixing | Self::Proposed, IssueEvent::FixQueued) => self,
            (Self::Fixing | Self::Open, IssueEvent::AttemptEnded(outcome)) => match outcome {
                Outcome::Fixed => Self::Fixing,
                Outcome::AlreadyFixed => Self::Landed,
                Outcome::NotReproduced
                | Outcome::Duplicate
                | Outcome::NotACodeBug
                | Outcome::NeedsPerson
                | Outcome::OverBudget
                | Outcome::GaveUp => Self::NeedsPerson,
            },
            (
                Self::Proposed | Self::Landed | Self::Resolved | Self::NeedsPerson,
                IssueEvent::AttemptEnded(_),
            ) => self,
            (_, IssueEvent::ProposalOpened) => Self::Proposed,
            (_, IssueEvent::ProposalMerged) => Self::Landed,
            (Self::Proposed, IssueEvent::ProposalClosed) => Self::NeedsPerson,
            (_, IssueEvent::ProposalClosed) => self,
            (Self::Resolved | Self::Landed, IssueEvent::SeenAgain) => Self::Open,
            (Self::Open | Self::Fixing | Self::Proposed | Self::NeedsPerson, IssueEvent::SeenAgain) => self,
            (_, IssueEvent::Resolved) => Self::Resolved,
        }
    }

    /// The state as it counts at `now`: a mute whose time is over is none.
    pub fn at(self, now: Timestamp) -> Self {
        match self {
            Self::Muted { until: Some(until) } if until <= now => Self::Open,
            Self::Open
            | Self::Fixing
            | Self::Proposed
            | Self::Landed
            | Self::Resolved
            | Self::NeedsPerson
            | Self::Muted { .. }
            | Self::Merged { .. } => self,
        }
    }

    /// The names of all states.
    pub const NAMES: [&str; 8] =
        ["open", "fixing", "proposed", "needs_person", "landed", "resolved", "muted", "merged"];

    /// The name used in the store and on pages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Fixing => "fixing",
            Self::Proposed => "proposed",
            Self::Landed => "landed",
            Self::Resolved => "resolved",
            Self::NeedsPerson => "needs_person",
            Self::Muted { .. } => "muted",
            Self::Merged { .. } => "merged",
        }
    }

    /// The state with this name; `muted_until` matters for `muted` only. None is called `merged`: that an issue is merged is kept apart
    /// from its state.
    pub fn from_name(name: &str, muted_until: Option<Timestamp>) -> Option<Self> {
        match name {
            "open" => Some(Self::Open),
            "fixing" => Some(Self::Fixing),
            "proposed" => Some(Self::Proposed),
            "landed" => Some(Self::Landed),
            "resolved" => Some(Self::Resolved),
            "needs_person" => Some(Self::NeedsPerson),
            "muted" => Some(Self::Muted { until: muted_until }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moves_as_drawn() {
        use IssueEvent as E;
        use IssueState as S;
        let (muted, into) = (S::Muted { until: None }, IssueId::new());
        let cases = [
            (S::Open, E::FixQueued, S::Fixing),
            (S::Fixing, E::AttemptEnded(Outcome::Fixed), S::Fixing),
            (S::Fixing, E::ProposalOpened, S::Proposed),
            (S::Proposed, E::ProposalMerged, S::Landed),
            (S::Landed, E::SeenAgain, S::Open),
            (S::Landed, E::Resolved, S::Resolved),
            (S::Resolved, E::SeenAgain, S::Open),
            (S::Fixing, E::AttemptEnded(Outcome::GaveUp), S::NeedsPerson),
            (S::NeedsPerson, E::FixQueued, S::Fixing),
            (S::Proposed, E::ProposalClosed, S::NeedsPerson),
            (S::Open, E::Muted { until: None }, muted),
            (muted, E::SeenAgain, muted),
            (muted, E::FixQueued, muted),
            (muted, E::Unmuted, S::Open),
            (S::Merged { into }, E::SeenAgain, S::Merged { into }),
            (S::Merged { into }, E::Muted { until: None }, S::Merged { into }),
            (S::Proposed, E::Unmuted, S::Proposed),
        ];
        for (state, event, expected) in cases {
            assert_eq!(state.after(event), expected, "{state:?} after {event:?}");
        }
    }

    #[test]
    fn a_mute_counts_until_its_time() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let muted = |until| IssueState::Muted { until };
        let cases = [
            (muted(None), 100, muted(None)),
            (muted(Some(at(101))), 100, muted(Some(at(101)))),
            (muted(Some(at(100))), 100, IssueState::Open),
            (IssueState::Landed, 100, IssueState::Landed),
        ];
        for (state, now, expected) in cases {
            assert_eq!(state.at(at(now)), expected, "{state:?}");
        }
    }

    #[test]
    fn names_read_back() {
        for state in [
            S::Open,
            S::Fixing,
            S::Proposed,
            S::Landed,
            S::Resolved,
            S::NeedsPerson,
            S::Muted { until: None },
        ] {
            assert_eq!(S::from_name(state.name(), None), Some(state));
            assert!(S::NAMES.contains(&state.name()));
        }
        use IssueState as S;
    }
}
