//! Erlang and Elixir: reports of the logger, exceptions, and what is said of a process that died.

use super::line::View;
use super::machine::{Kind, Opening, State, Step, Sure};
use crate::model::trace::Runtime;

/// `=ERROR REPORT==== …` was seen.
const REPORT: u8 = 0;
/// `** (Kind) message` was seen: the message may go on.
const HEAD: u8 = 1;
const FRAMES: u8 = 2;

/// In [`State::mark`], of a report: it says that a process ends, so that others about its end follow.
const ENDS: u64 = 1;
const CRASHED: u64 = 2;
const SUPERVISED: u64 = 4;

/// Lines of a message.
const MAX_MESSAGE: u32 = 40;

pub(super) fn open(body: &str) -> Option<Opening> {
    let state = |phase, mark| State { mark, ..State::new(Kind::Beam, Runtime::Elixir, phase) };
    if body.starts_with("** (") && body.contains(')') {
        return Some((state(HEAD, 0), Sure::Yes));
    }
    match report(body)? {
        "ERROR" => Some((state(REPORT, 0), Sure::Yes)),
        "CRASH" => Some((state(REPORT, CRASHED), Sure::Yes)),
        "SUPERVISOR" => Some((state(REPORT, CRASHED | SUPERVISED), Sure::Yes)),
        _ => None,
    }
}

/// The level of `=ERROR REPORT==== 2-Jan-2026::10:00:00.000000 ===`.
fn report(text: &str) -> Option<&str> {
    let (level, rest) = text.strip_prefix('=')?.split_once(' ')?;
    rest.starts_with("REPORT====").then_some(level)
}

pub(super) fn step(state: &mut State, view: &View<'_>) -> Step {
    let text = view.body.trim_start();
    state.count += 1;
    if text.is_empty() {
        return Step::Hold;
    }
    if view.is_prefixed && !(state.is_prefixed && state.are_prefixed == Some(true)) {
        return Step::End;
    }
    if state.phase == REPORT { in_report(state, view, text) } else { exception(state, view, text) }
}

fn in_report(state: &mut State, view: &View<'_>, text: &str) -> Step {
    if let Some(level) = report(text) {
        let (is_next, mark) = match level {
            "CRASH" => (state.mark == ENDS, ENDS | CRASHED),
            "SUPERVISOR" => {
                (state.mark & CRASHED != 0 && state.mark & SUPERVISED == 0, ENDS | CRASHED | SUPERVISED)
            }
            _ => (false, 0),
        };
        if !is_next {
            return Step::End;
        }
        state.enter(REPORT);
        state.mark = mark;
        return Step::Take;
    }
    if text.starts_with("** ") && text.contains(" terminating") {
        state.mark |= ENDS;
    }
    let is_part =
        view.indent() > state.base || text.starts_with("** ") || text.starts_with(['{', '[', '}', ']', '"']);
    // What a person wrote follows the head at once.
    if state.count == 1 || is_part && !view.stands_alone { Step::Take } else { Step::End }
}

fn exception(state: &mut State, view: &View<'_>, text: &str) -> Step {
    let is_indented = view.indent() > state.base;
    if is_indented && (state.phase == FRAMES || state.count == 1 || is_frame(text)) {
        state.enter(FRAMES);
        return Step::Take;
    }
    if is_label(text) {
        state.enter(FRAMES);
        return Step::Take;
    }
    // The value of a label may go on for lines.
    if state.phase == FRAMES {
        return if text.starts_with(['}', ']', ')']) { Step::Take } else { Step::End };
    }
    if view.begins_other() || view.is_candidate || state.count > MAX_MESSAGE { Step::End } else { Step::Hold }
}

/// `(app 0.1.0) lib/app.ex:5: App.f/0`, `lib/app.ex:5: App.f/0`
fn is_frame(text: &str) -> bool {
    let place = if text.starts_with('(') { text.split_once(") ").map_or("", |it| it.1) } else { text };
    let Some((place, function)) = place.split_once(": ") else { return false };
    let is_place = place.rsplit_once(':').is_some_and(|(file, line)| {
        file.ends_with(".ex")
            || file.ends_with(".exs")
            || file.ends_with(".erl")
            || !line.is_empty() && line.bytes().all(|it| it.is_ascii_digit())
    });
    is_place && function.contains('/')
}

/// What is said of the process behind its exception.
fn is_label(text: &str) -> bool {
    const LABELS: [&str; 24] = [
        "Last message",
        "State: ",
        "Client #PID<",
        "Client :",
        "Client ",
        "Function: ",
        "Args: ",
        "Pid: ",
        "Start Call: ",
        "Restart: ",
        "Shutdown: ",
        "Type: ",
        "Initial Call: ",
        "Ancestors: ",
        "Process Label: ",
        "Neighbours:",
        "Queue: ",
        "Postponed: ",
        "Callback mode: ",
        "Message Queue Length: ",
        "Links: ",
        "Dictionary: ",
        "Trapping Exits: ",
        "Reductions: ",
    ];
    text.starts_with(|it: char| it.is_ascii_uppercase()) && LABELS.iter().any(|it| text.starts_with(it))
}

/// What a phase is called where people see it.
pub(super) const fn phase_name(phase: u8) -> &'static str {
    match phase {
        REPORT => "report",
        HEAD => "message",
        FRAMES => "frames",
        _ => "other",
    }
}
