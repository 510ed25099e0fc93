//! Integration tests, one binary. Each module says what it is for.

/// The agent against the strict scripted model server.
mod agent;
/// The Alertmanager webhook, with a real Alertmanager.
mod alerts;
/// Several fingerprints that count for one issue.
mod aliases;
/// The same identities in any order, at any chunking, on any machine.
mod any_order;
/// Hostile logs, reports, files and repositories, each by name.
mod attacks;
/// The command line contract.
mod cli;
/// Wrong configs, one clear line each.
mod config;
/// Small services with a bug each, and models that fix it rightly, wrongly or dishonestly.
mod corpus;
/// Kill -9 in each stage.
mod crash;
/// The whole loop in one command.
mod demo;
/// The engine's own log files, rotated and compressed, by turns with the API.
mod docker_files;
/// Real containers on a real engine.
mod docker_source;
/// Tails with rotation.
mod file_source;
/// `homeostat fingerprint`, and traces of real programs.
mod fingerprint;
/// The fix stage with real containers and real git.
mod fix;
/// What must hold for any bytes, over texts changed at random.
mod fuzz;
/// Worker and stages: tickets, proposals, notices.
mod heal;
/// Pages and API.
mod http;
/// Occurrences and cursors across kills.
mod ingest;
/// The journal source over a scripted `journalctl`, and over the real one.
mod journal_source;
/// Queries of a strict Loki, and recorded answers of real ones.
mod loki_source;
/// What collectors send over OTLP/HTTP.
mod otlp_source;
/// Pages in a real Chromium.
mod pages;
/// What joining and fingerprinting have reached, against the baseline.
mod quality;
/// Traces as they stand in real logs: one record each.
mod records;
/// A new config in a running daemon.
mod reload;
/// Mirrors, clones and patches, with real git over HTTP.
mod repo;
/// The shipped rules against their own examples.
mod rules;
/// Every promise of the sandbox, each with a test that tries to break it.
mod sandbox;
/// `homeostat scan` over files of every format.
mod scan;
/// Lost followers, Podman's forms and a hundred thousand containers.
mod scripted_engine;
/// The strict scripted GitHub refuses what the real one refuses.
mod scripted_github;
/// What `scripts/setup test` promises is there.
mod setup;
/// One story, run on SQLite and on PostgreSQL.
mod store;
/// Shared helpers: containers, databases, git servers, scripted services.
mod support;
/// What programs send as syslog.
mod syslog_source;
/// The unit file.
mod systemd;
/// Full disks, endless lines: what the daemon must outlive.
mod trouble;
