//! PHP, Perl and Dart.

use super::line::View;
use super::machine::{Kind, Opening, State, Step, Sure};
use super::ruby;
use super::shape::{Colons, has, is_php_frame, numbered, perl_place};
use crate::model::trace::Runtime;

/// The head was seen; its message may go on.
const HEAD: u8 = 0;
const FRAMES: u8 = 1;
/// Flutter's box, up to the rule below it.
const BOX: u8 = 3;
/// Laravel and Monolog: a trace inside the quotes of a context.
const QUOTED: u8 = 2;

pub(super) fn open(body: &str, colons: Colons) -> Option<Opening> {
    let state = |kind, runtime, phase| State::new(kind, runtime, phase);
    let php = |phase, sure| Some((state(Kind::Php, Runtime::Php, phase), sure));
    if body.starts_with("PHP Fatal error:  Uncaught ") || body.starts_with("Fatal error: Uncaught ") {
        return php(HEAD, Sure::Yes);
    }
    if body.starts_with("PHP ") && body.contains(":  ")
        || body.starts_with("exception '") && body.contains("' with message '")
    {
        return php(HEAD, Sure::Perhaps);
    }
    if body == "Stack trace:" || body == "PHP Stack trace:" {
        return php(FRAMES, Sure::Orphan);
    }
    if has(body, "\"[object] (") && !body.ends_with('}') {
        return php(QUOTED, Sure::Perhaps);
    }
    if body.starts_with("══╡ EXCEPTION CAUGHT BY ") {
        return Some((state(Kind::Dart, Runtime::Dart, BOX), Sure::Yes));
    }
    if body == "Unhandled exception:" {
        return Some((state(Kind::Dart, Runtime::Dart, HEAD), Sure::Perhaps));
    }
    if is_php_frame(body) {
        return php(FRAMES, Sure::Orphan);
    }
    if let Some(opening) = ruby::open(body, colons.has_in) {
        return Some(opening);
    }
    if perl_place(body) {
        let is_frame = body.contains(") called at ");
        let sure = if is_frame { Sure::Orphan } else { Sure::Yes };
        return Some((state(Kind::Perl, Runtime::Perl, FRAMES), sure));
    }
    None
}

/// The state within the frames of a head that others write, too.
pub(super) fn php_frames(state: &mut State) {
    state.kind = Kind::Php;
    state.runtime = Runtime::Php;
    state.enter(FRAMES);
}

pub(super) fn step(state: &mut State, view: &View<'_>) -> Step {
    let text = view.body.trim_start();
    let is_indented = view.indent() > state.base;
    state.count += 1;
    match state.kind {
        Kind::Php => php(state, view, text, is_indented),
        Kind::Dart => dart(state, view, text),
        Kind::Perl if is_indented && perl_place(text) => Step::Take,
        Kind::Perl if is_indented && (text.ends_with("...propagated") || text.starts_with("eval {")) => {
            Step::Take
        }
        Kind::Perl
        | Kind::Python
        | Kind::At
        | Kind::Go
        | Kind::Rust
        | Kind::Ruby
        | Kind::Native
        | Kind::Beam
        | Kind::CallStack
        | Kind::Block => Step::End,
    }
}

fn php(state: &mut State, view: &View<'_>, text: &str, is_indented: bool) -> Step {
    let is_part = numbered(text).is_some()
        || matches!(text, "Stack trace:" | "PHP Stack trace:" | "[stacktrace]" | "{main}")
        || text.starts_with("Next ") && text.contains(" in ")
        || text.starts_with("PHP   ")
        || text.starts_with("[previous exception]");
    if is_part {
        if state.phase == HEAD {
            state.enter(FRAMES);
        }
        return Step::Take;
    }
    if text.starts_with("thrown in ") && is_indented || state.phase == QUOTED && text.starts_with("\"}") {
        return Step::Done;
    }
    if text.is_empty() {
        return Step::Hold;
    }
    if view.is_prefixed || state.phase == FRAMES || state.count > 40 || view.begins_other() {
        return Step::End;
    }
    Step::Hold
}

fn dart(state: &mut State, view: &View<'_>, text: &str) -> Step {
    if state.phase == BOX {
        let is_rule = text.len() > 30 && text.chars().all(|it| it == '═');
        return match text {
            _ if is_rule => Step::Done,
            _ if view.is_prefixed || view.stands_alone || state.count > 200 => Step::End,
            "" => Step::Hold,
            _ => Step::Take,
        };
    }
    if numbered(text).is_some() || text == "<asynchronous suspension>" {
        state.enter(FRAMES);
        return Step::Take;
    }
    if text.is_empty() {
        return Step::Hold;
    }
    // The message of an exception looks like the head of another runtime's.
    let is_sure = matches!(view.opening(), Some((_, Sure::Yes)));
    if state.phase == FRAMES || view.is_prefixed || is_sure || state.count > 40 {
        return Step::End;
    }
    Step::Hold
}

/// What a phase is called where people see it.
pub(super) const fn phase_name(phase: u8) -> &'static str {
    match phase {
        HEAD => "message",
        FRAMES => "frames",
        QUOTED => "quoted",
        BOX => "box",
        _ => "other",
    }
}
