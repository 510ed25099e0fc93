//! Lua, Haskell and Swift: a message of any shape, a line that announces the stack, and the stack, indented.

use super::line::View;
use super::machine::{Kind, Opening, State, Step, Sure};
use super::shape::find;
use crate::model::trace::Runtime;

/// The message was begun.
const HEAD: u8 = 0;
const STACK: u8 = 1;

/// In [`State::mark`]: any program may say such a thing.
const WEAK: u64 = 1;

/// Longest name of a program.
const MAX_NAME: usize = 40;
/// Lines of a message that announces itself, and of one that does not.
const MAX_MESSAGE: u32 = 40;
const MAX_WEAK: u32 = 6;

pub(super) fn open(body: &str) -> Option<Opening> {
    let state = |runtime, phase| State::new(Kind::CallStack, runtime, phase);
    match body.as_bytes().first()? {
        b's' | b'C' | b'H' | b'T' => {
            if let Some(runtime) = announced(body) {
                return Some((state(runtime, STACK), Sure::Orphan));
            }
        }
        _ => {}
    }
    if body.starts_with("*** Signal ") && body.contains(": Backtracing from ")
        || body.starts_with("*** Program crashed: ")
    {
        return Some((state(Runtime::Swift, HEAD), Sure::Yes));
    }
    if find(body, ".swift:").is_some() && body.contains(": Fatal error") {
        return Some((state(Runtime::Swift, HEAD), Sure::Perhaps));
    }
    // `app: Assertion failed` has nothing behind it, other than C's.
    if body.ends_with(": Assertion failed") && program(body).is_some() {
        return Some((state(Runtime::Haskell, HEAD), Sure::Perhaps));
    }
    let program = program(body);
    if program.is_some_and(|it| it.starts_with("lua")) || has_lua_place(body) {
        return Some((state(Runtime::Lua, HEAD), Sure::Perhaps));
    }
    if program.is_some() && body.contains(": Uncaught exception ") {
        return Some((state(Runtime::Haskell, HEAD), Sure::Perhaps));
    }
    None
}

/// Whether any program may say such a thing of itself, so that only what follows tells.
pub(super) fn is_weak_head(body: &str) -> bool {
    program(body).is_some()
}

/// The state after such a line.
pub(super) fn weak(view: &View<'_>) -> State {
    State { mark: WEAK, ..State::new(Kind::CallStack, Runtime::Message, HEAD) }.seen(view)
}

/// Whose stack a line announces.
pub(super) fn announced(text: &str) -> Option<Runtime> {
    match text {
        "stack traceback:" => Some(Runtime::Lua),
        "HasCallStack backtrace:" => Some(Runtime::Haskell),
        "Current stack trace:" => Some(Runtime::Swift),
        _ if text.starts_with("Thread ") && text.ends_with(" crashed:") => Some(Runtime::Swift),
        _ => text.starts_with("CallStack (from ").then_some(Runtime::Haskell),
    }
}

/// The name in `app: message`: no more than a file's.
fn program(body: &str) -> Option<&str> {
    let end = body.bytes().take(MAX_NAME + 1).position(|it| {
        !(it.is_ascii_lowercase() || it.is_ascii_digit() || matches!(it, b'-' | b'_' | b'.'))
    })?;
    let is_name = end > 0 && body.as_bytes()[0].is_ascii_lowercase();
    (is_name && body[end..].starts_with(": ")).then(|| &body[..end])
}

/// `a.lua:3: `
fn has_lua_place(body: &str) -> bool {
    let Some(at) = find(body, ".lua:") else { return false };
    let rest = &body[at + 5..];
    let digits = rest.bytes().position(|it| !it.is_ascii_digit()).unwrap_or(0);
    digits > 0 && rest[digits..].starts_with(':')
}

pub(super) fn step(state: &mut State, view: &View<'_>) -> Step {
    let text = view.body.trim_start();
    state.count += 1;
    if view.is_prefixed {
        return Step::End;
    }
    if let Some(runtime) = announced(text) {
        // A stack is announced once, but that of what was handled meanwhile is, too.
        if state.phase == STACK && runtime == Runtime::Lua {
            return Step::End;
        }
        state.runtime = runtime;
        state.enter(STACK);
        return Step::Take;
    }
    if state.phase == STACK {
        let is_part = view.indent() > state.base
            || state.runtime == Runtime::Swift && is_part_of_swift(text)
            || text.starts_with("coroutine ") && text.ends_with(':')
            || text.starts_with("While handling ");
        return match text {
            "" if matches!(state.runtime, Runtime::Haskell | Runtime::Swift) => Step::Hold,
            _ if is_part => Step::Take,
            _ => Step::End,
        };
    }
    if state.runtime == Runtime::Swift {
        return match text {
            "" => Step::Hold,
            _ if text.starts_with("*** Program crashed: ") => Step::Take,
            _ => Step::End,
        };
    }
    let most = if state.mark == WEAK { MAX_WEAK } else { MAX_MESSAGE };
    let is_other = view.opening().is_some() || view.is_weak && state.mark == WEAK;
    if state.count > most || view.stands_alone || is_other || view.is_candidate && state.mark == WEAK {
        return Step::End;
    }
    Step::Hold
}

/// `3 0x0000 f() + 9 in shop at /a.swift:3:1`, and what the backtracer says beside it.
fn is_part_of_swift(text: &str) -> bool {
    let is_frame = text.starts_with(|it: char| it.is_ascii_digit()) && find(text, " 0x").is_some();
    // Registers have their value within a few columns.
    let is_register = find(text, " 0x").is_some_and(|it| it < 16);
    is_frame
        || is_register
        || ["│", "Registers:", "Images (", "Backtrace took", "...", "…"].iter().any(|it| text.starts_with(it))
}

/// What a phase is called where people see it.
pub(super) const fn phase_name(phase: u8) -> &'static str {
    match phase {
        HEAD => "message",
        STACK => "stack",
        _ => "other",
    }
}
