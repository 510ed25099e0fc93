//! Go: panics, fatal errors, goroutine dumps, data races.

use super::line::View;
use super::machine::{Kind, Opening, State, Step, Sure};
use crate::model::trace::Runtime;

/// The head was seen; what follows is its value, up to the first goroutine.
const HEAD: u8 = 0;
const STACK: u8 = 1;
const RACE: u8 = 2;
/// The rule below a race was seen; the program may still say how many there were.
const RACED: u8 = 3;

pub(super) fn open(body: &str) -> Option<Opening> {
    let state = |phase| State::new(Kind::Go, Runtime::Go, phase);
    match body.as_bytes().first()? {
        b'p' if body.starts_with("panic: ") => Some((state(HEAD), Sure::Yes)),
        b'f' if body.starts_with("fatal error: ") => Some((state(HEAD), Sure::Perhaps)),
        b'g' if is_goroutine(body) => Some((state(STACK), Sure::Orphan)),
        b'h' if is_server_panic(body) => Some((state(HEAD), Sure::Yes)),
        b'r' if body.starts_with("runtime: ") => Some((state(HEAD), Sure::Perhaps)),
        b'S' if body.starts_with("SIG") && body.contains(": ") && body.len() < 60 => {
            Some((state(HEAD), Sure::Perhaps))
        }
        b'W' if body == "WARNING: DATA RACE" => Some((state(RACE), Sure::Yes)),
        _ => None,
    }
}

fn is_goroutine(body: &str) -> bool {
    body.strip_prefix("goroutine ").is_some_and(|it| it.starts_with(|it: char| it.is_ascii_digit()))
        && body.contains('[')
        && body.ends_with("]:")
}

pub(super) fn step(state: &mut State, view: &View<'_>) -> Step {
    let text = view.from(state.base);
    state.count += 1;
    if text.is_empty() {
        return Step::Hold;
    }
    match state.phase {
        HEAD => {
            if is_goroutine(text) || text.starts_with("runtime stack:") || text.starts_with("goroutine ") {
                state.enter(STACK);
                return Step::Take;
            }
            // A panic while panicking, the signal behind it, the runtime's own words.
            let is_more = text.starts_with("[signal ")
                || text.starts_with("\tpanic: ")
                || text.starts_with("panic: ") && state.count < 4
                || text.starts_with("fatal error: ")
                || text.starts_with("runtime: ")
                || text.starts_with("[recovered")
                || text.starts_with("goroutine running on other thread");
            if is_more {
                return Step::Take;
            }
            if view.is_prefixed || state.count > 60 || matches!(view.opening(), Some((_, Sure::Yes))) {
                return Step::End;
            }
            Step::Hold
        }
        STACK => stack(text, view),
        RACED if text.starts_with("Found ") && text.ends_with(" data race(s)") => Step::Done,
        RACED => Step::End,
        _ => race(state, text),
    }
}

fn stack(text: &str, view: &View<'_>) -> Step {
    if text.starts_with("exit status ") {
        return Step::Done;
    }
    let is_part = is_goroutine(text)
        || text.starts_with("\t")
        || text.starts_with("created by ")
        || text.starts_with("runtime stack:")
        || text.starts_with("[originating from goroutine")
        || text.starts_with("[signal ")
        || text.ends_with("frames elided...")
        || is_call(text)
        || is_register(text);
    if is_part {
        return Step::Take;
    }
    // Four blanks where a shipper replaced the tab.
    if text.starts_with("  ") && (text.contains(".go:") || text.contains(".s:")) {
        return Step::Take;
    }
    if view.begins_other() || view.is_candidate { Step::End } else { Step::Hold }
}

/// `pkg.(*T).f(0x1, …)`, `pkg.F[...](…)`: no blank before the arguments.
fn is_call(text: &str) -> bool {
    let Some(open) = text.rfind('(') else { return false };
    let name = &text[..open];
    text.ends_with(')')
        && !name.is_empty()
        && !name.contains(' ')
        && (name.contains('.') || matches!(name, "panic" | "main"))
        && !name.contains(':')
}

fn is_register(text: &str) -> bool {
    let name = text.bytes().position(|it| !it.is_ascii_alphanumeric()).unwrap_or(text.len());
    (2..=6).contains(&name) && text[name..].trim_start().starts_with("0x") && text[name..].starts_with(' ')
}

fn race(state: &mut State, text: &str) -> Step {
    if text.starts_with("====") {
        state.enter(RACED);
        return Step::Take;
    }
    let is_part = text.starts_with("  ")
        || ["Read at ", "Write at ", "Previous ", "Goroutine ", "Atomic "]
            .iter()
            .any(|it| text.starts_with(it));
    if is_part { Step::Take } else { Step::End }
}

/// `http: panic serving …`, `http2: panic serving …`
fn is_server_panic(body: &str) -> bool {
    let rest =
        body.strip_prefix("http").map(|it| it.strip_prefix(|it: char| it.is_ascii_digit()).unwrap_or(it));
    rest.is_some_and(|it| it.starts_with(": panic serving "))
}

/// What a phase is called where people see it.
pub(super) const fn phase_name(phase: u8) -> &'static str {
    match phase {
        HEAD => "message",
        STACK => "goroutines",
        RACE => "race",
        RACED => "raced",
        _ => "other",
    }
}
