//! Traces whose frames begin with `at`: the JVM, Node and browsers, .NET.

use super::{exception, frame, place, split_kind};
use crate::model::trace::{Exception, Frame, Runtime, Trace};
use crate::watch::join::shape;

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// The exception that a head names: at its start, or after what a logger wrote before it.
fn head(text: &str) -> Exception {
    let mut text = text.trim();
    for lead in
        ["Uncaught (in promise) ", "Uncaught ", "Unhandled exception. ", "Unhandled Exception: ", "[cause]: "]
    {
        text = text.strip_prefix(lead).unwrap_or(text);
    }
    if let Some(rest) = text.strip_prefix('[').filter(|it| !it.starts_with("object")) {
        text = rest.trim_end_matches([']', ' ', '{']);
    }
    // `i [PaymentError]: declined`: a class of another name, such as a minifier gives, that names itself.
    if let Some((class, (named, message))) =
        text.split_once(" [").and_then(|(class, rest)| Some((class, rest.split_once("]: ")?)))
        && named.bytes().any(|it| it.is_ascii_lowercase())
        && shape::name_length(named) == named.len()
        && shape::name_length(class) == class.len()
    {
        // `TypeError [Error]: x` is how Node's test runner writes what crossed its border: the class says more.
        return exception(if named == "Error" && class.ends_with(named) { class } else { named }, message);
    }
    if shape::typed_name(text) {
        let (kind, message) = split_kind(text);
        return exception(kind, message);
    }
    // `Request failed: java.lang.X: y`
    for (at, _) in text.match_indices(": ") {
        let rest = &text[at + 2..];
        if shape::typed_name(rest) {
            let (kind, message) = split_kind(rest);
            return exception(kind, message);
        }
    }
    // `failed to bill A-17 PaymentError: declined`
    for (at, _) in text.match_indices(' ') {
        let rest = &text[at + 1..];
        if shape::typed_name(rest) && rest[shape::name_length(rest)..].starts_with(": ") {
            let (kind, message) = split_kind(rest);
            return exception(kind, message);
        }
    }
    exception("", text)
}

/// Reads the head that stands in `lines`: the first that names a type, with the lines of its message.
fn head_of(lines: &[&str]) -> Exception {
    let start = lines
        .iter()
        .position(|it| shape::typed_name(strip_leads(it.trim())))
        .or_else(|| lines.iter().position(|it| !head(it).kind.is_empty()))
        .unwrap_or(0);
    let Some(first) = lines.get(start) else { return Exception::default() };
    let mut found = head(first);
    for line in &lines[start + 1..] {
        found.message.push('\n');
        found.message.push_str(line);
    }
    found.message.truncate(found.message.trim_end().len());
    found
}

fn strip_leads(text: &str) -> &str {
    ["Uncaught (in promise) ", "Uncaught ", "Unhandled exception. ", "Unhandled Exception: "]
        .iter()
        .find_map(|it| text.strip_prefix(it))
        .unwrap_or(text)
}

/// Threads that wait for each other: the stack of the first of them.
fn deadlock(lines: &[&str]) -> Option<Trace> {
    lines.iter().position(|it| it.ends_with(" Java-level deadlock:"))?;
    let at = lines.iter().position(|it| it.starts_with("Java stack information"))?;
    let mut threads = lines[at..].iter().filter_map(|it| it.strip_prefix('"')?.strip_suffix("\":"));
    let thread = threads.next().map(str::to_owned);
    let stack = lines[at..]
        .iter()
        .skip_while(|it| !it.starts_with('"'))
        .skip(1)
        .take_while(|it| !it.starts_with('"'));
    let mut found = exception("deadlock", "");
    found.frames = stack.filter_map(|it| jvm_frame(it.trim())).collect();
    Some(Trace { runtime: Runtime::Jvm, exceptions: vec![found], thread })
}

