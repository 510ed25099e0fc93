//! The agent as a pure machine: events in, effects out, no clock, no I/O, no randomness.
//!
//! Every change of its state is an entry of the transcript that is applied: live right after it was made, and again, in the
//! same order, when an attempt is resumed. So what is replayed is what was, and [`Effect::Append`] comes before every
//! effect that rests on it.
//!
//! **Invariant:** the history of a conversation only grows; what was sent once is sent again byte for byte.
//! **Invariant:** every tool call is answered once, in order, all of a turn in one message with nothing after them.
//! **Invariant:** a call whose worst case could pass a limit is not made.

mod answers;
mod budget;
mod conversation;
mod event;
mod react;
mod state;
mod step;
mod stuck;

pub(super) use event::{Effect, Event, Failure, ToolCall, ToolOutcome};
pub(super) use react::calls_of;
pub(super) use step::{Machine, MachineConfig};
pub(super) use stuck::digest;

#[cfg(test)]
mod tests;
