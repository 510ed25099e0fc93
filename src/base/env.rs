//! The environment variables homeostat reads, and the only place that reads them.
//!
//! Settings belong in the config file; what stands here is what the platform or a test runner hands over.

use std::path::PathBuf;

/// Path of the config file when `--config` is not given.
pub const CONFIG: &str = "HOMEOSTAT_CONFIG";
/// Log filter in `tracing` syntax, for example `homeostat=debug`.
pub const LOG: &str = "HOMEOSTAT_LOG";
/// Key of the model API, used by `homeostat demo` only; a service reads its key from a file or credential.
pub const ANTHROPIC_API_KEY: &str = "ANTHROPIC_API_KEY";
/// Folder in which systemd puts the credentials of `LoadCredential=`.
pub const CREDENTIALS_DIRECTORY: &str = "CREDENTIALS_DIRECTORY";
/// Address of the container engine when the config does not name one.
pub const DOCKER_HOST: &str = "DOCKER_HOST";
/// PostgreSQL that the tests may create databases in.
pub const TEST_DATABASE_URL: &str = "HOMEOSTAT_TEST_DATABASE_URL";
/// How many things happen in each of the tests in which things happen at random.
pub const TEST_ACTIONS: &str = "HOMEOSTAT_ACTIONS";
/// What their chance begins with.
pub const TEST_SEED: &str = "HOMEOSTAT_SEED";
/// How often the daemon is killed in the tests that do so at random moments.
pub const TEST_KILLS: &str = "HOMEOSTAT_KILLS";
/// Folder with shared logs and traces to measure against; tests that use it are complete without it.
pub const CORPUS: &str = "HOMEOSTAT_CORPUS";

/// The value of the variable `name`, if it is set, not empty and valid UTF-8.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
pub fn var(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The value of the variable `name` as a path, if it is set and not empty.
pub fn path(name: &str) -> Option<PathBuf> {
    var(name).map(PathBuf::from)
}
