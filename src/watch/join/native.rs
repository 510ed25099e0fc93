//! C and C++: `terminate`, assertions, glibc's checks, the sanitizers.

use super::line::View;
use super::machine::{Kind, Opening, State, Step, Sure};
use super::shape::{Colons, find, has, numbered};
use crate::model::trace::Runtime;

/// One line and what glibc or libstdc++ adds.
const ABORT: u8 = 0;
/// A sanitizer's report.
const REPORT: u8 = 1;
/// The rule of `=` before a report.
const RULE: u8 = 2;
/// An undefined-behaviour line, which a report may follow.
const UNDEFINED: u8 = 3;
/// A report whose summary was printed.
const SUMMED: u8 = 4;
/// In [`State::mark`]: the summary was that of the thread sanitizer.
const THREADS: u64 = 1;
/// V8's box: lines that begin with `#`, the C stack behind them.
const BOX: u8 = 5;

pub(super) fn open(body: &str, colons: Colons) -> Option<Opening> {
    let state = |phase| State::new(Kind::Native, Runtime::Cpp, phase);
    match body.as_bytes().first()? {
        b'=' if is_rule(body) => return Some((state(RULE), Sure::Perhaps)),
        b'=' if is_report(body) => return Some((state(REPORT), Sure::Yes)),
        b't' if body.starts_with("terminate called ") => return Some((state(ABORT), Sure::Yes)),
        b'*' if body.starts_with("*** ") && body.contains("detected ***") => {
            return Some((state(ABORT), Sure::Yes));
        }
        b'd' | b'f' | b'm' | b'c' | b'r' if is_heap_check(body) => {
            return Some((state(ABORT), Sure::Perhaps));
        }
        b'W' if body.starts_with("WARNING: ") && body.contains("Sanitizer: ") => {
            return Some((state(REPORT), Sure::Yes));
        }
        b'A' | b'U' | b'M' | b'T' | b'L' if is_deadly(body) => {
            return Some((state(REPORT), Sure::Perhaps));
        }
        b'#' if body.starts_with("# Fatal error in ") => return Some((state(BOX), Sure::Yes)),
        b'#' if numbered(body).is_some_and(|it| it.starts_with("0x")) => {
            return Some((state(REPORT), Sure::Orphan));
        }
        _ => {}
    }
    if !colons.has_check {
        return None;
    }
    if undefined(body).is_some() {
        return Some((state(UNDEFINED), Sure::Yes));
    }
    // `app: /a.c:21: f: Assertion `x' failed.`
    (has(body, ": Assertion ") && has(body, " failed")).then(|| (state(ABORT), Sure::Yes))
}

fn is_rule(text: &str) -> bool {
    text.len() >= 18 && text.bytes().all(|it| it == b'=')
}

/// `==12==ERROR: `, `==12== ERROR: `, `==12==WARNING: `.
fn is_report(text: &str) -> bool {
    let Some(rest) = process(text) else { return false };
    let rest = rest.trim_start();
    rest.starts_with("ERROR: ") || rest.starts_with("WARNING: ")
}

/// What a sanitizer prints when a signal comes.
fn is_deadly(text: &str) -> bool {
    has(text, "Sanitizer:DEADLYSIGNAL") || text.starts_with("ASAN:DEADLYSIGNAL") || text == "ASAN:SIGSEGV"
}

/// What follows `==12==`.
fn process(text: &str) -> Option<&str> {
    let rest = text.strip_prefix("==")?;
    let digits = rest.bytes().position(|it| !it.is_ascii_digit())?;
    (digits > 0).then(|| rest[digits..].strip_prefix("==")).flatten()
}

fn is_heap_check(text: &str) -> bool {
    [
        "free(): ",
        "double free or corruption",
        "malloc(): ",
        "malloc_consolidate(): ",
        "corrupted size vs",
        "corrupted double-linked",
        "realloc(): ",
        "munmap_chunk(): ",
    ]
    .iter()
    .any(|it| text.starts_with(it))
}

/// Whether a report is about a signal.
fn is_signal(text: &str) -> bool {
    ["SEGV", "FPE", "ILL", "BUS", "ABRT", "TRAP", "libFuzzer: deadly signal"].iter().any(|it| has(text, it))
}

/// The place of `f:l:c: runtime error: …`.
fn undefined(text: &str) -> Option<&str> {
    let place = &text[..find(text, ": runtime error: ")?];
    let is_place =
        !place.contains(' ') && place.ends_with(|it: char| it.is_ascii_digit()) && place.contains(':');
    is_place.then_some(place)
}

/// Notes the place that an opened report of undefined behaviour is about.
pub(super) fn note_place(state: &mut State, body: &str) {
    if state.kind == Kind::Native && state.phase == UNDEFINED {
        state.mark = undefined(body.trim_start()).map_or(0, mark);
    }
}

