//! Everything the daemon is built from.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::changes::SectionHashes;
use super::document::Section;
use super::sections;
use super::sections::agent::{self, AgentSettings, SandboxSettings};
use super::sections::alerts;
use super::sections::fingerprints::Fingerprints;
use super::sections::heal::{self, Place};
use super::sections::service_rules::ServiceRules;
use super::sections::watch;
use super::sections::{github, serve};
use crate::base::redact::Redactor;
use crate::github as github_client;
use crate::heal::fix;
use crate::heal::fix::project::Language;
use crate::heal::propose::policy;
use crate::heal::worker;
use crate::http;
use crate::messenger;
use crate::repo::FetchTokens;
use crate::store;
use crate::watch::ingest::alerts::AlertSettings;
use crate::watch::ingest::around;
use crate::watch::ingest::services;
use crate::watch::rules::RuleSet;
use crate::watch::source::docker;
use crate::watch::source::file;
use crate::watch::source::journal;
use crate::watch::source::loki;
use crate::watch::source::otlp;
use crate::watch::source::syslog;
use crate::watch::triage;

/// Checked settings of every part.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where it was read from, for problems that show later.
    pub file: PathBuf,
    /// What each section says, to tell what a new config has other.
    pub(super) sections: SectionHashes,
    /// Folders with rule files.
    pub rule_folders: Vec<PathBuf>,
    /// Lines of keys that `check` tells of.
    lines: BTreeMap<&'static str, usize>,
    pub state_folder: PathBuf,
    pub store: store::Settings,
    pub http: http::Settings,
    /// `None` if no container is watched.
    pub docker: Option<docker::Settings>,
    pub files: file::Settings,
    pub rules: Arc<RuleSet>,
    /// Of services that want some rules to be other.
    pub service_rules: BTreeMap<String, ServiceRules>,
    /// What people decided about some errors.
    pub fingerprints: Fingerprints,
    pub redactor: Redactor,
    pub triage: triage::Settings,
    /// The lines that are kept around records.
    pub around: around::Settings,
    pub services: services::Settings,
    /// `None` if healing is off.
    pub worker: Option<worker::Settings>,
    pub tracker: Place,
    pub forge: Place,
    pub github: Option<github_client::Settings>,
    pub fetch_tokens: FetchTokens,
    pub agent: AgentSettings,
    pub sandbox: SandboxSettings,
    /// What a patch may do.
    pub policy: policy::Settings,
    pub messengers: Vec<messenger::Settings>,
    pub alerts: AlertSettings,
    pub loki: loki::Settings,
    /// `None` if the journal is not read.
    pub journal: Option<journal::Settings>,
    /// `None` if no logs are taken this way.
    pub otlp: Option<otlp::Settings>,
    /// The same.
    pub syslog: Option<syslog::Settings>,
}

impl Settings {
    /// Reads all sections; problems stay with the document.
    pub(super) fn read(root: &Section<'_>) -> Self {
        let state_folder = serve::state(root);
        let github = github::github(root);
        let (triage, default_route) = watch::triage(root);
        let (services, files) = sections::services::services(root, default_route);
        let rules = watch::rules(root);
        let service_rules = sections::service_rules::service_rules(root, &rules);
        let redactor = watch::redactor(root);
        let agent = agent::agent(root);
        Self {
            file: root.file(),
            sections: SectionHashes::default(),
            rule_folders: watch::rule_folders(root),
            lines: lines(root),
            store: serve::database(root, &state_folder),
            http: http::Settings { redactor: redactor.clone(), spend: agent.spend, ..serve::http(root) },
            docker: watch::docker(root),
            files,
            rules,
            service_rules,
            fingerprints: sections::fingerprints::fingerprints(root),
            redactor,
            triage,
            around: sections::samples::samples(root),
            services,
            worker: heal::worker(root),
            tracker: heal::place(root, "tracker", github.is_some()),
            forge: heal::place(root, "forge", github.is_some()),
            github,
            fetch_tokens: github::fetch_tokens(root),
            agent,
            sandbox: agent::sandbox(root),
            policy: sections::policy::policy(root),
            messengers: heal::messengers(root),
            alerts: alerts::alerts(root),
            loki: sections::loki::loki(root),
            journal: sections::receive::journal(root),
            otlp: sections::receive::otlp(root, &state_folder),
            syslog: sections::receive::syslog(root, &state_folder),
            state_folder,
        }
    }
}

/// Keys that [`Settings::line_of`] knows.
const KEYS: [&str; 7] = [
    "docker.host",
    "sandbox.host",
    "sandbox.image",
    "database.url",
    "http.listen",
    "state.folder",
    "alerts.loki.url",
];

fn lines(root: &Section<'_>) -> BTreeMap<&'static str, usize> {
    KEYS.into_iter().filter_map(|key| Some((key, line(root, key)?))).collect()
}

/// The line of a key, else of its section.
fn line(root: &Section<'_>, path: &'static str) -> Option<usize> {
    match path.split_once('.') {
        Some((section, rest)) => line(&root.section(section), rest).or_else(|| root.line_of(section)),
        None => root.line_of(path),
    }
}

impl Settings {
    /// Line of a key in the file, or of its section.
    pub fn line_of(&self, key: &str) -> Option<usize> {
        self.lines.get(key).copied()
    }

    /// Address of the engine that runs sandboxes: its own, else the one that is watched.
    pub fn engine_host(&self) -> Option<&str> {
        let watched = || self.docker.as_ref().and_then(|docker| docker.host.as_deref());
        self.sandbox.host.as_deref().or_else(watched)
    }

    /// Settings of the fix stage: they stand in `[agent]` and `[sandbox]`.
    pub fn fix(&self) -> fix::Settings {
        let mut settings = fix::Settings {
            sandbox: self.sandbox.limits,
            runtime: self.sandbox.runtime.clone(),
            dependencies: self.sandbox.dependencies.clone(),
            max_attempts: self.agent.max_attempts,
            spend_per_call: self.agent.spend.per_call,
            spend_per_issue: self.agent.spend.per_issue,
            spend_per_service_day: self.agent.spend.per_service_day,
            spend_per_day: self.agent.spend.per_day,
            levels: self.policy.levels.clone(),
            spend_per_month: self.agent.spend.per_month,
            ..fix::Settings::default()
        };
        for language in [Language::Python, Language::Other] {
            settings.images.insert(language, self.sandbox.image.clone());
        }
        for (name, image) in &self.sandbox.language_images {
            if let Some(language) = Language::ALL.into_iter().find(|it| it.to_string() == *name) {
                settings.images.insert(language, image.clone());
            }
        }
        settings
    }
}
