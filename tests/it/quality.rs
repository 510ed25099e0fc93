//! What joining and fingerprinting have reached is not lost: every figure of `make quality` against the committed baseline.
//!
//! The project's own samples always; the shared data where `HOMEOSTAT_CORPUS` names its folder.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its data must fail")]
#![expect(clippy::print_stdout, reason = "the figures are for people to read")]

#[path = "../../benches/quality/measure/mod.rs"]
pub(crate) mod measure;

use std::path::Path;

use measure::{Baseline, Report};

#[track_caller]
fn check(report: &Report) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/quality/baseline.toml");
    let changes = Baseline::read(&file).compare(report);
    for change in changes.iter().filter(|it| !it.is_worse) {
        println!("better: {change:?}; `make quality BASELINE=write` keeps it");
    }
    let worse: Vec<_> = changes.iter().filter(|it| it.is_worse).collect();
    assert!(worse.is_empty(), "worse than the baseline: {worse:#?}\n{}", report.notes.join("\n"));
}

#[test]
fn own_samples_are_as_good_as_they_were() {
    check(&measure::own(Path::new(env!("CARGO_MANIFEST_DIR"))));
}

#[test]
fn shared_data_is_as_good_as_it_was() {
    #[expect(clippy::disallowed_methods, reason = "a test's own switch, not a setting of the program")]
    match std::env::var_os("HOMEOSTAT_CORPUS") {
        Some(folder) => check(&measure::shared(Path::new(&folder))),
        None => println!("skipped: HOMEOSTAT_CORPUS is not set"),
    }
}
