//! `.homeostat.toml`: what a repository says about itself to homeostat. Read from the base branch only.
//!
//! ```toml
//! hints = "The rates in rates.json are updated by another service; never edit them."
//!
//! [test]
//! command = "make check"                     # runs everything
//! files = "python3 -m pytest -q {files}"     # optional: runs some test files
//! image = "homeostat/sandbox-shop:1"         # optional: must be on the engine and allowed by the config
//! ```

use serde::Deserialize;

/// Where it stands.
pub(super) const PATH: &str = ".homeostat.toml";

/// What it says. Unknown keys are left for later versions.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct Manifest {
    pub hints: Option<String>,
    #[serde(default)]
    pub test: TestSection,
}

/// `[test]`
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct TestSection {
    pub command: Option<String>,
    pub files: Option<String>,
    pub image: Option<String>,
}

/// Why it cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`.homeostat.toml` cannot be used: {0}")]
pub struct ManifestError(pub String);

impl Manifest {
    /// Reads it.
    pub(super) fn parse(text: &str) -> Result<Self, ManifestError> {
        let manifest: Self =
            toml::from_str(text).map_err(|error| ManifestError(error.message().to_owned()))?;
        let TestSection { command, files, .. } = &manifest.test;
        if command.as_ref().is_some_and(|command| command.trim().is_empty()) {
            return Err(ManifestError("`test.command` is empty".to_owned()));
        }
        match files {
            Some(_) if command.is_none() => {
                Err(ManifestError("`test.files` is set without `test.command`".to_owned()))
            }
            Some(files) if !files.contains("{files}") => {
                Err(ManifestError("`test.files` does not contain `{files}`".to_owned()))
            }
            _ => Ok(manifest),
        }
    }
}
