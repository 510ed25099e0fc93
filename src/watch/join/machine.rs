//! What a record is while it grows: which machine reads it and where that machine stands.

use super::line::View;
use super::{at, beam, block, callstack, go, native, python, ruby, rust, script};
use crate::model::trace::Runtime;

/// What a line is to an open record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// It belongs to the record, and so do the lines held before it.
    Take,
    /// It belongs to the record if a later line does.
    Hold,
    /// It belongs to the record and is its last line.
    Done,
    /// It does not belong to the record.
    End,
}

/// Which machine reads the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Python,
    /// JVM, Node, browsers, .NET: frames that begin with `at`.
    At,
    Go,
    Rust,
    Ruby,
    Php,
    Perl,
    Dart,
    /// Erlang and Elixir.
    Beam,
    /// Lua and Haskell: a message, and a stack that is announced.
    CallStack,
    /// C and C++: terminate, assertions, sanitizers.
    Native,
    /// A marked line and what is indented under it; Postgres and others that are no more than that.
    Block,
}

/// Where a machine stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct State {
    pub(super) kind: Kind,
    pub(super) runtime: Runtime,
    /// What the machine says it is; each machine has constants of its own.
    pub(super) phase: u8,
    /// Indentation of the head.
    pub(super) base: usize,
    /// Lines since the phase began, for the machines that count.
    pub(super) count: u32,
    /// The head had a prefix, a logger's or a shipper's.
    pub(super) is_prefixed: bool,
    /// That prefix was no more than a shipper's stamp.
    pub(super) is_stamped: bool,
    /// The head's prefix said error or worse.
    pub(super) is_error: bool,
    /// What must stay the same from line to line, as a hash; each machine has a use of its own.
    pub(super) mark: u64,
    /// Whether the lines after the head have prefixes; known from the second line on.
    pub(super) are_prefixed: Option<bool>,
}

impl State {
    pub(super) fn new(kind: Kind, runtime: Runtime, phase: u8) -> Self {
        Self {
            kind,
            runtime,
            phase,
            base: 0,
            count: 0,
            is_prefixed: false,
            is_stamped: false,
            is_error: false,
            mark: 0,
            are_prefixed: None,
        }
    }

    /// The state with what the head's line says of its prefix.
    pub(super) fn seen(self, view: &View<'_>) -> Self {
        Self { is_prefixed: view.has_prefix(), is_stamped: view.is_stamped, is_error: view.is_error, ..self }
    }

    /// Whether what is held may be a long message.
    pub(super) fn is_in_long_message(&self) -> bool {
        self.kind == Kind::At && at::is_in_long_message(self)
    }

    /// Machine and phase, as people see them.
    pub(super) const fn names(&self) -> (&'static str, &'static str) {
        match self.kind {
            Kind::Python => ("python", python::phase_name(self.phase)),
            Kind::At => ("at", at::phase_name(self.phase)),
            Kind::Go => ("go", go::phase_name(self.phase)),
            Kind::Rust => ("rust", rust::phase_name(self.phase)),
            Kind::Ruby => ("ruby", ruby::phase_name(self.phase)),
            Kind::Php => ("php", script::phase_name(self.phase)),
            Kind::Perl => ("perl", script::phase_name(self.phase)),
            Kind::Dart => ("dart", script::phase_name(self.phase)),
            Kind::Beam => ("beam", beam::phase_name(self.phase)),
            Kind::CallStack => ("callstack", callstack::phase_name(self.phase)),
            Kind::Native => ("native", native::phase_name(self.phase)),
            Kind::Block => ("block", block::phase_name(self.phase)),
        }
    }

    pub(super) fn enter(&mut self, phase: u8) {
        self.phase = phase;
        self.count = 0;
    }
}

/// How sure a head is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sure {
    /// A record by itself.
    Yes,
    /// Only if more follows.
    Perhaps,
    /// A frame or another part of a trace whose head was not seen.
    Orphan,
}

/// A record that may begin with this line.
pub(super) type Opening = (State, Sure);

/// Asks every machine whether a record begins with this line; what is asked later is in [`View::opening`].
pub(super) fn open(view: &View<'_>) -> Option<Opening> {
    let body = view.body.trim_start();
    let (first, colons) = (*body.as_bytes().first()?, view.colons);
    let opening = match first {
        b'T' => python::open(body).or_else(|| at::open(body)),
        b'+' | b'-' => python::open(body),
        b'p' | b'f' | b'g' | b'h' | b'r' | b'W' => {
            go::open(body).or_else(|| native::open(body, colons)).or_else(|| script::open(body, colons))
        }
        b't' => rust::open(body).or_else(|| native::open(body, colons)),
        b'*' | b'=' => beam::open(body),
        b'S' => python::open(body).or_else(|| go::open(body)),
        b's' | b'C' | b'H' | b'l' => callstack::open(body),
        _ => None,
    };
    let (mut state, sure) = opening
        .or_else(|| python::open(body))
        .or_else(|| script::open(body, colons))
        .or_else(|| callstack::open(body))
        .or_else(|| native::open(body, colons))
        .or_else(|| block::open(body, colons))
        .or_else(|| at::open(view.body))
        .or_else(|| block::open_header(view))?;
    state.base =
        if body.starts_with("+ Exception Group") { view.indent().saturating_sub(2) } else { view.indent() };
    if sure == Sure::Orphan {
        state.base = 0;
    }
    Some((state.seen(view), sure))
}

/// What this line is to the open record. The rules about prefixes are the same for every machine and stand here.
pub(super) fn step(state: &mut State, view: &View<'_>) -> Step {
    // A stamp on each line is the shipper's; from here on such lines count as having none.
    let is_foreign = view.has_prefix() && (!state.is_prefixed || state.are_prefixed == Some(false));
    if is_foreign && !(state.kind == Kind::Native && native::has_level(state, view)) {
        return Step::End;
    }
    let before = *state;
    // Blanks after a prefix are no indentation of the lines that have none.
    let has_less = if state.is_stamped { !view.has_prefix() } else { !view.is_prefixed };
    if state.is_prefixed && has_less {
        state.base = 0;
    }
    let mut step = match state.kind {
        Kind::Python => python::step(state, view),
        Kind::At => at::step(state, view),
        Kind::Go => go::step(state, view),
        Kind::Rust => rust::step(state, view),
        Kind::Ruby => ruby::step(state, view),
        Kind::Php | Kind::Perl | Kind::Dart => script::step(state, view),
        Kind::Beam => beam::step(state, view),
        Kind::CallStack => callstack::step(state, view),
        Kind::Native => native::step(state, view),
        Kind::Block => block::step(state, view),
    };
    if step == Step::End {
        let mut dying = before;
        if let Some(taken) = native::death(&mut dying, view) {
            *state = dying;
            step = taken;
        }
    }
    // A prefixed line that only might belong is a log line of its own.
    if view.is_prefixed && step == Step::Hold && !view.is_blank() && state.kind != Kind::Block {
        step = Step::End;
    }
    match step {
        Step::Take | Step::Done => {
            let is_known =
                before.is_error != state.is_error || !state.is_prefixed || state.are_prefixed.is_some();
            if !is_known && !view.is_blank() {
                state.are_prefixed = Some(view.has_prefix());
            }
        }
        Step::Hold => {}
        Step::End => *state = before,
    }
    step
}
