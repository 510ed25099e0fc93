//! Rust: panics with and without a backtrace.

use super::line::View;
use super::machine::{Kind, Opening, State, Step, Sure};
use crate::model::trace::Runtime;

/// `panicked at f:l:c:` was seen: the message follows.
const MESSAGE: u8 = 0;
/// The message has begun, or stood in the head.
const AFTER: u8 = 1;
const FRAMES: u8 = 2;
/// The blank line that the panic hook prints first, since 1.91.
const BLANK: u8 = 3;

pub(super) fn open(body: &str) -> Option<Opening> {
    let rest = body.strip_prefix("thread '")?;
    let end = rest.find("' ")?;
    let mut rest = &rest[end + 2..];
    // The thread's number, since 1.91.
    if rest.starts_with('(') {
        rest = rest.split_once(") ").map_or(rest, |it| it.1);
    }
    let phase = if rest.starts_with("panicked at ") {
        if rest.ends_with(':') { MESSAGE } else { AFTER }
    } else if rest.starts_with("has overflowed its stack") {
        MESSAGE
    } else {
        return None;
    };
    Some((State::new(Kind::Rust, Runtime::Rust, phase), Sure::Yes))
}

/// The state after a blank line, which may be the first of a panic.
pub(super) fn after_blank(view: &View<'_>) -> State {
    State::new(Kind::Rust, Runtime::Rust, BLANK).seen(view)
}

pub(super) fn step(state: &mut State, view: &View<'_>) -> Step {
    if state.phase == BLANK {
        let Some((opened, _)) = open(view.body.trim_start()) else { return Step::End };
        *state = State { base: view.indent(), ..opened.seen(view) };
        return Step::Take;
    }
    let text = view.from(state.base);
    state.count += 1;
    if text.starts_with("stack backtrace:") {
        state.enter(FRAMES);
        return Step::Take;
    }
    match state.phase {
        FRAMES => {
            if text.starts_with("note: ") {
                return Step::Done;
            }
            if text.is_empty() {
                return Step::Hold;
            }
            if is_frame(text) { Step::Take } else { Step::End }
        }
        _ if text.starts_with("note: ") => Step::Done,
        MESSAGE => {
            if begins_sure(view) {
                return Step::End;
            }
            state.enter(AFTER);
            if text.is_empty() { Step::Hold } else { Step::Take }
        }
        _ => {
            if text.is_empty() {
                return Step::Hold;
            }
            if state.count > 40 || view.begins_other() {
                return Step::End;
            }
            // `  left: 1`, ` right: 2`
            if text.starts_with(' ') { Step::Take } else { Step::Hold }
        }
    }
}

fn begins_sure(view: &View<'_>) -> bool {
    view.is_prefixed || matches!(view.opening(), Some((_, Sure::Yes)))
}

/// `   0: f`, `             at f:l:c`, and the marks between.
fn is_frame(text: &str) -> bool {
    let trimmed = text.trim_start();
    if trimmed.len() == text.len() && !trimmed.starts_with(|it: char| it.is_ascii_digit()) {
        return false;
    }
    let digits = trimmed.bytes().position(|it| !it.is_ascii_digit()).unwrap_or(0);
    trimmed.starts_with("at ")
        || (digits > 0 && trimmed[digits..].starts_with(':'))
        || trimmed.starts_with("[... ")
}

/// What a phase is called where people see it.
pub(super) const fn phase_name(phase: u8) -> &'static str {
    match phase {
        MESSAGE => "message",
        AFTER => "after message",
        FRAMES => "frames",
        BLANK => "blank",
        _ => "other",
    }
}
