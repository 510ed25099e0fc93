//! How a native program says that it dies by itself: failed checks of Chromium's and Google's loggers, V8's box, signal
//! handlers, gdb, Android's tombstones, and what fuzzers print before the exception of another runtime.
//!
//! Formats: Chromium `base/logging.cc` and `base/debug/stack_trace_posix.cc`, V8 `src/base/logging.cc`, Android
//! `debuggerd/libdebuggerd/tombstone.cpp`, Atheris and Jazzer.

use super::{BOX, DEAD, death_line, is_rule, is_word_of_shell};
use crate::model::trace::Runtime;
use crate::watch::join::line::View;
use crate::watch::join::machine::{Kind, Opening, State, Step, Sure};
use crate::watch::join::shape::{has, numbered};

/// A failed check: its message may go on, and its stack follows.
const CHECK: u8 = super::FIRST_OF_CRASH;
/// A signal handler's or gdb's report.
const SIGNAL: u8 = CHECK + 1;
/// Android's tombstone.
const TOMBSTONE: u8 = CHECK + 2;
/// What V8 knows of the script when it aborts.
const SCRIPT: u8 = CHECK + 3;
/// A fuzzer's line before an exception of another runtime.
const PREFACE: u8 = CHECK + 4;

/// What Windows' debuggers print.
const DEBUGGER: u8 = CHECK + 6;
/// The upper edge of V8's box: a `#` alone.
const EDGE: u8 = CHECK + 5;

/// What Chromium's handler of signals ends with.
const END: &str = "[end of stack trace]";

/// Lines that a preface waits for the trace it announces.
const MAX_PREFACE: u32 = 3;

pub(super) fn open(body: &str) -> Option<Opening> {
    let state = |phase| State::new(Kind::Native, Runtime::Cpp, phase);
    let is = |start: &str| body.starts_with(start);
    match body.as_bytes().first()? {
        b'[' if is_fatal_of_chromium(body) => Some((state(CHECK), Sure::Yes)),
        b'#' if body == "#" => Some((state(EDGE), Sure::Perhaps)),
        b'#' if is_box(body) => Some((state(BOX), Sure::Yes)),
        b'P' if is("Program received signal SIG") || is("Program terminated with signal SIG") => {
            Some((state(SIGNAL), Sure::Yes))
        }
        b'T' if is("Thread ") && has(body, " received signal SIG") => Some((state(SIGNAL), Sure::Yes)),
        b'R' if is("Received signal ") && body.len() > 16 && body.as_bytes()[16].is_ascii_digit() => {
            Some((state(SIGNAL), Sure::Yes))
        }
        b'F' if is("Fatal signal ") && has(body, " (SIG") => Some((state(TOMBSTONE), Sure::Yes)),
        b'*' if is("*** *** *** ***") => Some((state(TOMBSTONE), Sure::Perhaps)),
        // glog's signal handler.
        b'*' if is("*** Aborted at ") => Some((state(SIGNAL), Sure::Perhaps)),
        b'*' if is("*** SIG") && has(body, " received by PID ") => Some((state(SIGNAL), Sure::Yes)),
        b'A' if is("ASSERTION FAILED: ") || is("Assertion failed: ") => Some((state(CHECK), Sure::Yes)),
        b'a' if is("abort: ") && has(body, " failed") => Some((state(SCRIPT), Sure::Perhaps)),
        b'E' | b'F' if is("EXCEPTION: ") || is("FATAL EXCEPTION: ") => Some((state(PREFACE), Sure::Perhaps)),
        b'E' if is("ExceptionAddress: ") => Some((state(DEBUGGER), Sure::Yes)),
        b'(' if is_exception_of_debugger(body) => Some((state(DEBUGGER), Sure::Yes)),
        b'=' if is("== Java Exception: ")
            || is("=== Uncaught ") && body.ends_with("===")
            || is("==") && has(body, "== Uncaught Exception: ") =>
        {
            Some((state(PREFACE), Sure::Perhaps))
        }
        _ => None,
    }
}

fn is_box(text: &str) -> bool {
    ["# Fatal ", "# Runtime error in ", "# V8 correctness failure", "# Safely terminating process"]
        .iter()
        .any(|it| text.starts_with(it))
}

