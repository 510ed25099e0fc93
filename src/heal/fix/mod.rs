//! Stage: reproduce, attempt, validate. Never names the forge.
