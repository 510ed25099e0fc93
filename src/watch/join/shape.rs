//! The shapes that lines of traces have, asked for by the machines and by `watch/fingerprint`. No allocation.

use crate::model::trace::Runtime;

/// What stands behind the colons of a line. Many shapes have one, few lines have these: one pass over the line answers for all machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Colons {
    /// `:  `, as Postgres writes.
    pub has_wide: bool,
    /// `:in `, as Ruby's frames have.
    pub has_in: bool,
    /// `: runtime error: ` or `: Assertion `, or what begins like it.
    pub has_check: bool,
}

impl Colons {
    pub fn of(text: &str) -> Self {
        let bytes = text.as_bytes();
        let mut found = Self::default();
        for at in memchr::memchr_iter(b':', bytes) {
            match bytes.get(at + 1..at + 3) {
                Some(b"  ") => found.has_wide = true,
                Some(b"in") => found.has_in = true,
                Some(b" r" | b" A") => found.has_check = true,
                Some(_) | None => {}
            }
        }
        found
    }
}

/// The head of an exception: `a.b.CException: message`, `TypeError [CODE]: message`, `Name (message)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Typed {
    /// The name says that it is an exception, or is qualified like a class.
    pub is_strict: bool,
}

const LEADS: [&str; 5] = [
    "Uncaught (in promise) ",
    "Uncaught ",
    "Unhandled exception. ",
    "Unhandled Exception: ",
    "Unhandled exception: ",
];

/// Reads the head of an exception at the start of `text`.
pub fn typed(text: &str) -> Option<Typed> {
    let (text, is_led) = match LEADS.iter().find_map(|lead| text.strip_prefix(lead)) {
        Some(rest) => (rest, true),
        None => (text, false),
    };
    let name = &text[..name_length(text)];
    if name.len() < 3 {
        return None;
    }
    let rest = &text[name.len()..];
    let is_head = rest.is_empty()
        || rest == ":"
        || rest.starts_with(": ")
        || rest.starts_with(" [") && rest.contains("]: ")
        || rest.starts_with(" (") && name.starts_with(|it: char| it.is_ascii_uppercase())
        || rest.starts_with("; nested exception")
        || rest.starts_with(" --->");
    if !is_head {
        return None;
    }
    let last = name.rsplit(['.', ':', '$', '\\', '+']).next().unwrap_or(name);
    let says_so = ["Error", "Exception", "Throwable", "Failure", "Fault", "Interrupt"]
        .iter()
        .any(|it| last.contains(it));
    // `Errors:` heads a list.
    let says_so = says_so && !last.ends_with('s') || last == "UnhandledPromiseRejection";
    let is_capital = last.starts_with(|it: char| it.is_ascii_uppercase());
    let is_qualified = last.len() < name.len() && is_capital && last.len() > 1;
    // `PaymentDeclined: x` may be a class; `Request: x` and `INFO: x` are not taken for one.
    let is_camel = is_capital
        && last[1..].bytes().any(|it| it.is_ascii_uppercase())
        && last.bytes().any(|it| it.is_ascii_lowercase());
    let is_strict = is_led || (says_so && (is_capital || last.len() < name.len())) || is_qualified;
    (is_strict || (is_camel && rest.starts_with(": "))).then_some(Typed { is_strict })
}

/// Length of a qualified name: `a.b.C$D`, `A::B`, `App\Pay`, `A.B+C`.
pub fn name_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let next_is_word =
            bytes.get(at + 1).is_some_and(|it| it.is_ascii_alphanumeric() || matches!(it, b'_' | b'<'));
        match byte {
            b'_' | b'$' | b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | 0x80.. => at += 1,
            b'.' | b'\\' | b'+' if at > 0 && next_is_word => at += 1,
            b':' if at > 0 && bytes.get(at + 1) == Some(&b':') => at += 2,
            // `f.<locals>.E`, Dotnet's `List`1`.
            b'<' if text[at..].starts_with("<locals>") => at += "<locals>".len(),
            b'`' if at > 0 && next_is_word => at += 1,
            _ => break,
        }
    }
    at
}