/// `[pid:tid:date/time:FATAL:file.cc(12)] text`
fn is_fatal_of_chromium(text: &str) -> bool {
    chromium_level(text).is_some_and(|it| it.starts_with("FATAL") || it.starts_with("DFATAL"))
}

/// What stands behind the numbers of Chromium's prefix: `FATAL:file.cc(12)] text`.
fn chromium_level(text: &str) -> Option<&str> {
    let rest = text.strip_prefix('[')?;
    let numbers =
        rest.bytes().take(64).position(|it| !it.is_ascii_digit() && !matches!(it, b':' | b'/' | b'.'))?;
    let level = &rest[numbers..];
    let word = level.bytes().position(|it| !it.is_ascii_uppercase())?;
    (word > 2 && level[word..].starts_with(':') && has(level, "] ")).then_some(level)
}

pub(super) fn step(state: &mut State, view: &View<'_>) -> Step {
    let text = view.body.trim_start();
    state.count += 1;
    if state.phase == PREFACE {
        return preface(state, view);
    }
    if state.phase == EDGE {
        state.enter(BOX);
        return if is_box(text) { Step::Take } else { Step::End };
    }
    // Behind a stamp it looks like the name of a thread.
    let is_end = text == END || text.is_empty() && view.prefix.ends_with(END);
    if is_end {
        state.enter(DEAD);
        return Step::Take;
    }
    if text.is_empty() {
        return Step::Hold;
    }
    if chromium_level(text).is_some() {
        return Step::End;
    }
    if let Some(taken) = death_line(state, view) {
        return taken;
    }
    if is_frame(text) || text.starts_with("==== ") && text.contains(" stack trace ") {
        return Step::Take;
    }
    if is_word_of_shell(text) {
        return Step::Done;
    }
    let is_indented = view.indent() > state.base;
    if state.phase == SCRIPT {
        return script(state, view, text, is_indented);
    }
    let is_part = match state.phase {
        TOMBSTONE => is_part_of_tombstone(text) || is_indented,
        DEBUGGER => is_part_of_debugger(text) || is_indented,
        CHECK => text.starts_with("Received signal ") || is_indented && !view.is_prefixed,
        _ => text.starts_with("PC: @") || text.starts_with("*** SIG") || is_indented && !view.is_prefixed,
    };
    if is_part {
        return Step::Take;
    }
    let is_other =
        matches!(view.opening(), Some((opened, Sure::Yes | Sure::Perhaps)) if opened.kind != Kind::Block);
    if !view.is_bare() || is_other { Step::End } else { Step::Hold }
}

/// V8's box: lines that begin with `#`, the C stack behind them.
pub(super) fn in_box(state: &mut State, view: &View<'_>) -> Step {
    let text = view.body.trim_start();
    if text.is_empty() {
        return Step::Hold;
    }
    if let Some(taken) = death_line(state, view) {
        return taken;
    }
    if is_word_of_shell(text) {
        return Step::Done;
    }
    let is_part = text.starts_with("====") && text.contains(" stack trace ")
        || is_frame(text)
        || text.starts_with('/')
        || view.indent() > state.base && !view.is_prefixed;
    if is_part || text.starts_with('#') && numbered(text).is_none() {
        return Step::Take;
    }
    // A frame may be broken into lines.
    if text.ends_with(']') && has(text, " [0x") || text.ends_with(',') && view.is_bare() {
        return Step::Hold;
    }
    Step::End
}

fn script(state: &mut State, view: &View<'_>, text: &str, is_indented: bool) -> Step {
    let bytes = text.as_bytes();
    let is_listed = bytes[0] == b'[' && bytes.get(1).is_some_and(u8::is_ascii_digit);
    if text.starts_with("==== ") || text.starts_with("----") || is_listed || is_indented && state.count > 2 {
        return Step::Take;
    }
    // The dump ends with a shorter rule than a sanitizer's report has.
    if is_rule(text) {
        return Step::Take;
    }
    if view.is_prefixed || view.stands_alone { Step::End } else { Step::Hold }
}

/// The trace that was announced is the record's.
fn preface(state: &mut State, view: &View<'_>) -> Step {
    if let Some((opened, sure)) = view.opening()
        && opened.kind != Kind::Block
        && !view.is_prefixed
    {
        *state = State { is_prefixed: state.is_prefixed, is_error: state.is_error, ..opened };
        return if sure == Sure::Perhaps { Step::Hold } else { Step::Take };
    }
    if state.count > MAX_PREFACE || !view.is_bare() { Step::End } else { Step::Hold }
}

