//! What a patch may not do, as data: the rules of `rules/policy.toml`, shared by the stages that judge patches.
//!
//! `fix` asks what a proof cannot see (tests that are bent), `propose` what may be pushed. Here is only what both need: the rules with
//! their levels, which lines of a patch are tests, and what a finding is. Nothing here does I/O.

mod finding;
mod inline;
mod language;
mod lines;
mod rules;
mod test_path;

pub use finding::{Finding, Level, Levels};
pub use inline::{is_all_test, test_lines};
pub use language::{Language, code_of};
pub use lines::{Lines, PatchLine, Place, TestLines};
pub use rules::{Rules, put_together};
pub use test_path::{is_runner_config, is_test_path};
