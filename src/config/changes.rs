//! What is other in a new config: section by section, and rule by rule.
//!
//! A section counts as changed when a value in it changed, or a file with a secret that it names: comments, order and
//! blanks do not.

use std::collections::{BTreeMap, BTreeSet};

use toml::de::{DeTable, DeValue};

use super::settings::Settings;
use crate::base::env;
use crate::watch::rules::{Rule, RuleSet};

/// One hash for each section of a config.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct SectionHashes(BTreeMap<String, blake3::Hash>);

impl std::fmt::Debug for SectionHashes {
    /// Hashes say nothing, and what they are of stands in the settings.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SectionHashes")
    }
}

impl SectionHashes {
    /// Each section with its hash.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &blake3::Hash)> {
        self.0.iter().map(|(name, hash)| (name.as_str(), hash))
    }
}

/// What is other in a new config.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    /// Names of sections, for example `triage`.
    pub sections: BTreeSet<String>,
    /// Ids of rules.
    pub new_rules: Vec<String>,
    pub gone_rules: Vec<String>,
    pub changed_rules: Vec<String>,
}

impl Changes {
    /// What `new` has other than `old`.
    pub fn between(old: &Settings, new: &Settings) -> Self {
        let (SectionHashes(before), SectionHashes(after)) = (&old.sections, &new.sections);
        let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
        let is_other = |name: &&String| before.get(*name) != after.get(*name);
        let sections = names.into_iter().filter(is_other).cloned().collect();
        let (before, after) = (by_id(&old.rules), by_id(&new.rules));
        let missing = |from: &BTreeMap<&str, Rule>, of: &BTreeMap<&str, Rule>| -> Vec<String> {
            of.keys().filter(|id| !from.contains_key(*id)).map(|id| (*id).to_owned()).collect()
        };
        let changed = after.iter().filter(|(id, rule)| before.get(*id).is_some_and(|it| it != *rule));
        Self {
            sections,
            new_rules: missing(&before, &after),
            gone_rules: missing(&after, &before),
            changed_rules: changed.map(|(id, _)| (*id).to_owned()).collect(),
        }
    }

    /// Whether nothing is other.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a section other than these is other.
    pub fn touch_more_than(&self, sections: &[&str]) -> bool {
        self.sections.iter().any(|name| !sections.contains(&name.as_str()))
    }

    /// Whether a rule is other.
    pub fn has_rules(&self) -> bool {
        !(self.new_rules.is_empty() && self.gone_rules.is_empty() && self.changed_rules.is_empty())
    }

    /// Whether one of these sections is other.
    pub fn has_any(&self, sections: &[&str]) -> bool {
        sections.iter().any(|name| self.sections.contains(*name))
    }
}

/// Rules without the places they were written at: moving a rule changes nothing.
fn by_id(rules: &RuleSet) -> BTreeMap<&str, Rule> {
    let placeless = |rule: &Rule| Rule { origin: crate::watch::rules::Origin::default(), ..rule.clone() };
    rules.rules().iter().map(|rule| (&*rule.id, placeless(rule))).collect()
}

/// The hashes of a text that is known to be TOML.
pub(super) fn hashes(text: &str) -> SectionHashes {
    let (root, _) = DeTable::parse_recoverable(text);
    let one = |value: &DeValue<'_>| {
        let mut hasher = blake3::Hasher::new();
        add(&mut hasher, value);
        hasher.finalize()
    };
    let sections = root.get_ref().iter();
    SectionHashes(sections.map(|(key, value)| (key.get_ref().to_string(), one(value.get_ref()))).collect())
}

fn add(hasher: &mut blake3::Hasher, value: &DeValue<'_>) {
    // Each piece with its kind and length in front, so that no two values read alike.
    let mut piece = |kind: u8, bytes: &[u8]| {
        hasher.update(&[kind]).update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
    };
    match value {
        DeValue::String(text) => piece(b's', text.as_bytes()),
        DeValue::Integer(number) => piece(b'i', number.to_string().as_bytes()),
        DeValue::Float(number) => piece(b'f', number.to_string().as_bytes()),
        DeValue::Boolean(is_so) => piece(b'b', &[u8::from(*is_so)]),
        DeValue::Datetime(time) => piece(b'd', time.to_string().as_bytes()),
        DeValue::Array(items) => {
            piece(b'a', &(items.len() as u64).to_le_bytes());
            items.iter().for_each(|item| add(hasher, item.get_ref()));
        }
        DeValue::Table(table) => {
            piece(b't', &(table.len() as u64).to_le_bytes());
            let sorted: BTreeMap<_, _> = table.iter().map(|(key, value)| (key.get_ref(), value)).collect();
            for (key, value) in sorted {
                hasher.update(key.as_bytes()).update(&[0]);
                add(hasher, value.get_ref());
            }
            if let Some(secret) = secret_in(table) {
                hasher.update(&secret);
            }
        }
    }
}

/// What stands in the file that a reference to a secret names. It ends in a hash and nowhere else.
fn secret_in(table: &DeTable<'_>) -> Option<Vec<u8>> {
    let (name, value) = table.iter().next().filter(|_| table.len() == 1)?;
    let text = value.get_ref().as_str()?;
    let path = match name.get_ref().as_ref() {
        "file" => text.into(),
        "credential" => env::path(env::CREDENTIALS_DIRECTORY)?.join(text),
        _ => return None,
    };
    std::fs::read(path).ok()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn changes(old: &str, new: &str) -> Changes {
        let read = |text: &str| super::super::parse(Path::new("a.toml"), text).unwrap();
        Changes::between(&read(old), &read(new))
    }

    #[test]
    fn only_values_count() {
        let old = "[triage]\nroute = \"ticket\"\nstorm_fingerprints = 20\n[docker]\nenabled = false\n";
        let new = "# x\n[docker]\nenabled = false\n\n[triage]\nstorm_fingerprints = 20\nroute = \"ticket\"\n";
        assert!(changes(old, new).is_empty());
        let new = "[triage]\nroute = \"ignore\"\n[rules]\ndisable = [\"http.4xx\"]\n";
        let found = changes(old, new);
        assert_eq!(found.sections.iter().collect::<Vec<_>>(), ["docker", "rules", "triage"]);
        assert_eq!((found.gone_rules, found.new_rules.len()), (vec!["http.4xx".to_owned()], 0));
    }

    #[test]
    fn a_rule_that_moved_is_the_same_and_one_that_says_other_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let rule = |pattern: &str| {
            format!(
                "[[rule]]\nid='shop.x'\nseverity='error'\naction='issue'\nany=['{pattern}']\nmatch=['boom']\n"
            )
        };
        let config = format!("[rules]\nfolders = ['{}']\n", folder.path().display());
        let read = |text: String| {
            std::fs::write(folder.path().join("a.toml"), text).unwrap();
            super::super::parse(Path::new("a.toml"), &config).unwrap()
        };
        let (first, moved, other) =
            (read(rule("boom")), read(format!("\n\n{}", rule("boom"))), read(rule("bo+m")));
        assert!(Changes::between(&first, &moved).is_empty());
        assert_eq!(Changes::between(&first, &other).changed_rules, ["shop.x"]);
    }

    #[test]
    fn a_secret_that_is_other_changes_its_section() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let text = format!("[http]\ntoken = {{ file = '{}' }}\n", path.display());
        std::fs::write(&path, "one").unwrap();
        let first = hashes(&text);
        std::fs::write(&path, "two").unwrap();
        assert_ne!(first, hashes(&text));
    }
}
