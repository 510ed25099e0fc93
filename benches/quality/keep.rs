//! Writes the baseline anew: what `BASELINE=write` does.

use std::fmt::Write as _;
use std::path::Path;

use crate::measure::{Baseline, Report};

const HEAD: &str = "\
# What joining and fingerprinting have reached. `make test` fails where a figure is worse than here; sections of the shared
# data are compared where HOMEOSTAT_CORPUS names its folder. `make quality BASELINE=write` writes this file anew.
";

impl Baseline {
    /// Takes over what was measured; sections that were not stay.
    pub(super) fn update(&mut self, report: &Report) {
        for (section, figures) in &report.figures {
            let values = figures.iter().map(|it| ((*it.0).to_owned(), it.1.value)).collect();
            self.0.insert(section.clone(), values);
        }
    }

    pub(super) fn write(&self, file: &Path) {
        let mut text = HEAD.to_owned();
        for (section, figures) in &self.0 {
            let _ = write!(text, "\n[\"{section}\"]\n");
            for (name, value) in figures {
                let _ = writeln!(text, "{name} = {value:?}");
            }
        }
        std::fs::write(file, text).unwrap();
    }
}
