//! Runtimes whose frames begin with `at`: the JVM, Node and browsers, .NET.

use super::line::View;
use super::machine::{Kind, Opening, State, Step, Sure};
use super::shape::{
    at_frame, has, is_bare_place, is_php_frame, is_place, is_ruby_frame, name_length, strict_at_frame, typed,
};
use super::{ruby, script};
use crate::model::trace::Runtime;

/// A head that must be followed by a frame at once.
const LOOSE: u8 = 0;
/// A head whose message may go on for lines.
const HEAD: u8 = 1;
const FRAMES: u8 = 2;
/// `Caused by: …` was seen: its message may go on for lines.
const CAUSE: u8 = 3;
/// Node's `{ … }` after the last frame.
const OBJECT: u8 = 4;
/// Node's preamble: place, source, caret, blank, head.
const PREAMBLE: u8 = 5;
/// anyhow and eyre: `Error: x`, blank, `Caused by:`.
const RUST: u8 = 6;
/// `nested exception is:` was seen: the next line is a head and yet belongs.
const NESTED: u8 = 7;
/// A dump of all threads of a JVM.
const DUMP: u8 = 9;
/// Node's garbage collections before it ran out of memory.
const HEAP: u8 = 10;
/// `{` alone: an object that is printed, in which there may be an error.
const BRACE: u8 = 8;
/// In [`State::mark`]: the head is a qualified class, so that its message may be long.
const QUALIFIED: u64 = 1;
/// In [`State::mark`], of a dump: threads wait for each other.
const DEADLOCK: u64 = 2;
/// What Mono says of an exception that it told of already.
const MONO_AGAIN: &str = "[ERROR] FATAL UNHANDLED EXCEPTION: ";
/// Lines of a message after a head that is no qualified class.
const MAX_MESSAGE: u32 = 60;

pub(super) fn open(body: &str) -> Option<Opening> {
    let state = |runtime, phase| State::new(Kind::At, runtime, phase);
    if let Some(runtime) = strict_at_frame(body) {
        return Some((state(runtime, FRAMES), Sure::Orphan));
    }
    let text = body.trim_start();
    if text.starts_with("Exception in thread \"") {
        return Some((State { mark: QUALIFIED, ..state(Runtime::Jvm, HEAD) }, Sure::Yes));
    }
    if text.starts_with("Caused by: ") && typed(&text[11..]).is_some() {
        return Some((state(Runtime::Jvm, CAUSE), Sure::Orphan));
    }
    // `[AggregateError: x] {` and `{ … }` after it, without frames of its own.
    if text.ends_with(" {") && (text.starts_with('[') || typed(text).is_some_and(|it| it.is_strict)) {
        return Some((state(Runtime::Node, OBJECT), Sure::Perhaps));
    }
    if text == "{" && body == text {
        return Some((state(Runtime::Node, BRACE), Sure::Perhaps));
    }
    if text.starts_with("[UnhandledPromiseRejection") || text.starts_with("[Error") {
        return Some((state(Runtime::Node, HEAD), Sure::Perhaps));
    }
    // Mono and older .NET name the exception on the next line.
    if text == "Unhandled Exception:" {
        return Some((state(Runtime::Dotnet, NESTED), Sure::Perhaps));
    }
    if text == "Stack overflow." || text.starts_with("Process terminated. ") {
        return Some((state(Runtime::Dotnet, HEAD), Sure::Perhaps));
    }
    if text.starts_with("Full thread dump ") {
        return Some((state(Runtime::Jvm, DUMP), Sure::Yes));
    }
    if is_deadlock(text) {
        return Some((State { mark: DEADLOCK, ..state(Runtime::Jvm, DUMP) }, Sure::Yes));
    }
    if text == "<--- Last few GCs --->" {
        return Some((state(Runtime::Node, HEAP), Sure::Perhaps));
    }
    if text.starts_with(MONO_AGAIN) {
        return Some((state(Runtime::Dotnet, HEAD), Sure::Perhaps));
    }
    // A head that says no more than what follows.
    if ["stack trace", "stack trace:", "Stack Trace:", "stacktrace:", "backtrace:"]
        .iter()
        .any(|it| text.ends_with(it))
    {
        return Some((state(Runtime::Message, LOOSE), Sure::Perhaps));
    }
    if is_bare_place(text) {
        return Some((state(Runtime::Node, PREAMBLE), Sure::Perhaps));
    }
    let typed = typed(text)?;
    let mut state = state(Runtime::Message, if typed.is_strict { HEAD } else { LOOSE });
    state.mark = qualified(text);
    Some((state, Sure::Perhaps))
}

/// Whether the text begins with a class in its package.
fn qualified(text: &str) -> u64 {
    let name = &text[..name_length(text)];
    if name.contains('.') && text.starts_with(|it: char| it.is_ascii_lowercase()) { QUALIFIED } else { 0 }
}

pub(super) fn is_in_long_message(state: &State) -> bool {
    matches!(state.phase, HEAD | CAUSE) && state.mark == QUALIFIED
}