/// A frame that begins with `at`, and whose it is. `text` has no indentation.
pub fn at_frame(text: &str) -> Option<Runtime> {
    let rest = text.strip_prefix("at ").or_else(|| text.strip_prefix("eval at "))?;
    let Some(open) = rest.find('(') else {
        // `at /a.js:1:2`, `at async f`, `at <anonymous>:6:4`
        return is_place(rest.trim_end_matches([' ', '{'])).then_some(Runtime::Node);
    };
    let before = &rest[..open];
    let inner_end = rest.rfind(')')?;
    let after = &rest[inner_end + 1..];
    let inner = rest.get(open + 1..inner_end).unwrap_or("");
    if after.starts_with(" in ")
        || after.starts_with(" [0x")
        || inner.contains(") in ")
        || rest.contains(") [0x")
    {
        return Some(Runtime::Dotnet);
    }
    if before.ends_with(' ') {
        let is_v8 = is_place(inner)
            || matches!(inner, "<anonymous>" | "native" | "unknown location")
            || inner.starts_with("eval at ")
            || inner.starts_with("index ");
        return is_v8.then_some(Runtime::Node).or_else(|| before.contains('.').then_some(Runtime::Dotnet));
    }
    if !before.contains('.') {
        return is_place(inner).then_some(Runtime::Node);
    }
    const SOURCES: [&str; 6] = [".java", ".kt", ".scala", ".groovy", ".clj", "SourceFile"];
    let is_jvm = SOURCES.iter().any(|it| inner.contains(it))
        || matches!(inner, "Native Method" | "Unknown Source" | "<generated>")
        || after.starts_with(" [")
        || after.starts_with(" ~[");
    if is_jvm {
        return Some(Runtime::Jvm);
    }
    if is_place(inner) {
        return Some(if inner.contains('/') { Runtime::Node } else { Runtime::Jvm });
    }
    // `at N.M(Type name)`, `at N.M()`.
    before
        .bytes()
        .all(|it| it.is_ascii_alphanumeric() || b"._<>`$+[],|".contains(&it))
        .then_some(Runtime::Dotnet)
}

/// `file:line` or `file:line:column`.
pub fn is_place(text: &str) -> bool {
    let digits = text.len() - text.trim_end_matches(|it: char| it.is_ascii_digit()).len();
    digits > 0 && text[..text.len() - digits].ends_with(':') && text.len() > digits + 1
}

/// `    at C.m(F.java:1)` and the like that need no head to be known.
pub fn strict_at_frame(body: &str) -> Option<Runtime> {
    let text = body.trim_start();
    if text.len() == body.len() {
        return None;
    }
    at_frame(text).filter(|runtime| {
        let is_placed = text.contains(':') && (text.contains('/') || text.ends_with(')'));
        if *runtime == Runtime::Node { is_placed } else { text.contains('(') }
    })
}

/// `#12 ` or `#12\t`; gives what follows.
pub fn numbered(text: &str) -> Option<&str> {
    let rest = text.strip_prefix('#')?;
    let digits = rest.len() - rest.trim_start_matches(|it: char| it.is_ascii_digit()).len();
    (digits > 0).then(|| rest[digits..].strip_prefix([' ', '\t'])).flatten().map(str::trim_start)
}

/// `/app/a.js:3` alone: the first line of Node's preamble.
pub fn is_bare_place(text: &str) -> bool {
    let Some(colon) = text.rfind(':') else { return false };
    let (path, line) = (&text[..colon], &text[colon + 1..]);
    !line.is_empty()
        && line.len() < 8
        && line.bytes().all(|it| it.is_ascii_digit())
        && (path.starts_with(['/', '<', '['])
            || path.starts_with("file://")
            || path.starts_with("node:")
            || path.starts_with("evalmachine")
            || path == "undefined"
            || path.get(1..3) == Some(":\\"))
        && !path.ends_with(|it: char| it.is_ascii_digit() || it == ' ' || it == ']')
}

/// ` at PATH line N.` at the end: what Perl adds to a message.
pub fn perl_place(text: &str) -> bool {
    let text = text.trim_end_matches('.');
    let digits = text.len() - text.trim_end_matches(|it: char| it.is_ascii_digit()).len();
    if digits == 0 || !text[..text.len() - digits].ends_with(" line ") {
        return false;
    }
    let before = &text[..text.len() - digits - " line ".len()];
    let Some(at) = before.rfind(" at ") else { return false };
    let file = &before[at + 4..];
    file.contains(['/', '.']) || file.starts_with("(eval")
}

/// ``a.rb:6:in `f'`` or `a.rb:6:in 'C#f'`, perhaps after `gem (1.2) `.
pub fn is_ruby_frame(text: &str) -> bool {
    let Some(at) = find(text, ":in `").or_else(|| find(text, ":in '")) else { return false };
    let before = &text[..at];
    let digits = before.len() - before.trim_end_matches(|it: char| it.is_ascii_digit()).len();
    // What is written in C has a caller's file and no line.
    let is_place = digits > 0 && before[..before.len() - digits].ends_with(':') || before.ends_with(".rb");
    is_place && before.len() < 400
}

