//! The canonical form of frames: names without what changes from run to run or from build to build, and repeating
//! sequences of frames as one.

use crate::model::trace::{Exception, Frame, Runtime};

/// A frame as it is hashed: its function and the last part of its path.
pub(super) type Key = (String, String);

/// The canonical in-app frames of an exception, innermost first; all frames where none is in-app.
pub(super) fn frames(runtime: Runtime, exception: &Exception) -> (Vec<Key>, bool) {
    let is_of_app = exception.frames.iter().any(|it| it.in_app);
    let all: Vec<Key> = exception
        .frames
        .iter()
        .filter(|it| it.in_app || !is_of_app)
        .map(|it| match (runtime, it.file.as_deref().map(last_part)) {
            (Runtime::Node, Some(name)) if is_minified(name) => (minified(&it.function), file(runtime, it)),
            _ => (function(runtime, &it.function), file(runtime, it)),
        })
        .collect();
    let (mut keys, cycle) = collapse(all);
    if let Some((start, length)) = cycle {
        if is_overflow(exception) {
            // Where the stack ended is chance; what recurs is not.
            keys = keys[start..start + length].to_vec();
        } else if runtime == Runtime::Node {
            // Ten frames are printed, so the callers of a recursion come and go with its depth.
            keys.truncate(start + length);
        }
    }
    (keys, is_of_app)
}

fn is_overflow(exception: &Exception) -> bool {
    exception.kind.ends_with("StackOverflowError")
        || exception.kind == "RecursionError"
        || exception.message.starts_with("Maximum call stack size exceeded")
        || exception.message.starts_with("stack overflow")
        || exception.kind.ends_with("StackOverflowException")
        || exception.kind.ends_with("stack-overflow")
        || exception.kind == "SystemStackError"
}

/// The function without arguments, addresses, hashes and numbers that the compiler made up.
pub(super) fn function(runtime: Runtime, name: &str) -> String {
    match runtime {
        Runtime::Jvm => jvm(name),
        Runtime::Node => node(name),
        Runtime::Go => go(name),
        Runtime::Rust => rust(name),
        Runtime::Cpp => cpp(name),
        Runtime::Dotnet => dotnet(name),
        Runtime::Ruby => ruby(name),
        Runtime::Elixir => beam(name),
        Runtime::Python
        | Runtime::Php
        | Runtime::Perl
        | Runtime::Dart
        | Runtime::Swift
        | Runtime::Lua
        | Runtime::Haskell
        | Runtime::Message => name.to_owned(),
    }
}

/// `lambda$m$0` → `lambda$m`, `$$Lambda$12/0x…` → `$$Lambda`, `$Proxy12` → `$Proxy`, `fn__12` → `fn`.
fn jvm(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    let name = name.split("$$Lambda").next().unwrap_or(name);
    let name = name.split("$$EnhancerBy").next().unwrap_or(name);
    let name = name.split("$$FastClassBy").next().unwrap_or(name);
    text.push_str(name);
    for mark in [
        "lambda$",
        "$Proxy",
        "GeneratedMethodAccessor",
        "GeneratedConstructorAccessor",
        "$anonfun$",
        "fn__",
        "eval__",
    ] {
        if let Some(at) = text.find(mark) {
            let end = text.trim_end_matches(|it: char| it.is_ascii_digit() || it == '$').len();
            text.truncate(end.max(at + mark.len()));
        }
    }
    without_counters(&text)
}

/// `a$fn__12.invoke` → `a$fn__.invoke`, `a$eval7.invoke` → `a$eval.invoke`, `a$$anonfun$f$1.apply` → `a$$anonfun$f$.apply`.
fn without_counters(name: &str) -> String {
    let is_scala = name.contains("$anonfun$");
    if !is_scala && !name.contains("__") && !name.contains("$eval") {
        return name.to_owned();
    }
    let mut text = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(letter) = rest.chars().next() {
        text.push(letter);
        rest = &rest[letter.len_utf8()..];
        if text.ends_with("__") || text.ends_with("$eval") || is_scala && letter == '$' {
            let after = rest.trim_start_matches(|it: char| it.is_ascii_digit());
            if after.is_empty() || after.starts_with(['.', '$']) {
                rest = after;
            }
        }
    }
    text
}

