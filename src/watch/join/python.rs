//! Python: tracebacks, chains, groups, and what the runtime prints before them.

use super::line::View;
use super::machine::{Kind, Opening, State, Step, Sure};
use super::ruby;
use super::shape::name_length;
use crate::model::trace::Runtime;

/// A line that announces a traceback was seen.
const PREFACE: u8 = 0;
const FRAMES: u8 = 1;
/// The exception's own line was seen; what follows may still be its message.
const MESSAGE: u8 = 2;
/// `During handling…` was seen.
const JOINED: u8 = 3;
const GROUP: u8 = 4;
/// `  File "x", line 1` without a head: a syntax error of the script itself.
const SYNTAX: u8 = 5;

/// `Fatal Python error: …`: the threads follow.
const FATAL: u8 = 6;
/// `Call stack:` of an error in logging itself.
const CALL_STACK: u8 = 7;
/// `Stack (most recent call last):`, where a log line was written.
const STACK_INFO: u8 = 8;

/// In [`State::mark`]: the last line of a group was seen.
const CLOSED: u64 = 1;

const HEAD: &str = "Traceback (most recent call last):";
const STACK: &str = "Stack (most recent call last):";
const JOINS: [&str; 2] =
    ["During handling of the above exception", "The above exception was the direct cause"];

pub(super) fn open(body: &str) -> Option<Opening> {
    let state = |phase| State::new(Kind::Python, Runtime::Python, phase);
    match body.as_bytes().first()? {
        b'T' if body.starts_with(HEAD) => Some((state(FRAMES), Sure::Yes)),
        b'S' if body == STACK => Some((state(STACK_INFO), Sure::Orphan)),
        b'T' if body.starts_with("Task exception was never retrieved") => {
            Some((state(PREFACE), Sure::Perhaps))
        }
        b'+' if body.starts_with("+ Exception Group Traceback") => Some((state(GROUP), Sure::Yes)),
        b'E' if body.starts_with("Exception in thread ") && body.ends_with(':') => {
            Some((state(PREFACE), Sure::Perhaps))
        }
        b'E' if body.starts_with("Exception ignored in") || body.starts_with("Exception in callback") => {
            Some((state(PREFACE), Sure::Perhaps))
        }
        b'E' if body.starts_with("Exception in ASGI application") => Some((state(PREFACE), Sure::Perhaps)),
        b'F' if body.starts_with("Fatal Python error: ") => Some((state(FATAL), Sure::Yes)),
        // Django and what answers requests like it say first which request failed.
        b'I' if body.starts_with("Internal Server Error: /") => Some((state(PREFACE), Sure::Perhaps)),
        b'-' if body == "--- Logging error ---" => Some((state(PREFACE), Sure::Perhaps)),
        b'F' if is_frame(body) => Some((state(SYNTAX), Sure::Perhaps)),
        _ => None,
    }
}

fn is_frame(body: &str) -> bool {
    body.starts_with("File \"") && body.contains("\", line ")
}

/// Whether the text ends with a traceback's head after a message: `Internal error: Traceback (most recent call last):`.
pub(super) fn ends_with_head(body: &str) -> bool {
    body.ends_with(HEAD)
}

/// The state after a head in the middle of a line.
pub(super) fn after_head() -> State {
    State::new(Kind::Python, Runtime::Python, FRAMES)
}

pub(super) fn step(state: &mut State, view: &View<'_>) -> Step {
    let text = view.from(state.base);
    let is_indented = text.starts_with([' ', '\t']);
    state.count += 1;
    match state.phase {
        PREFACE => match text {
            _ if text.starts_with(HEAD) => {
                state.enter(FRAMES);
                Step::Take
            }
            // Where a task was made may be told first, frame by frame.
            _ if is_indented && state.count < 60 => Step::Hold,
            _ if state.count > 60 || view.begins_other() => Step::End,
            _ if state.count > 6 && view.is_candidate => Step::End,
            _ => Step::Hold,
        },
        FRAMES => frames(state, view, text, is_indented),
        FATAL => fatal(view, text, is_indented),
        CALL_STACK => {
            if text.starts_with("Arguments: ") {
                return Step::Done;
            }
            let is_part = is_indented
                || text.starts_with("Message: ")
                || text.starts_with("Unable to print the message");
            if is_part { Step::Take } else { Step::End }
        }
        STACK_INFO => {
            if is_indented && !view.is_prefixed {
                Step::Take
            } else {
                Step::End
            }
        }
        MESSAGE => message(state, view, text, is_indented),
        JOINED => {
            if text.starts_with(HEAD) {
                state.enter(FRAMES);
                Step::Take
            } else if text.trim_start().starts_with("+ Exception Group Traceback") {
                state.enter(GROUP);
                Step::Take
            } else if text.is_empty() {
                Step::Take
            } else {
                Step::End
            }
        }
        SYNTAX => {
            if is_indented && state.count < 5 {
                return Step::Hold;
            }
            let is_error =
                ["SyntaxError", "IndentationError", "TabError"].iter().any(|it| text.starts_with(it));
            if is_error {
                state.enter(MESSAGE);
                return Step::Take;
            }
            Step::End
        }
        _ => {
            let trimmed = text.trim_start();
            // A second group directly behind the end of the first.
            let is_new = state.mark == CLOSED
                && trimmed.starts_with("+ Exception Group Traceback")
                && view.indent() == state.base + 2;
            if trimmed.starts_with(['|', '+']) && !is_new {
                let is_end = trimmed.len() > 20 && trimmed[1..].bytes().all(|it| it == b'-');
                state.mark = if is_end { CLOSED } else { 0 };
                return Step::Take;
            }
            if is_new {
                return Step::End;
            }
            message(state, view, text, is_indented)
        }
    }
}

