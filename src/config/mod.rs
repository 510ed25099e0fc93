//! Raw TOML to checked settings.
//!
//! Every part owns its `Settings`; here they are read from one file, all problems at once, each with file, line, key and
//! what to do. `config/default.toml` is the documentation: complete, commented, embedded, and a test holds it equal to
//! the defaults in the code.

mod changes;
mod document;
mod load;
pub mod problem;
mod sections;
mod settings;
mod values;

pub use changes::{Changes, SectionHashes};
pub use load::{DEFAULT_FILE, DEFAULT_TEXT, check, load, parse, section_hashes};
pub use problem::{Problem, ProblemKind};
pub use sections::agent::{AgentSettings, SandboxSettings};
pub use sections::heal::Place;
pub use settings::Settings;
