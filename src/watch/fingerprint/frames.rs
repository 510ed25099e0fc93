//! Which frames are the service's own: `rules/in-app/frames.toml`, as data.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, Anchored, Input, StartKind};
use serde::Deserialize;

use crate::model::trace::{Frame, Runtime, Trace};

static BUILTIN: LazyLock<BTreeMap<String, Marks>> = LazyLock::new(|| {
    let text = include_str!("../../../rules/in-app/frames.toml");
    let tables: BTreeMap<String, Table> = toml::from_str(text).expect("the embedded table is read by a test");
    tables.into_iter().map(|(runtime, table)| (runtime, Marks::new(&table))).collect()
});

/// What marks a frame as a library's, as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Table {
    path_has: Vec<String>,
    path_starts: Vec<String>,
    function_has: Vec<String>,
    function_starts: Vec<String>,
    function_is: Vec<String>,
    needs_file: bool,
}

/// The same, ready to be asked: hundreds of texts are looked for at once.
#[derive(Debug)]
struct Marks {
    path_has: AhoCorasick,
    path_starts: AhoCorasick,
    function_has: AhoCorasick,
    function_starts: AhoCorasick,
    function_is: BTreeSet<String>,
    needs_file: bool,
}

/// Marks each frame of the trace.
pub(super) fn mark(trace: &mut Trace) {
    let Some(marks) = BUILTIN.get(trace.runtime.name()) else {
        return;
    };
    for exception in &mut trace.exceptions {
        for frame in &mut exception.frames {
            frame.in_app = marks.is_in_app(trace.runtime, frame);
        }
        // Beside functions that are known by name, modules say nothing.
        if trace.runtime == Runtime::Cpp
            && exception.frames.iter().any(|it| it.in_app && !it.function.is_empty())
        {
            exception.frames.iter_mut().filter(|it| it.function.is_empty()).for_each(|it| it.in_app = false);
        }
    }
}

/// Whether a frame is the service's own.
pub(super) fn is_own(runtime: Runtime, frame: &Frame) -> bool {
    BUILTIN.get(runtime.name()).is_some_and(|it| it.is_in_app(runtime, frame))
}

/// What of a frame's path or function says that it is a library's; `None` where the table says nothing of the kind.
pub(super) fn library(runtime: Runtime, frame: &Frame) -> Option<String> {
    let marks = BUILTIN.get(runtime.name())?;
    let path = frame.file.as_deref().unwrap_or("").replace('\\', "/");
    marks.mark_of(runtime, &path, &frame.function).map(str::to_owned)
}

impl Marks {
    fn new(table: &Table) -> Self {
        let search = |texts: &[String], start: StartKind| {
            AhoCorasick::builder().start_kind(start).build(texts).expect("short texts make a small automaton")
        };
        Self {
            path_has: search(&table.path_has, StartKind::Unanchored),
            path_starts: search(&table.path_starts, StartKind::Anchored),
            function_has: search(&table.function_has, StartKind::Unanchored),
            function_starts: search(&table.function_starts, StartKind::Anchored),
            function_is: table.function_is.iter().cloned().collect(),
            needs_file: table.needs_file,
        }
    }

    fn is_in_app(&self, runtime: Runtime, frame: &Frame) -> bool {
        let path = frame.file.as_deref().unwrap_or("");
        let converted;
        let path = if path.contains('\\') {
            converted = path.replace('\\', "/");
            converted.as_str()
        } else {
            path
        };
        self.mark_of(runtime, path, &frame.function).is_none()
    }

    /// What says that a frame is a library's.
    fn mark_of<'f>(&self, runtime: Runtime, path: &'f str, function: &'f str) -> Option<&'f str> {
        if path.is_empty() && self.needs_file {
            return Some("no file");
        }
        let by_path = self.path_has.find(path).map(|it| &path[it.range()]);
        if let Some(part) = by_path.or_else(|| beginning(&self.path_starts, path)) {
            return Some(part);
        }
        if runtime == Runtime::Cpp && function.is_empty() && !path.is_empty() {
            // A frame without symbols says at least which module.
            return None;
        }
        // The standard library's packages have names that a service's may have too; its files tell them apart.
        beginning(&self.function_starts, function)
            .or_else(|| self.function_has.find(function).map(|it| &function[it.range()]))
            .or_else(|| self.function_is.contains(function).then_some(function))
    }
}

fn beginning<'t>(starts: &AhoCorasick, text: &'t str) -> Option<&'t str> {
    starts.find(Input::new(text).anchored(Anchored::Yes)).map(|it| &text[it.range()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(runtime: Runtime, function: &str, file: &str, expected: bool) {
        let file = (!file.is_empty()).then(|| file.to_owned());
        let frame = Frame { function: function.to_owned(), file, line: None, module: None, in_app: false };
        let marks = &BUILTIN[runtime.name()];
        assert_eq!(marks.is_in_app(runtime, &frame), expected, "{runtime} {frame:?}");
    }

    #[test]
    fn libraries_are_told_from_the_service() {
        check(Runtime::Python, "load", "/srv/app/app.py", true);
        check(Runtime::Python, "get", "/usr/lib/python3/dist-packages/requests/api.py", false);
        check(Runtime::Python, "run", "/usr/lib/python3.11/asyncio/runners.py", false);
        check(Runtime::Jvm, "App.load", "App.java", true);
        check(Runtime::Jvm, "java.lang.Thread.run", "Thread.java", false);
        check(Runtime::Node, "load", "/srv/app/app.js", true);
        check(Runtime::Node, "Module._compile", "node:internal/modules/cjs/loader", false);
        check(Runtime::Node, "next", "C:\\app\\node_modules\\express\\lib\\router.js", false);
        check(Runtime::Node, "Array.map", "", false);
        check(Runtime::Go, "main.main", "/srv/app/main.go", true);
        check(Runtime::Go, "sync.(*Mutex).Lock", "/usr/lib/go-1.19/src/sync/mutex.go", false);
        check(Runtime::Rust, "main::main", "./main.rs", true);
        check(
            Runtime::Rust,
            "core::panicking::panic_fmt",
            "/rustc/5980/library/core/src/panicking.rs",
            false,
        );
        check(Runtime::Cpp, "uaf(int)", "/srv/app/main.cpp", true);
        check(Runtime::Cpp, "__libc_start_call_main", "../sysdeps/nptl/libc_start_call_main.h", false);
    }

    #[test]
    fn every_table_names_a_runtime() {
        for name in BUILTIN.keys() {
            assert!(Runtime::from_name(name).is_some(), "{name}");
        }
    }
}
