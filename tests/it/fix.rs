//! The fix stage with real containers, real git over HTTP, a real store and the scripted model server.

/// A store with an issue, a repository, a scripted model, the stage.
mod given;

/// The demo's service and its recorded fix.
mod demo;