pub(super) fn jvm(lines: &[&str]) -> Option<Trace> {
    if let Some(found) = deadlock(lines) {
        return Some(found);
    }
    let mut thread = None;
    // Outermost first, as printed; `... n more` counts frames of the one before.
    let mut exceptions: Vec<Exception> = Vec::new();
    let mut pending: Vec<&str> = Vec::new();
    let mut skipped_below = None;
    for line in lines {
        let text = line.trim();
        if let Some(base) = skipped_below {
            if indent(line) > base
                || text.is_empty()
                || (indent(line) == base && shape::at_frame(text).is_some())
            {
                continue;
            }
            skipped_below = None;
        }
        if text.starts_with("Suppressed: ") {
            start(&mut exceptions, &mut pending);
            skipped_below = Some(indent(line));
        } else if text.starts_with("Caused by: ") || text.starts_with("Wrapped by: ") {
            start(&mut exceptions, &mut pending);
            let rest = text.split_once(": ").map_or("", |it| it.1);
            // One that stands above already.
            if !rest.starts_with("[CIRCULAR REFERENCE") {
                exceptions.push(head(rest));
            }
        } else if let Some(found) = jvm_frame(text) {
            start(&mut exceptions, &mut pending);
            if let Some(last) = exceptions.last_mut() {
                last.frames.push(found);
            }
        } else if let Some(n_more) = more(text) {
            start(&mut exceptions, &mut pending);
            rebuild(&mut exceptions, n_more);
        } else if let Some(rest) = text.strip_prefix("Exception in thread \"") {
            let (name, rest) = rest.split_once("\" ").unwrap_or((rest, ""));
            thread = Some(name.to_owned());
            exceptions.push(head(rest));
        } else if exceptions.is_empty() {
            pending.push(line);
        } else if let Some(last) =
            exceptions.last_mut().filter(|it| it.frames.is_empty() && !text.starts_with('['))
        {
            last.message.push('\n');
            last.message.push_str(line);
        }
    }
    start(&mut exceptions, &mut pending);
    exceptions.reverse();
    Some(Trace { runtime: Runtime::Jvm, exceptions, thread })
}

fn start(exceptions: &mut Vec<Exception>, pending: &mut Vec<&str>) {
    if exceptions.is_empty() {
        exceptions.push(head_of(pending));
        pending.clear();
    }
}

/// `... 6 more`, `... 6 common frames omitted`
fn more(text: &str) -> Option<usize> {
    let rest = text.strip_prefix("... ")?;
    super::number(rest).map(|it| it as usize)
}

/// Gives the last exception the frames it shares with the one before.
fn rebuild(exceptions: &mut [Exception], n_more: usize) {
    let [.., parent, last] = exceptions else { return };
    let from = parent.frames.len().saturating_sub(n_more);
    let shared = parent.frames[from..].to_vec();
    last.frames.extend(shared);
}

/// `at [loader/][module@version/]C.m(F.java:1) [~[jar]]`
fn jvm_frame(text: &str) -> Option<Frame> {
    let rest = text.strip_prefix("at ")?;
    if shape::at_frame(text) != Some(Runtime::Jvm) {
        return None;
    }
    let open = rest.find('(')?;
    let inner = rest[open + 1..].split(')').next()?;
    // `java.base/`, `app//`, `app/module@1.0/`
    let (module, function) = rest[..open].rsplit_once('/').unwrap_or(("", &rest[..open]));
    let (file, line) = match inner {
        "Native Method" | "Unknown Source" | "<generated>" => (None, None),
        _ => place(inner),
    };
    // `~[app.jar:1.0]` behind it says no less.
    let jar = rest.rsplit_once('[').and_then(|it| it.1.strip_suffix(']')).and_then(|it| it.split(':').next());
    let module =
        Some(module.trim_end_matches('/')).filter(|it| !it.is_empty()).or(jar.filter(|it| *it != "?"));
    Some(Frame { module: module.map(str::to_owned), ..frame(function, file.as_deref(), line) })
}