/// `Object.f` and `Module.f` → `f`; `new C`; `async` is gone already.
fn node(name: &str) -> String {
    let name = name.split(" [as ").next().unwrap_or(name);
    let name = ["Object.", "Module.", "exports.", "Function."]
        .iter()
        .find_map(|it| name.strip_prefix(it))
        .unwrap_or(name);
    name.to_owned()
}

/// `main.f.func1.2` → `main.f.func`, `F[...]` → `F`, `main.main.gowrap1` → `main.main.gowrap`.
fn go(name: &str) -> String {
    let name = name.replace("[...]", "");
    let mut parts: Vec<&str> = Vec::new();
    for part in name.split('.') {
        let bare = part.trim_end_matches(|it: char| it.is_ascii_digit());
        if bare.is_empty() && !part.is_empty() {
            continue;
        }
        let part = if matches!(bare, "func" | "gowrap" | "deferwrap") { bare } else { part };
        if part == "func" && parts.last() == Some(&"func") {
            continue;
        }
        parts.push(part);
    }
    parts.join(".")
}

/// `f::h0123456789abcdef` → `f`, `f::<T>` and `<T as Tr>::f` without what is inside the brackets.
fn rust(name: &str) -> String {
    let name = match name.rsplit_once("::h") {
        Some((before, hash)) if hash.len() == 16 && hash.bytes().all(|it| it.is_ascii_hexdigit()) => before,
        _ => name,
    };
    // `crate[0123456789abcdef]::f` of the v0 mangling.
    let name =
        without(name, '[', ']', |inner| inner.len() >= 12 && inner.bytes().all(|it| it.is_ascii_hexdigit()));
    without(&name, '{', '}', |inner| inner.starts_with("closure#"))
        .replace("{{closure}}", "")
        .replace("::::", "::")
}

/// Without arguments, template arguments, clone suffixes and the offset.
fn cpp(name: &str) -> String {
    let name = name.split(" [clone").next().unwrap_or(name);
    let name = without(name, '<', '>', |_| true);
    let name = match name.find('(') {
        // `(anonymous namespace)::f`
        Some(0) => name.strip_prefix("(anonymous namespace)::").map_or(name.clone(), str::to_owned),
        _ => name,
    };
    let end = name.find('(').unwrap_or(name.len());
    let name = name[..end].trim();
    let name = name.split("+0x").next().unwrap_or(name);
    name.split(".isra.").next().unwrap_or(name).split(".part.").next().unwrap_or(name).to_owned()
}

/// `<M>d__2.MoveNext` → `M`, `<>c__DisplayClass3_0.<M>b__1` → `<>c.M`.
fn dotnet(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for part in name.split('.') {
        if part == "MoveNext" && text.ends_with('>') {
            text.pop();
            continue;
        }
        if !text.is_empty() {
            text.push('.');
        }
        match part.split_once(">d__").or_else(|| part.split_once(">b__")).or_else(|| part.split_once(">g__"))
        {
            Some((method, _)) => {
                text.push_str(method.trim_start_matches('<'));
                text.push('>');
            }
            None => {
                let part = part.split("c__DisplayClass").next().unwrap_or(part);
                // Mono's `<M>m__0`, `<M>c__Iterator2`, `<M>c__AnonStorey3`.
                let is_made_up = part.contains(">m__") || part.contains(">c__");
                text.push_str(if is_made_up {
                    part.trim_end_matches(|it: char| it.is_ascii_digit())
                } else {
                    part
                });
            }
        }
    }
    text.trim_end_matches('>').to_owned()
}

/// `Enum."-map/2-lists^map/1-0-"/2` → `Enum.map`, `bugs:-bug/3-fun-3-` → `bugs:bug`, `A.f/2` → `A.f`.
fn beam(name: &str) -> String {
    let name = name.replace('"', "");
    let within = [".-", ":-"].iter().find_map(|it| name.find(it));
    if let Some(at) = within
        && let Some((inner, _)) = name[at + 2..].split_once('/')
    {
        return format!("{}{inner}", &name[..=at]);
    }
    match name.rsplit_once('/') {
        Some((function, arity)) if arity.bytes().all(|it| it.is_ascii_digit()) => function.to_owned(),
        _ => name,
    }
}

