//! What kind of project this is and how its tests are run, told from the files of its base branch.
//!
//! Nothing is run here and nothing is guessed twice: `.homeostat.toml` on the base branch says it, else the files do. What the agent
//! writes is never asked.

mod detect;
mod language;
mod manifest;
mod missing;
mod packages;
mod place;
mod runner;

pub use detect::{FILES_TO_READ, Listing, Style, detect, is_python_test};
pub use language::Language;
pub use manifest::{Manifest, ManifestError};
pub use missing::missing_dependency;
pub use packages::{PackageManager, Packages};
pub use place::folders;
pub use runner::Runner;

/// A project that can be tested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    pub language: Language,
    /// Where its commands run: relative to the repository, empty for its root.
    pub folder: String,
    pub runner: Runner,
    /// What installs what it needs, if it declares that it needs something.
    pub packages: Option<Packages>,
    /// What `.homeostat.toml` says to those who work on it.
    pub hints: Option<String>,
    /// Image it asks for.
    pub image: Option<String>,
}

impl Project {
    /// The command that runs all tests.
    pub fn whole(&self) -> String {
        self.runner.whole()
    }

    /// The command that runs the tests of these files (relative to the repository) only, or all where the runner cannot tell them
    /// apart, or none of them is one that a runner takes. `style` is theirs.
    pub fn only(&self, files: &[String], style: Style) -> String {
        let inside: Vec<String> = files.iter().filter_map(|path| self.inside(path)).collect();
        let only = match (&self.runner, style) {
            (Runner::Unittest { .. } | Runner::Make | Runner::Script { .. }, Style::Pytest) => {
                Runner::Pytest.only(&inside)
            }
            (Runner::Make | Runner::Script { .. }, Style::Unittest) => {
                Runner::Unittest { start: None }.only(&inside)
            }
            (Runner::Unittest { .. } | Runner::Make | Runner::Script { .. }, Style::Script) => {
                runner::scripts(&inside)
            }
            (runner, _) => runner.only(&inside),
        };
        only.unwrap_or_else(|| self.whole())
    }

    /// A path of the repository relative to the project's folder.
    fn inside(&self, path: &str) -> Option<String> {
        if self.folder.is_empty() {
            return Some(path.to_owned());
        }
        path.strip_prefix(&self.folder)?.strip_prefix('/').map(str::to_owned)
    }
}
