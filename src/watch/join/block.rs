//! A marked line and what is indented under it; and what is no more than that, such as Postgres' entries.

use super::line::View;
use super::machine::{Kind, Opening, State, Step, Sure};
use super::shape::{Colons, find, name_length, strict_at_frame};
use super::{native, python};
use crate::model::trace::Runtime;

/// Nothing but the head was seen.
const HEAD: u8 = 0;
const BODY: u8 = 1;
/// The first line of `java.util.logging`: time, class and method; level and message are on the next.
const HEADER: u8 = 2;
/// A line of .NET's console logger that says info or warning: the message is on the next.
const QUIET: u8 = 3;
/// Within the stack of a Go error.
const GO_STACK: u8 = 4;
/// What MySQL and MariaDB say of themselves when they crash.
const MYSQL: u8 = 5;

pub(super) fn open(body: &str, colons: Colons) -> Option<Opening> {
    let state = |runtime| State::new(Kind::Block, runtime, HEAD);
    if is_quiet_head(body) {
        let mut quiet = state(Runtime::Message);
        quiet.phase = QUIET;
        return Some((quiet, Sure::Perhaps));
    }
    if python::ends_with_head(body) {
        return Some((python::after_head(), Sure::Yes));
    }
    if colons.has_wide && is_postgres(body, &["ERROR:  ", "FATAL:  ", "PANIC:  "]) {
        return Some((state(Runtime::Message), Sure::Perhaps));
    }
    None
}

/// `warn: Microsoft.AspNetCore.HttpsPolicy[3]`
fn is_quiet_head(body: &str) -> bool {
    let rest = ["trce: ", "dbug: ", "info: ", "warn: "].iter().find_map(|it| body.strip_prefix(it));
    rest.is_some_and(|it| it.ends_with(']') && it.contains('[') && !it.contains(' '))
}

/// Whether the record is of a logger's line that is no error, whatever words are in it.
pub(super) fn is_quiet(state: &State) -> bool {
    state.kind == Kind::Block && state.phase == QUIET
}

/// `Jul 09, 2015 3:23:29 PM a.b.Class method`: asked for last, because it says the least.
pub(super) fn open_header(view: &View<'_>) -> Option<Opening> {
    let (class, method) = view.body.split_once(' ')?;
    // Words such as `Booting worker` are no class and method.
    let is_dated = view.prefix.ends_with("AM ") || view.prefix.ends_with("PM ");
    let is_header = (is_dated || view.is_stamped && class.contains('.'))
        && name_length(class) == class.len()
        && (name_length(method) == method.len() || matches!(method, "<init>" | "<clinit>"))
        && class.starts_with(|it: char| it.is_ascii_alphabetic());
    is_header.then(|| (State::new(Kind::Block, Runtime::Message, HEADER), Sure::Perhaps))
}

/// A record of the scanner's: any line it marked.
pub(super) fn marked(view: &View<'_>) -> State {
    let mut state = State::new(Kind::Block, Runtime::Message, HEAD);
    state.base = view.indent();
    state.seen(view)
}

fn is_postgres(body: &str, words: &[&str]) -> bool {
    words
        .iter()
        .any(|word| find(body, word).is_some_and(|at| at == 0 || (body[..at].ends_with(' ') && at < 120)))
}

const DETAILS: [&str; 7] =
    ["DETAIL:  ", "HINT:  ", "STATEMENT:  ", "CONTEXT:  ", "QUERY:  ", "LOCATION:  ", "LINE "];

pub(super) fn step(state: &mut State, view: &View<'_>) -> Step {
    let text = view.body.trim_start();
    state.count += 1;
    if state.phase == QUIET {
        return if view.indent() > state.base && !view.has_prefix() { Step::Done } else { Step::End };
    }
    if state.phase == HEADER {
        if !view.is_prefixed || !view.is_error {
            return Step::End;
        }
        state.enter(HEAD);
        state.is_error = true;
        return Step::Take;
    }
    if view.colons.has_wide && is_postgres(text, &DETAILS[..6]) {
        state.enter(BODY);
        return Step::Take;
    }
    if text.is_empty() && state.phase != MYSQL {
        return if state.count < 3 { Step::Hold } else { Step::End };
    }
    let may_be_mysql = state.phase == MYSQL || state.phase == HEAD && !view.is_prefixed;
    if may_be_mysql && let Some(step) = mysql(state, view, text) {
        return step;
    }
    // The stacks of zap and of wrapped errors: a function, and its place below it, indented; each wrapper's message between.
    let may_be_go = state.phase == GO_STACK || !view.is_prefixed && (state.is_error || state.phase == HEAD);
    if may_be_go && let Some(step) = go_stack(state, view, text) {
        return step;
    }
    if let Some(step) = adopt(state, view, text) {
        return step;
    }
    let is_deeper = view.indent() > state.base + usize::from(view.is_prefixed);
    if !is_deeper {
        return Step::End;
    }
    // With a prefix of its own it is a line of its own, unless every line of the block has one.
    if view.is_prefixed && !(view.is_error && state.is_error) {
        return Step::End;
    }
    state.enter(BODY);
    Step::Take
}