/// `#0 /a.php(5): C->m()`, `#1 [internal function]: f()`, `#2 {main}`
pub fn is_php_frame(text: &str) -> bool {
    let Some(rest) = numbered(text) else { return false };
    if rest == "{main}" || rest.starts_with("[internal function]: ") {
        return true;
    }
    let Some((place, call)) = rest.split_once("): ") else { return false };
    let is_place = place
        .rsplit_once('(')
        .is_some_and(|it| it.1.bytes().all(|it| it.is_ascii_digit()) && !it.1.is_empty());
    is_place && call.contains('(')
}

/// Where `part` stands in a line first. Lines are short, so nothing is prepared but the byte of `part` to look for, which is one that
/// few lines have.
pub fn find(text: &str, part: &str) -> Option<usize> {
    let (bytes, part) = (text.as_bytes(), part.as_bytes());
    let rarity = |it: &usize| match part[*it] {
        b' ' => 0,
        b'a'..=b'z' => 1,
        b':' | b'.' | b'/' => 2,
        b'A'..=b'Z' => 3,
        _ => 4,
    };
    let place = (0..part.len()).max_by_key(rarity)?;
    let mut from = place;
    while let Some(at) = memchr::memchr(part[place], bytes.get(from..)?) {
        let start = from + at - place;
        if bytes[start..].starts_with(part) {
            return Some(start);
        }
        from += at + 1;
    }
    None
}

/// Whether `part` stands in a line.
pub fn has(text: &str, part: &str) -> bool {
    find(text, part).is_some()
}

/// Whether the text begins with a name that is surely an exception's.
pub fn typed_name(text: &str) -> bool {
    typed(text).is_some_and(|it| it.is_strict)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_of_exceptions() {
        for (text, strict) in [
            ("java.lang.RuntimeException: x", Some(true)),
            ("java.lang.NullPointerException", Some(true)),
            ("App$PayEx: cannot charge", Some(true)),
            ("TypeError [ERR_X]: y", Some(true)),
            ("Error: x", Some(true)),
            ("Error", Some(true)),
            ("NoMethodError (undefined method `x'):", Some(true)),
            ("ActionController::RoutingError (No route):", Some(true)),
            ("Unhandled exception. System.X: y", Some(true)),
            ("PaymentDeclined: x", Some(false)),
            ("Request: x", None),
            ("error: x", None),
            ("line two", None),
            ("Listening on 0.0.0.0:80", None),
        ] {
            assert_eq!(typed(text).map(|it| it.is_strict), strict, "{text}");
        }
    }

    #[test]
    fn parts_are_found_where_the_standard_library_finds_them() {
        for text in [
            "",
            "a",
            "ab",
            "aab",
            "abab",
            "é: Assertion `x' failed.",
            "::: a",
            ":in :in `",
            "at x: y: runtime error: z",
        ] {
            for part in ["a", "ab", "aab", ": Assertion ", ": ", ":in `", ": runtime error: ", "é"] {
                assert_eq!(find(text, part), text.find(part), "{part} in {text}");
            }
        }
    }

    #[test]
    fn frames_that_begin_with_at() {
        for (text, runtime) in [
            ("at a.B.c(B.java:1)", Some(Runtime::Jvm)),
            ("at java.base/java.lang.Thread.run(Thread.java:748)", Some(Runtime::Jvm)),
            ("at a.B.c(B.java:1) ~[app.jar:1.0]", Some(Runtime::Jvm)),
            ("at sun.reflect.GeneratedMethodAccessor4.invoke(Unknown Source)", Some(Runtime::Jvm)),
            ("at f (/a.js:1:2)", Some(Runtime::Node)),
            ("at /a.js:1:2", Some(Runtime::Node)),
            ("at async Promise.all (index 0)", Some(Runtime::Node)),
            ("at Array.map (<anonymous>)", Some(Runtime::Node)),
            ("at P.F() in /p.cs:line 1", Some(Runtime::Dotnet)),
            ("at System.Threading.Thread.Start()", Some(Runtime::Dotnet)),
            ("at the end of the day", None),
            ("attach(x.y)", None),
        ] {
            assert_eq!(at_frame(text), runtime, "{text}");
        }
    }

    #[test]
    fn what_perl_adds() {
        assert!(perl_place("died at /srv/app.pl line 3."));
        assert!(!perl_place("stopped at noon line 3"));
    }
}