pub(super) fn node(lines: &[&str]) -> Option<Trace> {
    if let Some(said) = lines.iter().find_map(|it| it.trim().strip_prefix("FATAL ERROR: ")) {
        // The stack is V8's own.
        let exceptions = Vec::from([exception("FATAL ERROR", said)]);
        return Some(Trace { runtime: Runtime::Node, exceptions, thread: None });
    }
    let mut exceptions: Vec<Exception> = Vec::new();
    let mut pending: Vec<&str> = Vec::new();
    let mut is_cut = false;
    // Within the fields of an error, or of what was printed with it.
    let mut is_in_fields = false;
    // Within the members of an aggregate that has no frames of its own.
    let mut is_in_members = false;
    let lines = without_preamble(lines);
    for line in lines {
        let text = line.trim();
        if let Some(found) = node_frame(text) {
            start(&mut exceptions, &mut pending);
            if let Some(last) = exceptions.last_mut().filter(|_| !is_cut) {
                last.frames.push(found);
            }
            is_in_fields |= text.ends_with('{');
        } else if text.starts_with("Emitted '") {
            // Where the event was emitted is not where the error was made.
            break;
        } else if text.starts_with("... ") && text.contains("matching cause") {
            // The cause has them.
            is_cut = true;
        } else if let Some(at) = text.find("[cause]: ") {
            start(&mut exceptions, &mut pending);
            (is_cut, is_in_fields) = (false, false);
            exceptions.push(head(text[at + "[cause]: ".len()..].trim_end_matches(['{', ','])));
        } else if let Some(rest) = text.strip_prefix("caused by: ").filter(|_| !exceptions.is_empty()) {
            // As pino writes causes.
            is_cut = false;
            exceptions.push(head(rest));
        } else if text == "[errors]: [" && exceptions.is_empty() {
            // What is told first is why all failed.
            start(&mut exceptions, &mut pending);
            is_in_members = true;
        } else if is_in_members && shape::typed_name(text) {
            is_cut = exceptions.len() > 1;
            if !is_cut {
                exceptions.push(head(text));
            }
        } else if exceptions.is_empty() {
            pending.push(line);
        } else if text == "[errors]: [" || is_in_fields && !head(text).kind.is_empty() {
            // The members of an aggregate are not causes in a row, nor are errors in fields.
            is_cut = true;
        }
    }
    if exceptions.is_empty() {
        exceptions.push(thrown(&pending));
    }
    if let Some(first) = exceptions.first_mut() {
        if first.kind.is_empty() {
            "Error".clone_into(&mut first.kind);
        }
        // The text is always the same, only the reason at its end says what went wrong.
        let reason =
            first.message.split_once("with the reason \"").map(|it| it.1.trim_end().trim_end_matches("\"."));
        if let Some(reason) = reason.filter(|_| first.kind == "UnhandledPromiseRejection") {
            first.message = reason.to_owned();
        }
    }
    exceptions.reverse();
    Some(Trace { runtime: Runtime::Node, exceptions, thread: None })
}

/// Without the place, the source and the caret that Node prints first, where something follows them.
fn without_preamble<'l, 's>(lines: &'l [&'s str]) -> &'l [&'s str] {
    let Some(at) = lines.iter().position(|it| shape::is_bare_place(it.trim())) else { return lines };
    let is_caret = |it: &&str| it.trim().bytes().all(|it| it == b'^' || it == b'~');
    let Some(caret) = lines[at + 1..].iter().take(3).skip(1).position(is_caret) else {
        return lines;
    };
    let after = &lines[at + caret + 3..];
    // A value that is no error is told from the source line, not from frames.
    if after.iter().any(|it| node_frame(it.trim()).is_some()) { after } else { lines }
}

/// A value that is no error was thrown: place, source, caret, value.
fn thrown(lines: &[&str]) -> Exception {
    let caret = lines.iter().position(|it| !it.trim().is_empty() && it.trim().bytes().all(|it| it == b'^'));
    let Some(caret) = caret else { return head_of(lines) };
    let said: Vec<&str> = lines[caret + 1..]
        .iter()
        .filter(|it| !it.starts_with("(Use `node") && !it.starts_with("Node.js v"))
        .copied()
        .collect();
    let mut found = head_of(&said);
    let at = lines[..caret].iter().find(|it| shape::is_bare_place(it.trim()));
    if let Some((Some(file), line)) = at.map(|it| place(it)) {
        found.frames.push(frame("", Some(&file), line));
    }
    found
}

