//! Templates of messages against labels, as Loghub measures them: grouping accuracy (the share of lines whose whole
//! true group is one group here) and the F1 over groups.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use homeostat::base::redact::Clean;
use homeostat::watch::fingerprint::{Fingerprinter, slots};

use super::{Figure, Report};

/// Lines that are together, by their places.
type Grouping = Vec<Vec<usize>>;

/// One file for each system: `template <TAB> content`.
pub(crate) fn measure(folder: &Path, report: &mut Report) {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|it| it.unwrap().path()).collect();
    paths.sort();
    let mut sums: BTreeMap<&'static str, f64> = BTreeMap::new();
    for path in &paths {
        let text = fs::read_to_string(path).unwrap();
        let rows: Vec<(&str, &str)> = text.lines().filter_map(|it| it.split_once('\t')).collect();
        let truth = together(rows.iter().map(|it| it.0.to_owned()));
        let (found, accepted) = groupings(&rows);
        let ((ga, fga), (slot_ga, slot_fga)) = (scores(&truth, &found), scores(&truth, &accepted));
        let section = format!("loghub.{}", path.file_stem().unwrap().to_string_lossy());
        for (name, value) in [("ga", ga), ("fga", fga), ("slots_ga", slot_ga), ("slots_fga", slot_fga)] {
            report.add(&section, name, Figure::of(value));
            *sums.entry(name).or_default() += value;
        }
    }
    for (name, sum) in sums {
        report.add("loghub", name, Figure::of(sum / paths.len() as f64));
    }
}

/// The lines by identity, and the same with all suggestions of the slot rule accepted.
fn groupings(rows: &[(&str, &str)]) -> (Grouping, Grouping) {
    let fingerprinter = Fingerprinter::builtin();
    let mut templates: HashMap<String, String> = HashMap::new();
    let identities: Vec<String> = rows
        .iter()
        .map(|(_, content)| {
            let levels = fingerprinter.fingerprint(&Clean::trusted(*content)).levels;
            let identity = levels.identity.full();
            templates.entry(identity.clone()).or_insert(levels.template);
            identity
        })
        .collect();
    let found = together(identities.iter().cloned());
    let kinds: Vec<(&String, &str)> = templates.iter().map(|it| (it.0, it.1.as_str())).collect();
    let mut alias: HashMap<&String, String> = HashMap::new();
    for group in slots(&kinds.iter().map(|it| it.1).collect::<Vec<_>>()) {
        for member in group.members {
            alias.insert(kinds[member].0, group.pattern.clone());
        }
    }
    let accepted = together(identities.iter().map(|it| alias.get(it).unwrap_or(it).clone()));
    (found, accepted)
}

fn together(keys: impl Iterator<Item = String>) -> Grouping {
    let mut groups: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (place, key) in keys.enumerate() {
        groups.entry(key).or_default().push(place);
    }
    groups.into_values().collect()
}

fn scores(truth: &Grouping, found: &Grouping) -> (f64, f64) {
    let groups: BTreeSet<&Vec<usize>> = found.iter().collect();
    let right: Vec<&Vec<usize>> = truth.iter().filter(|it| groups.contains(it)).collect();
    let n_lines: usize = truth.iter().map(Vec::len).sum();
    let accuracy = right.iter().map(|it| it.len()).sum::<usize>() as f64 / n_lines.max(1) as f64;
    (accuracy, 2.0 * right.len() as f64 / (truth.len() + found.len()).max(1) as f64)
}