pub(super) fn step(state: &mut State, view: &View<'_>) -> Step {
    state.count += 1;
    match state.phase {
        OBJECT => object(state, view),
        DUMP => dump(state, view),
        HEAP => heap(state, view),
        BRACE => {
            if view.indent() == 0 || view.is_prefixed {
                return Step::End;
            }
            if strict_at_frame(view.body).is_none() {
                return Step::Hold;
            }
            state.enter(OBJECT);
            Step::Take
        }
        PREAMBLE => preamble(state, view),
        RUST => anyhow(state, view),
        _ => trace(state, view),
    }
}

fn trace(state: &mut State, view: &View<'_>) -> Step {
    let text = view.body.trim_start();
    let is_indented = view.indent() > state.base;
    let is_nested = state.phase == NESTED;
    if is_nested {
        state.enter(CAUSE);
    }
    if let Some(step) = part(state, text, is_indented) {
        return step;
    }
    if text.ends_with("nested exception is:") && is_indented {
        state.enter(NESTED);
        return Step::Hold;
    }
    if is_nested && typed(text).is_some() {
        return Step::Hold;
    }
    if text.is_empty() {
        return if state.phase == LOOSE { Step::End } else { Step::Hold };
    }
    match state.phase {
        LOOSE => Step::End,
        HEAD | CAUSE if state.count > MAX_MESSAGE && state.mark != QUALIFIED || view.begins_other() => {
            Step::End
        }
        HEAD | CAUSE => Step::Hold,
        // A browser's frame without a place, a note between frames.
        FRAMES if is_indented && text.starts_with("at ") => Step::Take,
        FRAMES if is_indented && !view.begins_other() => Step::Hold,
        _ => Step::End,
    }
}

/// The lines that can only be parts of a trace.
fn part(state: &mut State, text: &str, is_indented: bool) -> Option<Step> {
    let frame = if is_indented || state.phase == FRAMES { at_frame(text) } else { None };
    let frame =
        frame.or_else(|| (text.starts_with("at ") && !is_indented).then(|| strict_tail(text)).flatten());
    if let Some(runtime) = frame {
        // ` at [Source: (String)"x"; line: 1]` is a message.
        if state.runtime == Runtime::Message || state.phase == PREAMBLE {
            state.runtime = runtime;
        }
        state.enter(if text.ends_with(" {") { OBJECT } else { FRAMES });
        return Some(Step::Take);
    }
    // `f@https://…/a.js:1:2` of Firefox and Safari.
    if is_indented
        && matches!(state.phase, HEAD | FRAMES)
        && is_place(text)
        && has(text, "://")
        && has(text, "@")
    {
        state.runtime = Runtime::Node;
        state.enter(FRAMES);
        return Some(Step::Take);
    }
    if text.starts_with("at ") && is_indented && state.phase == HEAD && is_name(&text[3..]) {
        return Some(Step::Take);
    }
    if state.runtime == Runtime::Dotnet && text.len() > 20 && text.bytes().all(|it| it == b'-') {
        return Some(if state.phase == FRAMES { Step::Take } else { Step::Hold });
    }
    if text.starts_with("... ")
        && is_indented
        && text.ends_with(|it: char| it.is_ascii_alphabetic() || it == '.' || it == '{')
    {
        state.enter(if text.ends_with(" {") { OBJECT } else { FRAMES });
        return Some(Step::Take);
    }
    if state.phase == HEAD && matches!(text, "Caused by:" | "Stack backtrace:" | "Location:") {
        state.runtime = Runtime::Rust;
        state.enter(RUST);
        return Some(Step::Take);
    }
    if state.phase == HEAD && is_php_frame(text) {
        script::php_frames(state);
        return Some(Step::Take);
    }
    if state.phase == HEAD && text == "Stack trace:" {
        return Some(Step::Hold);
    }
    if state.runtime == Runtime::Dotnet && state.phase == FRAMES && text.starts_with(MONO_AGAIN) {
        state.enter(CAUSE);
        return Some(Step::Take);
    }
    if state.phase == HEAD && is_ruby_frame(text) {
        ruby::after_head(state);
        return Some(Step::Take);
    }
    let is_cause =
        ["Caused by: ", "Suppressed: ", "Wrapped by: ", "---> "].iter().any(|it| text.starts_with(it));
    if is_cause {
        if state.runtime == Runtime::Message {
            state.runtime = if text.starts_with("---> ") { Runtime::Dotnet } else { Runtime::Jvm };
        }
        state.enter(CAUSE);
        state.mark |= text.split_once(": ").map_or(0, |it| qualified(it.1));
        return Some(Step::Take);
    }
    let is_mark = text.starts_with("--- End of ")
        || text.starts_with("[CIRCULAR REFERENCE")
        || is_indented && (text == "CAUSED BY THIS" || text == "(Coroutine boundary)");
    if is_mark {
        state.enter(FRAMES);
        return Some(Step::Take);
    }
    if state.runtime == Runtime::Node {
        if text.starts_with("Node.js v") {
            return Some(Step::Done);
        }
        if text.starts_with("Emitted '") && text.ends_with(" at:") || text.starts_with("[... lines matching")
        {
            return Some(Step::Take);
        }
    }
    None
}

