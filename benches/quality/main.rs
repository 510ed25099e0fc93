//! The quality of joining and fingerprinting, in figures: `make quality`.
//!
//! Prints assembly, precision, recall, merged and split groups for each runtime and in all; with `HOMEOSTAT_CORPUS` also what is reached on
//! the shared data. `BASELINE=write` takes the figures over into `baseline.toml`, `NOTES=1` tells what went wrong where.

#![expect(clippy::unwrap_used, reason = "a measurement that cannot read its data must fail")]
#![expect(clippy::print_stdout, reason = "the figures are for people to read")]
#![expect(clippy::disallowed_methods, reason = "switches of a measurement, not settings of the program")]

mod keep;
mod measure;

use std::env::var_os;
use std::path::Path;

use measure::{Baseline, Better, Report};

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = root.join("benches/quality/baseline.toml");
    let mut baseline = Baseline::read(&file);
    let mut reports = vec![measure::own(root)];
    match var_os("HOMEOSTAT_CORPUS") {
        Some(corpus) => reports.push(measure::shared(Path::new(&corpus))),
        None => println!("HOMEOSTAT_CORPUS is not set: only the project's own samples are measured"),
    }
    for report in &reports {
        print(report);
        if var_os("NOTES").is_some() {
            report.notes.iter().for_each(|it| println!("{it}"));
        }
        for change in baseline.compare(report) {
            let word = if change.is_worse { "worse" } else { "better" };
            println!("{word}: {} is {}, was {}", change.name, change.now, change.before);
        }
        baseline.update(report);
    }
    if var_os("BASELINE").is_some_and(|it| it == "write") {
        baseline.write(&file);
        println!("wrote {}", file.display());
    }
}

fn print(report: &Report) {
    for (section, figures) in &report.figures {
        print!("{section:24}");
        for (name, figure) in figures {
            match figure.better {
                Better::More => print!(" {name} {:.4} ", figure.value),
                Better::Less => print!(" {name} {} ", figure.value),
            }
        }
        println!();
    }
}
