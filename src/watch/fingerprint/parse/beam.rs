//! Elixir's exceptions and Erlang's reports.

use super::{exception, frame, place};
use crate::model::trace::{Exception, Frame, Runtime, Trace};

pub(super) fn parse(lines: &[&str]) -> Option<Trace> {
    let exceptions =
        if lines.iter().any(|it| head(it.trim()).is_some()) { elixir(lines) } else { vec![report(lines)?] };
    Some(Trace { runtime: Runtime::Elixir, exceptions, thread: thread(lines) })
}

/// `#PID<0.109.0>` or `<0.79.0>` or the name of the process.
fn thread(lines: &[&str]) -> Option<String> {
    const LEADS: [&str; 7] = [
        "GenServer ",
        "Task ",
        "Process ",
        "Agent ",
        "Error in process ",
        "** Generic server ",
        "** State machine ",
    ];
    lines.iter().find_map(|line| {
        let rest = LEADS.iter().find_map(|lead| line.trim().strip_prefix(lead))?;
        rest.split(' ').next().map(str::to_owned)
    })
}

/// `** (Kind) message`
fn head(text: &str) -> Option<(&str, &str)> {
    let (kind, message) = text.strip_prefix("** (")?.split_once(')')?;
    Some((kind, message.trim()))
}

/// Exceptions stand within what they led to, indented deeper: the last head is the root.
fn elixir(lines: &[&str]) -> Vec<Exception> {
    // With how far each is indented, outermost first.
    let mut found: Vec<(usize, Exception)> = Vec::new();
    let mut is_told = false;
    for line in lines {
        let text = line.trim();
        let indent = line.len() - line.trim_start().len();
        if !found.is_empty() && text.starts_with("Client ") && indent == 0 {
            // What it was asked by.
            break;
        }
        is_told |= ["Last message", "State: ", "Function: "].iter().any(|it| text.starts_with(it));
        if let Some((kind, message)) = head(text) {
            // `** (EXIT) an exception was raised:` only leads to the next.
            if kind == "EXIT" && message.ends_with("an exception was raised:") {
                continue;
            }
            let kind = if kind.starts_with("EXIT from ") { "EXIT" } else { kind };
            found.push((indent, exception(kind, message)));
            continue;
        }
        let Some(frame) = elixir_frame(text) else {
            if let Some((_, last)) =
                found.last_mut().filter(|it| it.1.frames.is_empty() && !is_told && !is_call(text))
            {
                last.message.push('\n');
                last.message.push_str(line);
            }
            continue;
        };
        // The innermost exception that is not indented deeper than its frame.
        let owner = found.iter().rposition(|it| it.0 < indent).unwrap_or(0);
        if let Some((_, owner)) = found.get_mut(owner) {
            owner.frames.push(frame);
        }
    }
    found.reverse();
    found
        .into_iter()
        .map(|(_, mut it)| {
            it.message.truncate(it.message.trim_end().len());
            it
        })
        .collect()
}

/// `:erlang.map_get("A-17", %{})`, `Shop.Nothing.run("A-17")`: a call without a place.
fn is_call(text: &str) -> bool {
    text.ends_with(')')
        && (text.starts_with(':') || text.starts_with(|it: char| it.is_ascii_uppercase()))
        && text.contains('(')
}

/// `(app 0.1.0) lib/app.ex:5: App.f/0`, `lib/app.ex:5: App.f/0`
fn elixir_frame(text: &str) -> Option<Frame> {
    let (app, rest) = text.strip_prefix('(').and_then(|it| it.split_once(") ")).unwrap_or(("", text));
    if let Some((location, function)) = rest.split_once(": ")
        && let (Some(file), Some(line)) = place(location)
    {
        let app = app.split(' ').next().unwrap_or("");
        let path = if app.is_empty() { file } else { format!("{app}/{file}") };
        let module = (!app.is_empty()).then(|| app.to_owned());
        return Some(Frame { module, ..frame(without_arguments(function), Some(&path), Some(line)) });
    }
    // `Shop.Cart.lookup/1` of a module that was built without places.
    let (name, arity) = rest.rsplit_once('/')?;
    let is_function = name.contains('.') && !name.contains([' ', '"', '(']) && !arity.is_empty();
    (is_function && arity.bytes().all(|it| it.is_ascii_digit())).then(|| frame(rest, None, None))
}

/// `App.f("x", 1)` → `App.f`; `App.f/2` stays.
fn without_arguments(function: &str) -> &str {
    if function.ends_with(')') { function.split('(').next().unwrap_or(function) } else { function }
}

