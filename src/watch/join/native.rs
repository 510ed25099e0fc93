//! C and C++: `terminate`, assertions, glibc's checks, the sanitizers. What programs print of their own death is in
//! `native/crash`, what kernels print in `native/kernel`.

mod crash;
mod kernel;

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
/// V8's box.
const BOX: u8 = 5;
/// The same of the thread sanitizer.
const THREADS: u8 = 6;
/// The process is gone; what else knows of it may speak still.
const DEAD: u8 = 7;
/// The title of a second report on the same death.
const TITLE: u8 = 8;
const VALGRIND: u8 = 9;
/// Lines that may stand between the end of a process and what is said of it afterwards.
const MAX_AFTER: u32 = 20;
/// Phases from here on are those of `crash` and of `kernel`.
const FIRST_OF_CRASH: u8 = 16;
const FIRST_OF_KERNEL: u8 = 32;

pub(super) fn open(body: &str, colons: Colons) -> Option<Opening> {
    let state = |phase| State::new(Kind::Native, Runtime::Cpp, phase);
    match body.as_bytes().first()? {
        b'=' if is_rule(body) => return Some((state(RULE), Sure::Perhaps)),
        b'=' if is_report(body) => return Some((state(REPORT), Sure::Yes)),
        b'=' if is_valgrind(body) => return Some((state(VALGRIND), Sure::Yes)),
        b't' if body.starts_with("terminate called ") => return Some((state(ABORT), Sure::Yes)),
        b'*' if body.starts_with("*** GWP-ASan detected") => return Some((state(REPORT), Sure::Yes)),
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
        b'E' if is_bare_report(body) => return Some((state(REPORT), Sure::Yes)),
        b'#' if numbered(body).is_some_and(|it| it.starts_with("0x")) => {
            return Some((state(REPORT), Sure::Orphan));
        }
        _ => {}
    }
    if let Some(opened) = crash::open(body).or_else(|| kernel::open(body)) {
        return Some(opened);
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

/// `ERROR: AddressSanitizer: `, where the process has no number.
fn is_bare_report(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("ERROR: ") else { return false };
    rest.starts_with("libFuzzer: ") || find(rest, "Sanitizer: ").is_some_and(|it| it < 20)
}

fn is_rule(text: &str) -> bool {
    text.len() >= 18 && text.bytes().all(|it| it == b'=')
}

/// `==12==ERROR: `, `==12== ERROR: `, `==12==WARNING: `.
fn is_report(text: &str) -> bool {
    let Some((_, rest)) = process(text) else { return false };
    let rest = rest.trim_start();
    rest.starts_with("ERROR: ")
        || rest.starts_with("WARNING: ") && find(rest, "Sanitizer: ").is_some_and(|it| it < 40)
}

/// What a sanitizer prints when a signal comes.
fn is_deadly(text: &str) -> bool {
    has(text, "Sanitizer:DEADLYSIGNAL") || text.starts_with("ASAN:DEADLYSIGNAL") || text == "ASAN:SIGSEGV"
}

/// The number in `==12==` and what follows it.
fn process(text: &str) -> Option<(&str, &str)> {
    let rest = text.strip_prefix("==")?;
    let digits = rest.bytes().position(|it| !it.is_ascii_digit())?;
    let number = &rest[..digits];
    (digits > 0).then(|| rest[digits..].strip_prefix("==")).flatten().map(|it| (number, it))
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

/// Whether this is a line of a kernel's report that begins with a level.
pub(super) fn has_level(state: &State, view: &View<'_>) -> bool {
    kernel::is_mine(state.phase) && kernel::has_level(view)
}

/// Notes the place that an opened report of undefined behaviour is about, or the process that another is about.
pub(super) fn note_place(state: &mut State, body: &str) {
    if state.kind != Kind::Native {
        return;
    }
    match state.phase {
        UNDEFINED => state.mark = undefined(body.trim_start()).map_or(0, mark),
        REPORT | VALGRIND => note_process(state, body.trim_start()),
        _ => {}
    }
}

fn note_process(state: &mut State, text: &str) {
    if let Some((number, _)) = process(text) {
        state.mark = mark(number);
    }
}

/// A hash that is the same on every machine.
fn mark(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// A process that dies of what it reported, as a sanitizer or a fuzzer sees it: part of the record before it.
pub(super) fn death(state: &mut State, view: &View<'_>) -> Option<Step> {
    if view.is_prefixed || state.kind == Kind::Native && state.phase != ABORT {
        return None;
    }
    death_line(state, view)
}

/// The same, of a line that comes behind what only the dying print.
fn death_line(state: &mut State, view: &View<'_>) -> Option<Step> {
    let text = view.body.trim_start();
    let is_signal = is_deadly(text)
        || is_report(text)
            && ["ABRT", "libFuzzer: deadly signal", "fuzz target exited"].iter().any(|it| has(text, it));
    if is_signal {
        state.kind = Kind::Native;
        state.enter(REPORT);
        note_process(state, text);
        return Some(Step::Take);
    }
    is_rule(text).then_some(Step::Hold)
}

pub(super) fn step(state: &mut State, view: &View<'_>) -> Step {
    if crash::is_mine(state.phase) {
        return crash::step(state, view);
    }
    if kernel::is_mine(state.phase) {
        return kernel::step(state, view);
    }
    let text = view.body.trim_start();
    let is_indented = view.indent() > state.base;
    state.count += 1;
    match state.phase {
        ABORT => abort(view, text, is_indented),
        BOX => crash::in_box(state, view),
        RULE => ruled(state, view, text),
        DEAD | TITLE => dead(state, view, text),
        VALGRIND => valgrind(state, text),
        _ => report(state, view, text, is_indented),
    }
}

/// What comes behind a rule of `=`.
fn ruled(state: &mut State, view: &View<'_>, text: &str) -> Step {
    if text == "WARNING: DATA RACE" || text.starts_with("BUG: K") {
        // Go's race detector draws the same rule, and so does the kernel's.
        if let Some((opened, _)) = view.opening() {
            *state = State {
                base: state.base,
                is_prefixed: state.is_prefixed,
                is_stamped: state.is_stamped,
                ..opened
            };
        }
        return Step::Take;
    }
    if is_report(text) || text.contains("Sanitizer: ") {
        state.enter(REPORT);
        note_process(state, text);
        return Step::Take;
    }
    Step::End
}

/// What comes behind the end: a fuzzer's words on its input, and the same report again, without symbols or with them.
fn dead(state: &mut State, view: &View<'_>, text: &str) -> Step {
    let is_other = view.is_candidate && state.phase == DEAD;
    if view.is_prefixed || is_other || state.count > MAX_AFTER {
        return Step::End;
    }
    if text.is_empty() {
        return Step::Hold;
    }
    if state.phase == TITLE {
        let is_same = process(text).is_some_and(|it| mark(it.0) == state.mark);
        if is_same {
            state.enter(REPORT);
            return Step::Take;
        }
        return if is_deadly(text) { Step::Hold } else { Step::End };
    }
    if crash::is_of_fuzzer(text) {
        return Step::Take;
    }
    if text.starts_with("+----") && text.ends_with("----+") {
        state.enter(TITLE);
        return Step::Hold;
    }
    if view.opening().is_none() && view.is_bare() || is_rule(text) { Step::Hold } else { Step::End }
}

/// What a shell says of a program that died.
fn is_word_of_shell(text: &str) -> bool {
    const WORDS: [&str; 7] = [
        "Abort trap: 6",
        "Aborted",
        "Segmentation fault",
        "Trace/breakpoint trap",
        "Illegal instruction",
        "Bus error",
        "Floating point exception",
    ];
    let word = text.strip_suffix(" (core dumped)").unwrap_or(text);
    WORDS.contains(&word)
}

/// A report of Valgrind's: every line has the number of the process, and a blank one ends it.
fn valgrind(state: &State, text: &str) -> Step {
    match process(text) {
        Some((number, rest)) if mark(number) == state.mark && rest.starts_with("  ") => Step::Take,
        Some(_) | None => Step::End,
    }
}

fn is_valgrind(text: &str) -> bool {
    const HEADS: [&str; 8] = [
        "Invalid read of size",
        "Invalid write of size",
        "Invalid free()",
        "Mismatched free()",
        "Conditional jump or move depends",
        "Use of uninitialised value",
        "Syscall param ",
        "Process terminating with default action of signal",
    ];
    let Some((_, rest)) = process(text) else { return false };
    rest.strip_prefix(' ').is_some_and(|rest| HEADS.iter().any(|it| rest.starts_with(it)))
}

/// The state behind a logger's line that says that a check failed, and that its stack follows.
pub(super) fn after_check() -> State {
    State::new(Kind::Native, Runtime::Cpp, FIRST_OF_CRASH)
}

fn abort(view: &View<'_>, text: &str, is_indented: bool) -> Step {
    if text.starts_with("what():") && is_indented {
        return Step::Take;
    }
    if is_word_of_shell(text) {
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

fn report(state: &mut State, view: &View<'_>, text: &str, is_indented: bool) -> Step {
    if text.is_empty() {
        return Step::Hold;
    }
    if let Some((number, rest)) = process(text) {
        let is_new = is_report(text) && matches!(state.phase, SUMMED | THREADS);
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
        state.mark = mark(number);
        if rest.contains("ABORTING") {
            state.enter(DEAD);
        }
        return Step::Take;
    }
    if is_rule(text) {
        // Undefined behaviour is followed by the report of the signal it caused.
        return match state.phase {
            UNDEFINED => Step::Hold,
            // Only this one draws a line below.
            THREADS => Step::Done,
            SUMMED => Step::End,
            _ => Step::Take,
        };
    }
    if text.starts_with("SUMMARY: ") {
        state.enter(if text.contains("ThreadSanitizer") { THREADS } else { SUMMED });
        return Step::Take;
    }
    // One mistake may be several kinds of undefined behaviour.
    if state.phase == UNDEFINED && undefined(text).is_some_and(|it| mark(it) == state.mark) {
        return Step::Take;
    }
    if is_part(text) || is_deadly(text) || text.contains("can not provide additional info") {
        return Step::Take;
    }
    if is_word_of_shell(text) {
        return Step::Done;
    }
    // A frame may be broken into lines, the last of them its place.
    if text.starts_with('/') && state.phase == REPORT && !view.is_prefixed {
        return Step::Hold;
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
        || text.starts_with("*** End GWP-ASan")
        || text.starts_with("Live Heap Allocations")
        || has(text, " allocation(s)")
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
