//! The agent against the strict scripted model server.
