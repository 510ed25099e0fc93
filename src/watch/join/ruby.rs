//! Ruby: uncaught exceptions with their causes, threads that died, and the traces of Rails and of loggers.
//!
//! A cause is printed behind what it led to and looks like an exception of its own. It is told from one by what both
//! stacks have: the method whose `rescue` raised again. Only the places of traces count, never their numbers, so that
//! lines that differ in nothing but digits are read alike.

use super::line::View;
use super::machine::{Kind, Opening, State, Step, Sure};
use super::shape::is_ruby_frame;
use crate::model::trace::Runtime;

const FRAMES: u8 = 0;
/// A `rescue` or `ensure` was seen: the next frame is the method it stands in.
const RESCUING: u8 = 1;
/// That method is known, and a cause may follow.
const WRAPPER: u8 = 2;
/// What may be the cause was begun; its stack must have that method, too.
const CAUSE: u8 = 3;
/// `#<Thread:…> terminated with exception …:` was seen.
const THREAD: u8 = 4;
/// Outermost frame first, each with a number; the exception follows.
const REVERSED: u8 = 5;
/// The exception of such a trace was seen.
const REVERSED_END: u8 = 6;

pub(super) fn open(body: &str, has_in: bool) -> Option<Opening> {
    let state = |phase, mark| State { mark, ..State::new(Kind::Ruby, Runtime::Ruby, phase) };
    if has_in && is_ruby_frame(body) {
        if is_head(body) {
            return Some((begin(body), Sure::Yes));
        }
        return body.ends_with('\'').then(|| (state(FRAMES, 0), Sure::Orphan));
    }
    if has_in && is_from(body) {
        return Some((state(FRAMES, 0), Sure::Orphan));
    }
    if body.starts_with("#<Thread:") && body.contains("> terminated with exception (") {
        return Some((state(THREAD, 0), Sure::Perhaps));
    }
    None
}

/// The state after `f.rb:6:in 'm': message (Type)`.
fn begin(head: &str) -> State {
    let phase = if is_rescue(head) { RESCUING } else { FRAMES };
    let place = u64::from(place(head));
    State { mark: place << 32 | place, ..State::new(Kind::Ruby, Runtime::Ruby, phase) }
}

/// The state after a head of another shape: `NoMethodError (…):`.
pub(super) fn after_head(state: &mut State) {
    state.kind = Kind::Ruby;
    state.runtime = Runtime::Ruby;
    state.mark = 0;
    state.enter(FRAMES);
}

/// The state within a trace that is printed outermost frame first.
pub(super) fn reversed(state: &mut State) {
    after_head(state);
    state.enter(REVERSED);
}

/// `    3: from a.rb:6:in 'm'`
pub(super) fn is_reversed_frame(text: &str) -> bool {
    let text = text.trim_start();
    let digits = text.bytes().position(|it| !it.is_ascii_digit()).unwrap_or(0);
    digits > 0 && text[digits..].strip_prefix(": ").is_some_and(is_from)
}

fn is_from(body: &str) -> bool {
    body.strip_prefix("from ").is_some_and(is_ruby_frame)
}

/// A frame with a message behind it.
fn is_head(text: &str) -> bool {
    text.contains("': ")
}

fn is_rescue(text: &str) -> bool {
    text.contains(":in `rescue in ")
        || text.contains(":in 'rescue in ")
        || text.contains(":in `ensure in ")
        || text.contains(":in 'ensure in ")
}

/// The place of a frame or of a head, without its numbers, as a hash that is the same on every machine.
fn place(text: &str) -> u32 {
    let end = text.find("': ").unwrap_or(text.len());
    text[..end]
        .bytes()
        .filter(|it| !it.is_ascii_digit() && *it != b'\'')
        .fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// What the first exception's place is, and the method that a cause must have in its stack.
fn marks(state: &State) -> (u32, u32) {
    ((state.mark >> 32) as u32, state.mark as u32)
}

pub(super) fn step(state: &mut State, view: &View<'_>) -> Step {
    let text = view.body.trim_start();
    if text.is_empty() {
        return Step::Hold;
    }
    let is_indented = view.indent() > 0;
    let is_exception =
        !is_indented && view.colons.has_in && is_ruby_frame(text) && is_head(text) && !view.is_prefixed;
    match state.phase {
        THREAD if is_exception => {
            let begun = begin(text);
            (state.phase, state.mark) = (begun.phase, begun.mark);
            return Step::Take;
        }
        THREAD => return Step::End,
        REVERSED | REVERSED_END => return reversed_step(state, view, is_exception),
        _ => {}
    }
    if is_exception {
        return cause(state, text);
    }
    let frame = text.strip_prefix("from ").unwrap_or(text);
    if is_ruby_frame(frame) {
        return frames(state, frame);
    }
    let is_part = text.starts_with("... ") && text.ends_with("levels...")
        || text.starts_with("Caused by ")
        || text.starts_with("Causes:");
    if is_part {
        return if state.phase == CAUSE { Step::Hold } else { Step::Take };
    }
    if view.begins_other() || view.is_candidate { Step::End } else { Step::Hold }
}

fn cause(state: &mut State, head: &str) -> Step {
    let (first, shared) = marks(state);
    // The same exception again is another run of the program.
    if state.phase != WRAPPER || place(head) == first {
        return Step::End;
    }
    if place(head) == shared {
        return Step::Take;
    }
    state.enter(CAUSE);
    Step::Hold
}

fn frames(state: &mut State, frame: &str) -> Step {
    let (first, shared) = marks(state);
    match state.phase {
        CAUSE if place(frame) == shared => state.enter(WRAPPER),
        CAUSE => return Step::Hold,
        FRAMES if is_rescue(frame) => state.enter(RESCUING),
        // Since 3.4 a `rescue` has the name of the method it stands in: one method twice, at different lines.
        FRAMES if place(frame) == shared && frame.contains(":in '") => state.enter(WRAPPER),
        FRAMES => state.mark = u64::from(first) << 32 | u64::from(place(frame)),
        RESCUING => {
            state.mark = u64::from(first) << 32 | u64::from(place(frame));
            state.enter(WRAPPER);
        }
        _ => {}
    }
    Step::Take
}

fn reversed_step(state: &mut State, view: &View<'_>, is_exception: bool) -> Step {
    if is_reversed_frame(view.body) {
        state.enter(REVERSED);
        return Step::Take;
    }
    if state.phase == REVERSED && is_exception {
        state.enter(REVERSED_END);
        return Step::Take;
    }
    let text = view.body.trim_start();
    if state.phase == REVERSED {
        let is_gap = text.starts_with("... ") && text.ends_with("levels...");
        return if is_gap { Step::Take } else { Step::End };
    }
    if is_exception || view.begins_other() || view.is_candidate || state.count > 16 {
        return Step::End;
    }
    if view.indent() > 0 { Step::Take } else { Step::Hold }
}

/// What a phase is called where people see it.
pub(super) const fn phase_name(phase: u8) -> &'static str {
    match phase {
        FRAMES => "frames",
        RESCUING => "rescuing",
        WRAPPER => "wrapper",
        CAUSE => "cause",
        THREAD => "thread",
        REVERSED => "outermost first",
        REVERSED_END => "message",
        _ => "other",
    }
}
