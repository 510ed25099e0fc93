//! The fix stage: reproduce, attempt, validate. Never names the forge.
//!
//! [`FixStage`] takes an issue to an attempt with an outcome: the base commit is fetched, its dependencies are
//! installed (`dependencies`) and its tests are run (`ground`), the agent
//! works in a sealed container (`room`, `workspace`), what it leaves comes out as a patch made by the host (`export`) and is judged
//! by tests that are run in clean containers (`validate`, `judge`, `verdict`), whatever the agent says of it. Then it is told
//! (`report`), and the jobs that follow are named (`stage`).
//!
//! **Invariant:** an attempt is `Fixed` only with a proof that holds and no finding. **Invariant:** killed at any instant, the job
//! goes on from the transcript and leaves no container that its next lease or the reaper does not remove. **Invariant:** however an
//! attempt ends, its patch, its reasons and its cost are kept.

mod baseline;
mod check;
pub mod dependencies;
mod export;
mod ground;
mod judge;
mod output;
mod parts;
pub mod patch;
pub mod project;
mod record;
pub mod replay;
mod report;
mod results;
mod room;
mod settings;
mod stage;
mod subject;
mod trial;
mod validate;
mod verdict;
mod workspace;

pub use parts::FixParts;
pub use settings::Settings;
pub use stage::FixStage;
