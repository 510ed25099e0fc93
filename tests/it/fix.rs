//! The fix stage with real containers, real git over HTTP, a real store and the scripted model server.

/// A store with an issue, a repository, a scripted model, the stage.
mod given;
/// What the scripted model does.
mod play;

/// Commands that end or spoil their sandbox harm only what they changed.
mod broken;
/// Several workers at once under one limit on money.
mod crowd;
/// The demo's service and its recorded fix.
mod demo;
/// What a project needs is installed, and nobody else is reached.
mod dependencies;
/// Interrupted after any number of tool calls, and run again from the transcript.
mod every_call;
/// Every outcome, and the evidence it rests on.
mod outcomes;
/// What it costs besides the model.
mod overhead;
/// Exit codes that say less than the tests.
mod results;
/// Stopped, killed and cut off: nothing is done twice, nothing is left.
mod resume;
/// What the agent can find in its container.
mod sealed;
/// What must be there before an attempt is made.
mod standing;
