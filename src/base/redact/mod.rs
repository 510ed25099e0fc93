//! The redactor: the only maker of [`Clean`] text.
//!
//! Keys, tokens, passwords, bearer headers, e-mail addresses and card numbers are replaced by `[redacted:<kind>]`
//! before a record leaves the watching half or a tool result reaches the model. More patterns come from the config.
//!
//! **Invariant:** redacting twice is redacting once. **Invariant:** lines are neither joined nor removed, except
//! inside a PEM block, so that stack traces keep their shape.

mod clean;
mod patterns;
mod plausible;
mod redactor;

pub use clean::Clean;
pub use redactor::{ExtraPattern, Hidden, PatternProblem, Redactor, unhide};