fn frames(state: &mut State, view: &View<'_>, text: &str, is_indented: bool) -> Step {
    if is_indented {
        if state.count == 1 && ruby::is_reversed_frame(text) {
            ruby::reversed(state);
        }
        // Source lines and carets are all indented deeper than the head.
        return Step::Take;
    }
    if text.is_empty() {
        return Step::Hold;
    }
    if text.starts_with("> File \"") {
        // Loguru marks where the exception was caught.
        return Step::Take;
    }
    if text.starts_with(HEAD) {
        return if state.count == 1 { Step::Take } else { Step::End };
    }
    let name = name_length(text);
    let rest = &text[name..];
    let is_error = name > 0 && (rest.is_empty() || rest.starts_with(':'));
    // A group's traceback inside a chain ends with its own marks.
    if !is_error || (view.is_prefixed && state.are_prefixed != Some(true)) {
        return Step::End;
    }
    state.enter(MESSAGE);
    Step::Take
}

/// What follows an exception's own line: more of its message, a join, or something else.
fn message(state: &mut State, view: &View<'_>, text: &str, is_indented: bool) -> Step {
    if text.is_empty() {
        return Step::Hold;
    }
    if JOINS.iter().any(|it| text.starts_with(it)) {
        state.enter(JOINED);
        return Step::Take;
    }
    if text == "Call stack:" || text == STACK {
        state.enter(if text == STACK { STACK_INFO } else { CALL_STACK });
        return Step::Take;
    }
    if view.is_prefixed {
        return if is_indented { Step::Take } else { Step::End };
    }
    if view.begins_other() {
        return Step::End;
    }
    if is_indented {
        return Step::Take;
    }
    if is_note(text) {
        return Step::Take;
    }
    if view.is_candidate || state.count > 16 {
        return Step::End;
    }
    Step::Hold
}

/// What `faulthandler` and the interpreter print of the threads.
fn fatal(view: &View<'_>, text: &str, is_indented: bool) -> Step {
    if text.is_empty() {
        return Step::Hold;
    }
    let is_head = ["Current thread 0x", "Thread 0x", "Python runtime state: ", "Extension modules: "]
        .iter()
        .any(|it| text.starts_with(it));
    let is_frame = is_indented && !text.trim_start().starts_with('+');
    if !view.is_prefixed && (is_frame || is_head) { Step::Take } else { Step::End }
}

/// `(Background on this error …)`, `[SQL: …]`, `DETAIL:  …`: what libraries add on lines of their own.
fn is_note(text: &str) -> bool {
    if text.starts_with(['^', '~', '}', ')'])
        || text.starts_with("[SQL: ")
        || text.starts_with("[parameters: ")
    {
        return true;
    }
    // `[worker] ready` is no note.
    if text.starts_with('(') && text.ends_with(')') || text.starts_with('[') && text.ends_with(']') {
        return true;
    }
    let word = text.bytes().position(|it| !it.is_ascii_uppercase()).unwrap_or(text.len());
    word > 3 && text[word..].starts_with(": ") || text.starts_with("LINE ")
}

/// What a phase is called where people see it.
pub(super) const fn phase_name(phase: u8) -> &'static str {
    match phase {
        PREFACE => "preface",
        FRAMES => "frames",
        MESSAGE => "message",
        JOINED => "joined",
        GROUP => "group",
        SYNTAX => "syntax",
        FATAL => "fatal",
        CALL_STACK => "call stack",
        STACK_INFO => "stack",
        _ => "other",
    }
}