/// A hash that is the same on every machine.
fn mark(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// A process that dies of what it reported, as a sanitizer or a fuzzer sees it: part of the record before it.
pub(super) fn death(state: &mut State, view: &View<'_>) -> Option<Step> {
    let text = view.body.trim_start();
    if view.is_prefixed || state.kind == Kind::Native && !matches!(state.phase, ABORT | BOX) {
        return None;
    }
    let is_signal = is_deadly(text)
        || is_report(text)
            && ["ABRT", "libFuzzer: deadly signal", "fuzz target exited"].iter().any(|it| has(text, it));
    if is_signal {
        state.kind = Kind::Native;
        state.enter(REPORT);
        return Some(Step::Take);
    }
    is_rule(text).then_some(Step::Hold)
}

pub(super) fn step(state: &mut State, view: &View<'_>) -> Step {
    let text = view.body.trim_start();
    let is_indented = view.indent() > state.base;
    state.count += 1;
    match state.phase {
        ABORT => abort(view, text, is_indented),
        BOX => in_box(view, text, is_indented),
        RULE => {
            if is_report(text) || text.contains("Sanitizer: ") || text == "WARNING: DATA RACE" {
                if text == "WARNING: DATA RACE" {
                    // Go's race detector draws the same rule.
                    if let Some((opened, _)) = view.opening() {
                        *state = State { base: state.base, ..opened };
                    }
                } else {
                    state.enter(REPORT);
                }
                return Step::Take;
            }
            Step::End
        }
        _ => report(state, view, text, is_indented),
    }
}

fn abort(view: &View<'_>, text: &str, is_indented: bool) -> Step {
    if text.starts_with("what():") && is_indented {
        return Step::Take;
    }
    if text.starts_with("Aborted") || text.starts_with("Segmentation fault") {
        return Step::Done;
    }
    if text.is_empty() {
        return Step::Hold;
    }
    if numbered(text).is_some() {
        return Step::Take;
    }
    if view.is_prefixed || view.opening().is_some() || view.is_candidate {
        return Step::End;
    }
    if is_indented { Step::Take } else { Step::Hold }
}

fn in_box(view: &View<'_>, text: &str, is_indented: bool) -> Step {
    if text.is_empty() {
        return Step::Hold;
    }
    let is_part =
        text.starts_with("====") && text.contains(" stack trace ") || is_indented && !view.is_prefixed;
    if is_part || text.starts_with('#') && numbered(text).is_none() && !is_deadly(text) {
        return Step::Take;
    }
    Step::End
}

fn report(state: &mut State, view: &View<'_>, text: &str, is_indented: bool) -> Step {
    if text.is_empty() {
        return Step::Hold;
    }
    if let Some(rest) = process(text) {
        let is_new = is_report(text) && state.phase == SUMMED;
        if is_new {
            return Step::End;
        }
        if state.phase == UNDEFINED {
            // Only the signal it caused belongs to it.
            if is_report(text) && !is_signal(text) {
                return Step::End;
            }
            state.enter(REPORT);
        }
        return if rest.contains("ABORTING") { Step::Done } else { Step::Take };
    }
    if is_rule(text) {
        // Undefined behaviour is followed by the report of the signal it caused.
        return match state.phase {
            UNDEFINED => Step::Hold,
            // Only this one draws a line below.
            SUMMED if state.mark == THREADS => Step::Done,
            SUMMED => Step::End,
            _ => Step::Take,
        };
    }
    if text.starts_with("SUMMARY: ") {
        state.enter(SUMMED);
        state.mark = if text.contains("ThreadSanitizer") { THREADS } else { 0 };
        return Step::Take;
    }
    // One mistake may be several kinds of undefined behaviour.
    if state.phase == UNDEFINED && undefined(text).is_some_and(|it| mark(it) == state.mark) {
        return Step::Take;
    }
    if is_part(text) || is_deadly(text) || text.contains("can not provide additional info") {
        return Step::Take;
    }
    let is_sure = matches!(view.opening(), Some((_, Sure::Yes | Sure::Perhaps)));
    if !view.is_bare() || is_sure {
        return Step::End;
    }
    if is_indented { Step::Take } else { Step::Hold }
}

fn is_part(text: &str) -> bool {
    const PARTS: [&str; 22] = [
        "=>0x",
        "0x",
        "READ of size",
        "WRITE of size",
        "freed by thread",
        "previously allocated",
        "allocated by thread",
        "Shadow ",
        "HINT: ",
        "NOTE: ",
        "Hint: ",
        "Thread T",
        "Direct leak",
        "Indirect leak",
        "Uninitialized value",
        "Memory was marked",
        "Address 0x",
        "This frame has",
        "Register values",
        "MS: ",
        "artifact_prefix",
        "Base64: ",
    ];
    numbered(text).is_some()
        || PARTS.iter().any(|it| text.starts_with(it))
        || text.starts_with("Test unit written")
}

/// What a phase is called where people see it.
pub(super) const fn phase_name(phase: u8) -> &'static str {
    match phase {
        ABORT => "abort",
        REPORT => "report",
        RULE => "rule",
        UNDEFINED => "undefined",
        SUMMED => "summary",
        BOX => "box",
        _ => "other",
    }
}
