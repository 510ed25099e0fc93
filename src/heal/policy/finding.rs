//! What is found in a patch, and how much it weighs.

use std::collections::BTreeMap;

/// What a finding does to a patch. Ordered: the last weighs most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Told in the proposal, for a closer look.
    Allow,
    /// Nothing is pushed before a person has looked.
    NeedsPerson,
    /// Nothing is pushed.
    Refuse,
}

impl Level {
    pub const ALL: [Self; 3] = [Self::Allow, Self::NeedsPerson, Self::Refuse];

    /// As it is written in rules and in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::NeedsPerson => "needs_person",
            Self::Refuse => "refuse",
        }
    }

    /// The level with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.name() == name)
    }
}

/// One thing found in a patch. Sorted, the weightiest come last.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    pub level: Level,
    /// Id of the rule, for example `tests.changed`.
    pub rule: &'static str,
    /// `path` or `path:line` in the repository, lines counted from 1; empty for the patch as a whole.
    pub place: String,
    /// For people.
    pub reason: String,
}

impl Finding {
    /// Rule, place and reason on one line of Markdown; the place is somebody else's text and stands as code.
    pub fn shown(&self) -> String {
        let Self { rule, place, reason, .. } = self;
        let place = place.replace('`', "'");
        if place.is_empty() {
            format!("the patch: {reason} ({rule})")
        } else {
            format!("`{place}`: {reason} ({rule})")
        }
    }
}

/// Levels that differ from those of the rules, by rule id.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Levels(pub BTreeMap<String, Level>);

impl Levels {
    /// The level of a finding as it is wished here.
    pub fn of(&self, finding: &Finding) -> Level {
        self.0.get(finding.rule).copied().unwrap_or(finding.level)
    }

    /// Gives every finding its level; sorted, each once.
    pub fn applied(&self, findings: impl IntoIterator<Item = Finding>) -> Vec<Finding> {
        let with_level = |finding: Finding| Finding { level: self.of(&finding), ..finding };
        let mut findings: Vec<Finding> = findings.into_iter().map(with_level).collect();
        findings.sort();
        findings.dedup();
        findings
    }
}