/// Erlang's `{Reason, Stack}` in a report, or the readable form of a crash report.
fn report(lines: &[&str]) -> Option<Exception> {
    if let Some(at) = lines.iter().position(|it| readable(it.trim()).is_some()) {
        let is_first = !lines[..at].iter().any(|it| term(it.trim()).is_some());
        if is_first {
            return Some(crash(&lines[at..]));
        }
    }
    let Some(at) = lines.iter().position(|it| term(it.trim()).is_some()) else {
        // What a person wrote.
        let said: Vec<&str> = lines.iter().map(|it| it.trim()).filter(|it| !it.starts_with('=')).collect();
        return Some(exception("error", said.join("\n").trim()));
    };
    // One term over several lines; what is said of others comes behind it.
    let mut text = term(lines[at].trim()).unwrap_or("").to_owned();
    for line in &lines[at + 1..] {
        let line = line.trim();
        if line.is_empty() || line.starts_with("** ") || line.starts_with('=') {
            break;
        }
        text.push(' ');
        text.push_str(line);
    }
    let (reason, stack) = match text.find("[{") {
        // `{Reason,[{m,f,a,[…]},…]}`
        Some(at) if text.starts_with('{') => (text[1..at].trim_end_matches([' ', ',']), &text[at..]),
        _ => (&*text, ""),
    };
    let mut found = exception(atom(reason), reason);
    found.frames = stack_terms(stack);
    Some(found)
}

/// What a process ended with: `** {badarg, …}` behind `** Reason for termination`, or a line that is a term.
fn term(text: &str) -> Option<&str> {
    let text = text.strip_prefix("** ").unwrap_or(text);
    (text.starts_with('{') || text.starts_with('[')).then_some(text)
}

/// The atom that leads a reason: `{badmatch,{error,x}}` → `badmatch`.
fn atom(reason: &str) -> &str {
    let rest = reason.trim_start_matches(['{', ' ']);
    let rest = rest.strip_prefix("nocatch,").map_or(rest, |_| "nocatch");
    let end = rest.bytes().position(|it| !(it.is_ascii_alphanumeric() || it == b'_')).unwrap_or(rest.len());
    if end == 0 || !rest.starts_with(|it: char| it.is_ascii_lowercase()) { "error" } else { &rest[..end] }
}

/// `{bugs,charge,1,[{file,"bugs.erl"},{line,14}]}`, one after another.
fn stack_terms(text: &str) -> Vec<Frame> {
    let mut frames: Vec<Frame> = Vec::new();
    for entry in text.split("]}").map(|it| it.trim_start_matches(['[', ',', ' ', ']', '}'])) {
        let Some(rest) = entry.strip_prefix('{') else { continue };
        let mut parts = rest.splitn(3, ',');
        let (Some(module), Some(function), Some(rest)) = (parts.next(), parts.next(), parts.next()) else {
            continue;
        };
        let file = rest.split_once("{file,\"").and_then(|it| it.1.split_once('"')).map(|it| it.0);
        let line = rest.split_once("{line,").and_then(|it| super::number(it.1));
        let is_name = |it: &str| !it.is_empty() && !it.contains(['{', '[', '"']);
        if is_name(module) && is_name(function) {
            frames.push(frame(&format!("{module}:{}", function.trim_matches('\'')), file, line));
        }
    }
    frames
}

/// `exception error: bad key: "A-17"`
fn readable(text: &str) -> Option<(&str, &str)> {
    let (class, reason) = text.strip_prefix("exception ")?.split_once(": ")?;
    matches!(class, "error" | "exit" | "throw").then_some((class, reason))
}

fn crash(lines: &[&str]) -> Exception {
    const READABLE: [(&str, &str); 14] = [
        ("bad key", "badkey"),
        ("bad map", "badmap"),
        ("no match of right hand side value", "badmatch"),
        ("no function clause matching", "function_clause"),
        ("no case clause matching", "case_clause"),
        ("no true branch found", "if_clause"),
        ("no try clause matching", "try_clause"),
        ("no with clause matching", "else_clause"),
        ("undefined function", "undef"),
        ("an error occurred when evaluating an arithmetic expression", "badarith"),
        ("bad argument", "badarg"),
        ("bad function", "badfun"),
        ("limit", "system_limit"),
        ("timeout", "timeout"),
    ];
    let reason = lines.first().and_then(|it| readable(it.trim())).map_or("", |it| it.1);
    let kind = READABLE.iter().find(|it| reason.starts_with(it.0)).map_or_else(|| atom(reason), |it| it.1);
    let mut found = exception(kind, reason);
    for line in &lines[1..] {
        let text = line.trim();
        let call = text
            .strip_prefix("in function ")
            .or_else(|| text.strip_prefix("in call from "))
            .or_else(|| found.frames.is_empty().then(|| text.strip_prefix("in call ")).flatten());
        let Some(call) = call else {
            if text.starts_with("ancestors:") {
                break;
            }
            continue;
        };
        // `bugs:charge/1 (bugs.erl, line 14)`
        let call = call.trim();
        let (function, at) = call.split_once(" (").unwrap_or((call, ""));
        let (file, line) =
            at.split_once(", line ").map_or((None, None), |it| (Some(it.0), super::number(it.1)));
        let function = function.rsplit_once('/').map_or(function, |it| it.0);
        found.frames.push(frame(&function.replace('\'', ""), file, line));
    }
    found
}
