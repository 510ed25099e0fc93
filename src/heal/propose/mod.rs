//! Stage: push the branch of a validated attempt and open its proposal. Never names the agent.
