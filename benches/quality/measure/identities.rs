//! Identities against labels: precision and recall over pairs, merged and split groups.

use std::collections::{BTreeMap, BTreeSet};

use homeostat::base::redact::Redactor;
use homeostat::watch::fingerprint::Fingerprinter;

use super::Sample;

/// How identities fit labels.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    /// Of the pairs with one identity, those that have one label.
    pub(crate) precision: f64,
    /// Of the pairs with one label, those that have one identity.
    pub(crate) recall: f64,
    /// Labels that share an identity.
    pub(crate) merged: Vec<String>,
    /// Labels with more than one identity.
    pub(crate) split: Vec<String>,
}

/// The identity of a text, redacted as in the daemon.
pub(crate) fn identity(text: &str) -> String {
    Fingerprinter::builtin().fingerprint(&Redactor::builtin().redact(text)).levels.identity.full()
}

/// For each runtime, and for all under an empty name.
pub(crate) fn by_runtime(samples: &[Sample]) -> Vec<(String, Groups)> {
    let found: Vec<(&Sample, String)> = samples.iter().map(|it| (it, identity(&it.text()))).collect();
    let runtimes: BTreeSet<&str> = samples.iter().map(|it| it.runtime.as_str()).chain([""]).collect();
    let of = |runtime: &str| {
        let rows = found.iter().filter(|it| runtime.is_empty() || it.0.runtime == runtime);
        let rows: Vec<_> = rows.map(|it| (it.0, it.1.as_str())).collect();
        let of_label: Vec<_> = rows.iter().map(|it| (it.0.label.as_str(), it.1)).collect();
        let of_bug: Vec<_> = rows.iter().map(|it| (it.0.bug.as_str(), it.1)).collect();
        let (labels, bugs) = (groups(&of_label), groups(&of_bug));
        Groups { precision: bugs.precision, merged: bugs.merged, ..labels }
    };
    runtimes.into_iter().map(|it| (it.to_owned(), of(it))).collect()
}

fn groups(rows: &[(&str, &str)]) -> Groups {
    let mut both: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut labels: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut identities: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (label, identity) in rows {
        *both.entry((label, identity)).or_default() += 1;
        labels.entry(label).or_default().insert(identity);
        identities.entry(identity).or_default().insert(label);
    }
    let n_of = |is_in: &dyn Fn(&(&str, &str)) -> bool| rows.iter().filter(|it| is_in(it)).count();
    let pairs = |n: usize| n * n.saturating_sub(1) / 2;
    let n_both: usize = both.values().map(|it| pairs(*it)).sum();
    let n_label: usize = labels.keys().map(|label| pairs(n_of(&|it| it.0 == *label))).sum();
    let n_identity: usize = identities.keys().map(|id| pairs(n_of(&|it| it.1 == *id))).sum();
    let share = |whole: usize| if whole == 0 { 1.0 } else { n_both as f64 / whole as f64 };
    Groups {
        precision: share(n_identity),
        recall: share(n_label),
        merged: identities.values().filter(|it| it.len() > 1).map(|it| format!("{it:?}")).collect(),
        split: labels.iter().filter(|it| it.1.len() > 1).map(|it| it.0.to_string()).collect(),
    }
}

/// How many identities hold two labels, of how many.
pub(crate) fn mixed(samples: &[Sample]) -> (usize, usize) {
    let mut labels: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for sample in samples {
        labels.entry(identity(&sample.text())).or_default().insert(&sample.label);
    }
    (labels.values().filter(|it| it.len() > 1).count(), labels.len())
}
