//! What can be set about installing dependencies.

use std::time::Duration;

use crate::sandbox::proxy::Target;
use crate::sandbox::snapshot::Keep;

/// What an attempt does without its dependencies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// It goes on with what the image has.
    Continue,
    /// A person has to do something first.
    Stop,
}

/// `[sandbox.dependencies]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    pub is_enabled: bool,
    /// Whom an installation may talk to.
    pub allow: Vec<Target>,
    /// Whom it may talk to although their addresses are private.
    pub internal: Vec<Target>,
    /// Whether code of the packages, and build files that are programs, run while they are installed.
    pub runs_scripts: bool,
    pub on_failure: OnFailure,
    /// Set for the package manager: addresses of mirrors, for example. Never a credential.
    pub environment: Vec<(String, String)>,
    /// Longest installation.
    pub timeout: Duration,
    /// Largest snapshot.
    pub max_bytes: u64,
    pub keep: Keep,
    /// Image of the relay to the proxy; it needs `python3`.
    pub relay_image: String,
}

impl Settings {
    /// The public registries of the package managers that homeostat knows.
    pub const REGISTRIES: [&str; 14] = [
        "pypi.org",
        "files.pythonhosted.org",
        "registry.npmjs.org",
        "registry.yarnpkg.com",
        "index.crates.io",
        "static.crates.io",
        "crates.io",
        "proxy.golang.org",
        "sum.golang.org",
        "rubygems.org",
        "index.rubygems.org",
        "repo.maven.apache.org",
        "repo.packagist.org",
        "api.nuget.org",
    ];
}

impl Default for Settings {
    fn default() -> Self {
        let targets = Self::REGISTRIES.iter().map(|text| text.parse().expect("a constant target"));
        Self {
            is_enabled: true,
            allow: targets.collect(),
            internal: Vec::new(),
            runs_scripts: false,
            on_failure: OnFailure::Continue,
            environment: Vec::new(),
            timeout: Duration::from_secs(10 * 60),
            max_bytes: 1 << 30,
            keep: Keep { age: Duration::from_secs(7 * 86_400), total_bytes: 10 << 30 },
            relay_image: "homeostat/sandbox:1".to_owned(),
        }
    }
}
