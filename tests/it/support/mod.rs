//! Shared helpers: containers, databases, git servers, scripted services.