/// `block (2 levels) in f` → `f`, `rescue in f` → `f`.
fn ruby(name: &str) -> String {
    name.rsplit_once(" in ").map_or(name, |it| it.1).to_owned()
}

/// Drops what stands between `open` and `close`, brackets included, where `is_noise` says so of the inside.
fn without(text: &str, open: char, close: char, is_noise: impl Fn(&str) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut depth = 0_u32;
    let mut start = 0;
    for (at, letter) in text.char_indices() {
        if letter == open && !text[..at].ends_with("operator") {
            if depth == 0 {
                out.push_str(&text[start..at]);
                start = at;
            }
            depth += 1;
        } else if letter == close && depth > 0 {
            depth -= 1;
            if depth == 0 {
                let end = at + letter.len_utf8();
                if !is_noise(&text[start + open.len_utf8()..at]) {
                    out.push_str(&text[start..end]);
                }
                start = end;
            }
        }
    }
    out.push_str(&text[start..]);
    out
}

/// The last part of the path; nothing where the function names its class.
fn file(runtime: Runtime, frame: &Frame) -> String {
    if matches!(runtime, Runtime::Jvm | Runtime::Dotnet) && !frame.function.is_empty() {
        return String::new();
    }
    let name = last_part(frame.file.as_deref().unwrap_or(""));
    if runtime == Runtime::Node { bundle(name) } else { name.to_owned() }
}

fn last_part(path: &str) -> &str {
    let path = path.split(['?', '#']).next().unwrap_or(path);
    path.trim_end_matches(['/', '\\']).rsplit(['/', '\\']).next().unwrap_or(path)
}

/// Whether a bundler wrote the file, so that short names are its own and change with every build.
fn is_minified(name: &str) -> bool {
    name.contains(".min.") || bundle(name) != name
}

/// `t.total` → `total`, `Object.first` → `first`, `c` → nothing.
fn minified(name: &str) -> String {
    let name = node(name);
    name.split('.').filter(|it| it.len() > 2).collect::<Vec<_>>().join(".")
}

/// `main.3f2a1b9c.js` → `main.js`: a bundle's hash changes with every build.
fn bundle(name: &str) -> String {
    let is_hash = |it: &str| {
        it.len() >= 6
            && it.len() <= 40
            && it.bytes().all(|b| b.is_ascii_alphanumeric())
            && it.bytes().any(|b| b.is_ascii_digit())
    };
    let mut parts: Vec<&str> = name.split('.').collect();
    if parts.len() > 2 {
        let last = parts.len() - 1;
        let mut place = 0;
        parts.retain(|part| {
            place += 1;
            place == 1 || place > last || !is_hash(part)
        });
    }
    let name = parts.join(".");
    match name.rsplit_once('-') {
        Some((stem, tail)) => match tail.split_once('.') {
            Some((hash, suffix)) if is_hash(hash) => format!("{stem}.{suffix}"),
            _ => name,
        },
        None => name,
    }
}

