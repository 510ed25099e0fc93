//! What can be set about fixing.

use std::collections::BTreeMap;
use std::time::Duration;

use super::dependencies;
use super::project::Language;
use crate::heal::policy::Levels;
use crate::model::money::NanoUsd;
use crate::repo::unpack;
use crate::sandbox::spec::SandboxLimits;
use crate::store::types::SpendLimits;

/// Settings of this stage. Limits on one attempt (money, calls, time) are the agent's own.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Image per language. It must be on the engine, with `sh`, `tar`, `git` and what the project's tests need.
    pub images: BTreeMap<Language, String>,
    /// Images that a repository may ask for in its `.homeostat.toml`; a `*` at the end stands for anything.
    pub repository_images: Vec<String>,
    /// Limits of every container.
    pub sandbox: SandboxLimits,
    /// The engine's runtime for every container; `None` for its default.
    pub runtime: Option<String>,
    /// How the dependencies of projects are installed.
    pub dependencies: dependencies::Settings,
    /// Most attempts of one job; each knows why the ones before were not enough.
    pub max_attempts: u32,
    /// How long one run of a project's tests may take.
    pub check_timeout: Duration,
    /// Most that one model call may cost.
    pub spend_per_call: NanoUsd,
    /// Most that all attempts at one issue may cost together.
    pub spend_per_issue: NanoUsd,
    /// Most that may be spent in a day (UTC) for one service.
    pub spend_per_service_day: NanoUsd,
    /// Most that may be spent in a day (UTC), over everything.
    pub spend_per_day: NanoUsd,
    /// Most that may be spent in a month (UTC), over everything.
    pub spend_per_month: NanoUsd,
    /// Bytes of output kept of each test run, its first and last half.
    pub output_bytes: usize,
    /// Largest patch kept, in bytes.
    pub max_patch_bytes: usize,
    /// Largest work folder that is taken out of a container.
    pub export: unpack::Limits,
    /// Levels of the policy's rules that differ from the shipped ones.
    pub levels: Levels,
    /// How long a stage may clean up after it was asked to stop, before it is cut off.
    pub stop_grace: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        let image = |language| match language {
            Language::Python | Language::Other => "homeostat/sandbox:1".to_owned(),
            Language::Node
            | Language::Rust
            | Language::Go
            | Language::Jvm
            | Language::Ruby
            | Language::Php
            | Language::Dotnet => format!("homeostat/sandbox-{language}:1"),
        };
        let spend = SpendLimits::default();
        Self {
            images: Language::ALL.into_iter().map(|language| (language, image(language))).collect(),
            repository_images: vec!["homeostat/sandbox*".to_owned()],
            sandbox: SandboxLimits::default(),
            runtime: None,
            dependencies: dependencies::Settings::default(),
            max_attempts: 2,
            check_timeout: Duration::from_secs(15 * 60),
            spend_per_call: spend.per_call,
            spend_per_issue: spend.per_issue,
            spend_per_service_day: spend.per_service_day,
            spend_per_day: spend.per_day,
            spend_per_month: spend.per_month,
            output_bytes: 16 << 10,
            max_patch_bytes: 1 << 20,
            export: unpack::Limits { max_bytes: 512 << 20, ..unpack::Limits::default() },
            levels: Levels::default(),
            stop_grace: Duration::from_secs(5),
        }
    }
}

impl Settings {
    /// The image for a language.
    pub fn image(&self, language: Language) -> &str {
        self.images.get(&language).or_else(|| self.images.get(&Language::Other)).map_or("", String::as_str)
    }

    /// Whether a repository may choose this image.
    pub(super) fn may_use_image(&self, image: &str) -> bool {
        self.repository_images.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(start) => image.starts_with(start),
            None => image == pattern,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_by_language_and_by_permission() {
        let settings = Settings::default();
        assert_eq!(settings.image(Language::Python), "homeostat/sandbox:1");
        assert_eq!(settings.image(Language::Go), "homeostat/sandbox-go:1");
        assert!(settings.may_use_image("homeostat/sandbox-shop:2"));
        assert!(!settings.may_use_image("production/shop:1"));
        let exact = Settings { repository_images: vec!["a:1".to_owned()], ..Settings::default() };
        assert!(exact.may_use_image("a:1") && !exact.may_use_image("a:12"));
    }
}