/// A frame in one of the forms that native programs print.
pub(super) fn is_frame(text: &str) -> bool {
    let bytes = text.as_bytes();
    match bytes[0] {
        b'#' => numbered(text)
            .is_some_and(|it| it.starts_with(|it: char| it.is_ascii_hexdigit() || it == '<' || it == 'p')),
        // `@     0x5605  f()`, `[0x7f6b13882bf1]`
        b'@' => text[1..].trim_start().starts_with("0x"),
        b'[' => text.starts_with("[0x") && text.ends_with(']') || text.starts_with("[<"),
        // `1   0x7f16 f()`, ` 1: 0x34cdfb0`, `0x0ac8 in f ()`
        b'0'..=b'9' => {
            let digits = bytes.iter().position(|it| !it.is_ascii_digit()).unwrap_or(bytes.len());
            let rest = text[digits..].strip_prefix(':').unwrap_or(&text[digits..]);
            digits < 4 && rest.starts_with(' ') && rest.trim_start().starts_with("0x")
                || text.starts_with("0x") && has(text, " in ") && has(text, " (")
        }
        // `/bin/a(f+0x1) [0x7f]`, ` f [0x7f+58] (a.cc:1)`
        _ => {
            text.ends_with([']', ')'])
                && (has(text, ") [0x") || has(text, " [0x") && has(text, "] (") || has(text, ")[0x"))
        }
    }
}

/// `(170c.1c04): Access violation - code c0000005 (first chance)`
fn is_exception_of_debugger(text: &str) -> bool {
    let Some((ids, rest)) = text[1..].split_once("): ") else { return false };
    ids.len() < 18 && ids.bytes().all(|it| it.is_ascii_hexdigit() || it == b'.') && has(rest, " - code ")
}

fn is_part_of_debugger(text: &str) -> bool {
    const PARTS: [&str; 11] = [
        "First chance exc",
        "This exception may",
        "Exception",
        "NumberParameters",
        "Attempt to ",
        "STACK_TEXT",
        "FAULTING_IP",
        "EXCEPTION_RECORD",
        "ChildEBP",
        "Child-SP",
        "*** Stack trace",
    ];
    // `eax=00000000 ebx=…`, `shop!f+0x5:`, `104c6c05 8b01  mov  eax,…`, `0021f8d8 104c6a2d shop!f+0x5`
    let is_register = text.as_bytes().get(2..4).is_some_and(|it| it.contains(&b'=')) && text.contains(' ');
    let hex = text.bytes().take_while(|it| it.is_ascii_hexdigit() || *it == b'`').count();
    is_register
        || hex >= 8 && text[hex..].starts_with(' ')
        || has(text, "!") && has(text, "+0x")
        || PARTS.iter().any(|it| text.starts_with(it))
}

fn is_part_of_tombstone(text: &str) -> bool {
    const PARTS: [&str; 19] = [
        "*** ***",
        "Build fingerprint",
        "Revision:",
        "ABI:",
        "Timestamp:",
        "Process uptime",
        "Cmdline:",
        "pid: ",
        "uid: ",
        "signal ",
        "Abort message",
        "Cause: ",
        "tagged_addr_ctrl",
        "backtrace:",
        "stack:",
        "memory near",
        "code around",
        "memory map",
        "--------- DEBUG",
    ];
    PARTS.iter().any(|it| text.starts_with(it))
}

/// Whether a report may be followed by what a fuzzer says of its input.
pub(super) fn is_of_fuzzer(text: &str) -> bool {
    const PARTS: [&str; 7] = [
        "MS: ",
        "artifact_prefix",
        "Base64: ",
        "stat::",
        "Test unit written",
        "NOTE: libFuzzer",
        "SUMMARY: libFuzzer",
    ];
    let is_bytes = text.len() > 4 && text.starts_with("0x") && text.ends_with(',') && !text.contains(' ');
    is_bytes || PARTS.iter().any(|it| text.starts_with(it))
}

/// Phases of this file.
pub(super) fn is_mine(phase: u8) -> bool {
    (CHECK..=DEBUGGER).contains(&phase)
}