/// Collapses repeating sequences of up to 16 frames. Gives the frames and the first collapsed cycle's place and length.
fn collapse(mut keys: Vec<Key>) -> (Vec<Key>, Option<(usize, usize)>) {
    let mut found = None;
    for length in 1..=16 {
        let mut at = 0;
        while at + 2 * length <= keys.len() {
            let mut repeats = 1;
            while at + (repeats + 1) * length <= keys.len()
                && (0..length).all(|it| keys[at + it] == keys[at + repeats * length + it])
            {
                repeats += 1;
            }
            if repeats == 1 {
                at += 1;
                continue;
            }
            let mut end = at + repeats * length;
            // What is left of one more turn, at either end.
            let mut tail = 0;
            while tail < length - 1 && end < keys.len() && keys[end] == keys[at + tail] {
                tail += 1;
                end += 1;
            }
            keys.drain(at + length..end);
            let mut lead = 0;
            while lead < length - 1 && at > 0 && keys[at - 1] == keys[at + length - 1 - lead] {
                lead += 1;
                keys.remove(at - 1);
                at -= 1;
            }
            // Where the recursion was cut says nothing: begin with the least.
            let first = (0..length).min_by(|a, b| keys[at + a].cmp(&keys[at + b])).unwrap_or(0);
            keys[at..at + length].rotate_left(first);
            found.get_or_insert((at, length));
            at += length;
        }
    }
    (keys, found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_lose_what_changes() {
        for (runtime, name, expected) in [
            (Runtime::Jvm, "App.lambda$supp$0", "App.lambda$supp"),
            (Runtime::Jvm, "App$$Lambda$14/0x0000.run", "App"),
            (Runtime::Jvm, "a.$Proxy12", "a.$Proxy"),
            (Runtime::Jvm, "App$1.run", "App$1.run"),
            (Runtime::Jvm, "shop.core$fn__12.invoke", "shop.core$fn__.invoke"),
            (Runtime::Jvm, "shop.core$eval194.invokeStatic", "shop.core$eval.invokeStatic"),
            (
                Runtime::Jvm,
                "a.B$$anonfun$f$1$$anonfun$apply$2.apply",
                "a.B$$anonfun$f$$$anonfun$apply$.apply",
            ),
            (Runtime::Node, "Object.wrap", "wrap"),
            (Runtime::Node, "Foo.bar [as baz]", "Foo.bar"),
            (Runtime::Go, "main.main.func3", "main.main.func"),
            (Runtime::Go, "main.main.func2.1", "main.main.func"),
            (Runtime::Go, "main.Map[...]", "main.Map"),
            (Runtime::Go, "main.(*T).Method", "main.(*T).Method"),
            (Runtime::Rust, "main::f::h0123456789abcdef", "main::f"),
            (Runtime::Rust, "main::main::{{closure}}", "main::main::"),
            (Runtime::Rust, "main[0123456789abcdef]::main::{closure#1}", "main::main::"),
            (Runtime::Cpp, "uaf(int)", "uaf"),
            (Runtime::Cpp, "std::vector<int, A>::at(unsigned long)", "std::vector::at"),
            (Runtime::Cpp, "(anonymous namespace)::f(int)", "f"),
            (Runtime::Dotnet, "A.B.<M>d__2.MoveNext", "A.B.M"),
            (Runtime::Ruby, "block (2 levels) in f", "f"),
            (Runtime::Ruby, "X#f", "X#f"),
            (Runtime::Dotnet, "A.B+<M>c__Iterator2.MoveNext", "A.B+<M>c__Iterator.MoveNext"),
            (Runtime::Elixir, "Enum.\"-map/2-lists^map/1-0-\"/2", "Enum.map"),
            (Runtime::Elixir, "bugs:-bug/3-fun-3-", "bugs:bug"),
            (Runtime::Elixir, "Shop.Cart.load/2", "Shop.Cart.load"),
        ] {
            assert_eq!(function(runtime, name), expected);
        }
    }

    #[test]
    fn bundles_lose_their_hash() {
        for (name, expected) in [
            ("main.3f2a1b9c.js", "main.js"),
            ("index-BX3k92Qa.js", "index.js"),
            ("app.js", "app.js"),
            ("jquery.min.js", "jquery.min.js"),
        ] {
            assert_eq!(bundle(name), expected);
        }
    }

    #[track_caller]
    fn collapsed(text: &str) -> String {
        let keys = text.chars().map(|it| (it.to_string(), String::new())).collect();
        collapse(keys).0.into_iter().map(|it| it.0).collect()
    }

    #[test]
    fn recursion_of_any_depth_is_one() {
        for (text, expected) in [
            ("abc", "abc"),
            ("aaab", "ab"),
            ("xababm", "xabm"),
            ("xbabam", "xabm"),
            ("xbababm", "xabm"),
            ("xabababam", "xabm"),
            ("abcabcabd", "abcd"),
        ] {
            assert_eq!(collapsed(text), expected, "{text}");
        }
    }
}