fn mysql(state: &mut State, view: &View<'_>, text: &str) -> Option<Step> {
    const HEADS: [&str; 3] = [
        "Most likely, you have hit a bug",
        "This could be because you hit a bug",
        "Sorry, we probably made a mistake",
    ];
    const PARTS: [&str; 12] = [
        "/",
        "stack_bottom",
        "Thread pointer: ",
        "terribly wrong",
        "Some pointers may be",
        "Query (",
        "Connection ID (",
        "Status: ",
        "Optimizer switch: ",
        "information that should",
        "Trying to get some",
        "BuildID[",
    ];
    if state.phase == HEAD {
        if !HEADS.iter().any(|it| text.starts_with(it)) {
            return None;
        }
        state.enter(MYSQL);
        return Some(Step::Take);
    }
    let is_part = !view.is_prefixed && !text.is_empty() && PARTS.iter().any(|it| text.starts_with(it));
    let is_other = view.is_prefixed || view.stands_alone || state.count > 80;
    Some(match (is_part, is_other) {
        (true, _) => Step::Take,
        (false, true) => Step::End,
        (false, false) => Step::Hold,
    })
}

fn go_stack(state: &mut State, view: &View<'_>, text: &str) -> Option<Step> {
    if view.indent() > state.base
        && (text.contains(".go:") || text.contains(".s:"))
        && (state.count > 1 || state.phase == GO_STACK)
    {
        state.runtime = Runtime::Go;
        state.enter(GO_STACK);
        return Some(Step::Take);
    }
    if is_function(text) {
        return Some(Step::Hold);
    }
    if state.phase != GO_STACK {
        return None;
    }
    let is_message = state.count < 3 && view.is_bare() && view.opening().is_none() && view.indent() == 0;
    Some(if is_message { Step::Hold } else { Step::End })
}

/// `main.(*Cart).total`, alone on its line.
fn is_function(text: &str) -> bool {
    text.contains('.') && text.bytes().all(|it| it.is_ascii_alphanumeric() || b"._/()*[]-$".contains(&it))
}

/// A trace under a marked line is that line's trace.
fn adopt(state: &mut State, view: &View<'_>, text: &str) -> Option<Step> {
    // glog and absl print the stack of a failed check under the line that says so.
    if text == "*** Check failure stack trace: ***" {
        *state = State { is_prefixed: state.is_prefixed, is_error: state.is_error, ..native::after_check() };
        return Some(Step::Take);
    }
    let (opened, sure) = view.opening()?;
    if opened.kind == Kind::Block {
        return None;
    }
    // A logger's line is followed by its trace without a prefix. Other lines only adopt what has no head.
    let is_preface = state.is_error && state.is_prefixed && !view.is_prefixed && state.phase == HEAD;
    let is_frame = sure == Sure::Orphan && (state.phase == HEAD || strict_at_frame(view.body).is_some());
    if !is_preface && !is_frame {
        return None;
    }
    *state = State {
        base: if is_frame { state.base } else { opened.base },
        is_prefixed: state.is_prefixed,
        is_error: state.is_error,
        are_prefixed: state.are_prefixed,
        ..opened
    };
    Some(if sure == Sure::Perhaps { Step::Hold } else { Step::Take })
}

/// What a phase is called where people see it.
pub(super) const fn phase_name(phase: u8) -> &'static str {
    match phase {
        HEAD => "head",
        BODY => "body",
        HEADER => "header",
        QUIET => "quiet",
        GO_STACK => "stack",
        MYSQL => "mysql",
        _ => "other",
    }
}
