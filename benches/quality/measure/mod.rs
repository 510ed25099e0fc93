//! What joining and fingerprinting are worth, in figures: on the project's own samples, and on the shared data where its folder is named.
//!
//! Measured through the whole way of a log, as `homeostat scan` goes it. Shared by `cargo bench --bench quality`, which
//! prints the figures, and by a test, which compares them with `baseline.toml`.

mod baseline;
mod crashes;
mod identities;
mod messages;
pub(crate) mod records;
mod samples;

use std::collections::BTreeMap;
use std::path::Path;

pub(crate) use baseline::Baseline;
pub(crate) use identities::Groups;
pub(crate) use records::Assembly;
pub(crate) use samples::Sample;

/// Which way is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Better {
    More,
    Less,
}

/// One figure: a share between 0 and 1, or a number of groups.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Figure {
    /// Rounded to four places, so that it is the same on every machine.
    pub(crate) value: f64,
    pub(crate) better: Better,
}

impl Figure {
    fn share(part: usize, whole: usize) -> Self {
        Self::of(if whole == 0 { 1.0 } else { part as f64 / whole as f64 })
    }

    fn of(value: f64) -> Self {
        Self { value: (value * 1e4).round() / 1e4, better: Better::More }
    }

    fn groups(number: usize) -> Self {
        Self { value: number as f64, better: Better::Less }
    }
}

/// All figures, by section and name, and what went wrong, for people.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) figures: BTreeMap<String, BTreeMap<&'static str, Figure>>,
    pub(crate) notes: Vec<String>,
}

impl Report {
    fn add(&mut self, section: &str, name: &'static str, figure: Figure) {
        self.figures.entry(section.to_owned()).or_default().insert(name, figure);
    }

    /// How whole records came out, for each runtime and for all.
    fn assembly(&mut self, section: &str, name: &'static str, assembly: &Assembly) {
        for (runtime, (right, all)) in &assembly.of_runtime {
            self.add(&format!("{section}.{runtime}"), name, Figure::share(*right, *all));
        }
        self.add(section, name, Figure::share(assembly.n_right(), assembly.n()));
        self.notes.extend(assembly.notes.iter().map(|it| format!("{section}, {name}: {it}")));
    }

    /// How identities fit labels, for each runtime and for all.
    fn groups(&mut self, section: &str, groups: &[(String, Groups)]) {
        for (runtime, of) in groups {
            let section =
                if runtime.is_empty() { section.to_owned() } else { format!("{section}.{runtime}") };
            self.add(&section, "precision", Figure::of(of.precision));
            self.add(&section, "recall", Figure::of(of.recall));
            self.add(&section, "merged", Figure::groups(of.merged.len()));
            self.add(&section, "split", Figure::groups(of.split.len()));
            if runtime.is_empty() {
                self.notes.extend(of.merged.iter().map(|it| format!("{section}: one identity of {it}")));
                self.notes.extend(of.split.iter().map(|it| format!("{section}: several identities of {it}")));
            }
        }
    }
}

/// Measures the project's own samples: `root` is the folder of the project.
pub(crate) fn own(root: &Path) -> Report {
    let mut report = Report::default();
    let traces = samples::own(&root.join("tests/fixtures/traces"));
    let records = samples::own(&root.join("tests/fixtures/records"));
    let all: Vec<Sample> = records.into_iter().chain(traces.iter().cloned()).collect();
    report.assembly("own", "assembly", &records::alone(&all, 4));
    report.assembly("own", "interleaved", &records::interleaved(&all, SEEDS[0]));
    report.groups("own", &identities::by_runtime(&traces));
    report
}

/// Seeds of the interleavings.
const SEEDS: [u64; 3] = [1, 2, 3];

/// Measures the shared data.
pub(crate) fn shared(corpus: &Path) -> Report {
    let mut report = Report::default();
    let traces = samples::traces(&corpus.join("traces/traces.jsonl"), "lang", "bug");
    report.assembly("traces", "assembly", &records::alone(&traces, 2));
    for seed in SEEDS {
        let found = records::interleaved(&traces, seed);
        // The worst of them counts.
        let is_worst = report
            .figures
            .get("traces")
            .and_then(|it| it.get("interleaved"))
            .is_none_or(|it| it.value > Figure::share(found.n_right(), found.n()).value);
        if is_worst {
            report.assembly("traces", "interleaved", &found);
        }
    }
    report.groups("traces", &identities::by_runtime(&traces));

    let tests = samples::traces(&corpus.join("traces/java-tests.jsonl"), "project", "bug");
    report.assembly("java-tests", "assembly", &records::alone(&tests, 1).in_all());
    let (mixed, n) = identities::mixed(&tests);
    report.add("java-tests", "unmixed", Figure::share(n - mixed, n));

    for part in ["pitfalls", "detect-exceptions"] {
        let texts = samples::texts(&corpus.join("records").join(part));
        report.assembly(part, "assembly", &records::alone(&texts, 8).in_all());
    }

    crashes::measure(&corpus.join("records/clusterfuzz"), &mut report);
    messages::measure(&corpus.join("loghub"), &mut report);
    report
}
