//! Stage: merge an accepted proposal. Never names the agent.
