//! The figures that were reached, in `benches/quality/baseline.toml`.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Better, Figure, Report};

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct Baseline(pub(crate) BTreeMap<String, BTreeMap<String, f64>>);

/// A figure that is not as it was.
#[derive(Debug, PartialEq)]
pub(crate) struct Change {
    pub(crate) name: String,
    pub(crate) before: f64,
    pub(crate) now: f64,
    pub(crate) is_worse: bool,
}

impl Baseline {
    pub(crate) fn read(file: &Path) -> Self {
        Self(std::fs::read_to_string(file).ok().map(|it| toml::from_str(&it).unwrap()).unwrap_or_default())
    }

    /// What is not as it was. A figure that was never written is compared with the best there is.
    pub(crate) fn compare(&self, report: &Report) -> Vec<Change> {
        let mut changes = Vec::new();
        for (section, figures) in &report.figures {
            for (name, Figure { value, better }) in figures {
                let known = self.0.get(section).and_then(|it| it.get(*name)).copied();
                let (best, sign) = match better {
                    Better::More => (1.0, 1.0),
                    Better::Less => (0.0, -1.0),
                };
                let before = known.unwrap_or(best);
                if (value - before).abs() > 1e-9 {
                    let is_worse = (value - before) * sign < 0.0;
                    changes.push(Change { name: format!("{section} {name}"), before, now: *value, is_worse });
                }
            }
        }
        changes
    }
}