/// A frame whose indentation was lost.
fn strict_tail(text: &str) -> Option<Runtime> {
    at_frame(text).filter(|_| text.ends_with(')') || text.ends_with(|it: char| it.is_ascii_digit()))
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|it| it.is_ascii_alphanumeric() || b"._$<>".contains(&it))
}

fn object(state: &mut State, view: &View<'_>) -> Step {
    if !view.is_bare() && view.indent() == 0 {
        return Step::End;
    }
    if view.indent() <= state.base && !view.is_blank() {
        if view.body.trim_start().starts_with(['}', ']']) {
            state.enter(FRAMES);
            return Step::Take;
        }
        if matches!(view.opening(), Some((_, Sure::Yes | Sure::Perhaps))) {
            return Step::End;
        }
    }
    Step::Take
}

fn is_deadlock(text: &str) -> bool {
    text.starts_with("Found ") && text.ends_with(" Java-level deadlock:")
}

/// Whether the record says no more than what all threads do.
pub(super) fn is_quiet(state: &State) -> bool {
    state.kind == Kind::At && state.phase == DUMP && state.mark != DEADLOCK
}

fn dump(state: &mut State, view: &View<'_>) -> Step {
    const PARTS: [&str; 8] = [
        "Threads class SMR info",
        "_java_thread_list",
        "0x",
        "JNI global ref",
        "Java stack information",
        "====",
        "Heap",
        "Found ",
    ];
    let text = view.body.trim_start();
    if view.is_prefixed {
        return Step::End;
    }
    if is_deadlock(text) {
        state.mark = DEADLOCK;
    }
    let is_part = view.indent() > state.base
        || text.starts_with(['"', '}'])
        || PARTS.iter().any(|it| text.starts_with(it)) && !view.stands_alone;
    match text {
        "" => Step::Hold,
        _ if is_part => Step::Take,
        _ => Step::End,
    }
}

fn heap(state: &mut State, view: &View<'_>) -> Step {
    let text = view.body.trim_start();
    let digits = text.bytes().position(|it| !it.is_ascii_digit()).unwrap_or(0);
    if text.starts_with("FATAL ERROR: ") {
        // Another one is another process.
        state.mark += 1;
        return if state.mark == 1 { Step::Take } else { Step::End };
    }
    // `[7:0x5f3a1b0]    12345 ms: Mark-sweep …`
    let is_part = text.contains(" ms: ")
        || text.starts_with("<--- JS stack")
        || digits > 0 && text[digits..].starts_with(": 0x");
    if is_part {
        return Step::Take;
    }
    if view.is_prefixed && !text.starts_with('[') || view.stands_alone || state.count > 40 {
        Step::End
    } else {
        Step::Hold
    }
}

fn preamble(state: &mut State, view: &View<'_>) -> Step {
    let text = view.body.trim_start();
    if !view.is_bare() || state.count > 40 {
        return Step::End;
    }
    if text.starts_with("Node.js v") {
        return Step::Done;
    }
    if at_frame(text).is_some() && view.indent() > state.base {
        state.enter(if text.ends_with(" {") { OBJECT } else { FRAMES });
        return Step::Take;
    }
    // The source line may be anything, a caret must follow within the next ones.
    // Where the column is beyond what Node underlines, there are only blanks.
    let is_caret = (!text.is_empty() || state.count == 2)
        && text.bytes().all(|it| it == b'^' || it == b' ' || it == b'~');
    if is_caret {
        state.count = 10;
        return Step::Hold;
    }
    if state.count > 2 && state.count < 10 {
        return Step::End;
    }
    if state.count > 10 && text.ends_with('{') && view.indent() <= state.base {
        state.enter(OBJECT);
        return Step::Take;
    }
    // After the caret: heads are expected, another sure record is not.
    if matches!(view.opening(), Some((opened, Sure::Yes)) if opened.kind != Kind::At) && state.count > 1 {
        return Step::End;
    }
    Step::Hold
}

fn anyhow(state: &mut State, view: &View<'_>) -> Step {
    let text = view.body.trim_start();
    if text.is_empty() {
        return Step::Hold;
    }
    if view.indent() > state.base
        || matches!(text, "Caused by:" | "Stack backtrace:" | "Location:")
        || text.starts_with("note: ")
        || text.starts_with("Backtrace omitted.")
    {
        return Step::Take;
    }
    Step::End
}

/// What a phase is called where people see it.
pub(super) const fn phase_name(phase: u8) -> &'static str {
    match phase {
        LOOSE => "head",
        HEAD => "message",
        FRAMES => "frames",
        CAUSE => "cause",
        OBJECT => "object",
        PREAMBLE => "preamble",
        RUST => "causes",
        NESTED => "nested",
        BRACE => "brace",
        DUMP => "dump",
        HEAP => "heap",
        _ => "other",
    }
}