/// `at [async] f [as g] (p:l:c)`, `at p:l:c`, `at f`
fn node_frame(text: &str) -> Option<Frame> {
    // `f@https://…/a.js:1:2` of Firefox and Safari.
    if let Some((function, location)) =
        text.split_once('@').filter(|it| shape::is_place(it.1) && it.1.contains("://"))
    {
        let (file, line) = place(location);
        return Some(frame(function.trim_end_matches(['*', '/', '<']), file.as_deref(), line));
    }
    let rest =
        text.strip_prefix("at ").or_else(|| text.strip_prefix("eval at "))?.trim_end_matches([' ', '{']);
    let rest = rest.strip_prefix("async ").unwrap_or(rest);
    let Some((function, inner)) =
        rest.strip_suffix(')').and_then(|it| it.split_once(" (").or_else(|| it.split_once('(')))
    else {
        if !shape::is_place(rest) {
            return (!rest.contains(' ')).then(|| frame(rest, None, None));
        }
        let (file, line) = place(rest);
        return Some(frame("<anonymous>", file.as_deref(), line));
    };
    let (file, line) = match inner {
        "<anonymous>" | "native" | "unknown location" => (None, None),
        _ if inner.starts_with("index ") => (None, None),
        _ => place(inner),
    };
    let function = function.split(" [as ").next().unwrap_or(function);
    Some(frame(function, file.as_deref(), line))
}

pub(super) fn dotnet(lines: &[&str]) -> Option<Trace> {
    // Outer first; inner exceptions follow ` ---> `, and their frames come first.
    let mut heads: Vec<Exception> = Vec::new();
    let mut closed: Vec<Exception> = Vec::new();
    let mut pending: Vec<&str> = Vec::new();
    for line in lines {
        let text = line.trim();
        if text.starts_with("[ERROR] FATAL UNHANDLED EXCEPTION: ") && !heads.is_empty() {
            // Mono tells everything again.
            break;
        }
        if text.starts_with("---> (Inner Exception #")
            && heads.iter().chain(&closed).any(|it| !it.frames.is_empty())
        {
            // The members of an aggregate once more; the first of them is its cause.
            break;
        }
        if let Some(rest) = text.strip_prefix("---> ") {
            start_dotnet(&mut heads, &mut pending);
            let rest = rest
                .split_once(") ")
                .filter(|_| rest.starts_with("(Inner Exception"))
                .map_or(rest, |it| it.1);
            heads.push(head(rest));
        } else if text.starts_with("--- End of inner exception") {
            closed.extend(heads.pop());
        } else if text.starts_with("--- End of stack trace") {
            // The same exception goes on after an await.
        } else if let Some(found) = dotnet_frame(text) {
            start_dotnet(&mut heads, &mut pending);
            if let Some(last) = heads.last_mut() {
                last.frames.push(found);
            }
        } else if heads.is_empty() {
            pending.push(line);
        }
    }
    start_dotnet(&mut heads, &mut pending);
    closed.extend(heads.into_iter().rev());
    Some(Trace { runtime: Runtime::Dotnet, exceptions: closed, thread: None })
}

fn start_dotnet(heads: &mut Vec<Exception>, pending: &mut Vec<&str>) {
    if !heads.is_empty() {
        return;
    }
    let mut first = head_of(pending);
    match pending.first().map(|it| it.trim()) {
        Some("Stack overflow.") => first = exception("System.StackOverflowException", ""),
        Some(text) if text.starts_with("Process terminated. ") => {
            first = exception("FailFast", text.trim_start_matches("Process terminated. "));
        }
        _ => {}
    }
    pending.clear();
    // Older runtimes write the whole chain on one line.
    let mut parts = first.message.split(" ---> ");
    let message = parts.next().unwrap_or_default().to_owned();
    let inner: Vec<Exception> = parts.map(head).collect();
    heads.push(Exception { message, ..first });
    heads.extend(inner);
}

/// `at N.M(sig) in f:line n`, `at N.M (sig) [0x0] in f:n`
fn dotnet_frame(text: &str) -> Option<Frame> {
    let rest = text.strip_prefix("at ")?;
    // `(wrapper managed-to-native) N.M(sig)`
    let rest = rest.strip_prefix("(wrapper ").and_then(|it| it.split_once(") ")).map_or(rest, |it| it.1);
    let (call, tail) = match rest.rfind(") in ") {
        Some(at) => (&rest[..=at], Some(&rest[at + 5..])),
        None => match rest.rfind("] in ") {
            Some(at) => (&rest[..=at], Some(&rest[at + 5..])),
            None => (rest, None),
        },
    };
    let function = call.split('(').next()?.trim();
    let (file, line) = match tail.and_then(|it| it.rsplit_once(':')) {
        Some((file, line)) => (Some(file), super::number(line.trim_start_matches("line "))),
        None => (None, None),
    };
    Some(frame(function, file, line))
}
