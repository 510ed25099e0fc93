//! Which frames are the service's own: `rules/in-app/frames.toml`, as data.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::model::trace::{Frame, Runtime, Trace};
use crate::watch::join::shape::has;

static BUILTIN: LazyLock<Rules> = LazyLock::new(|| {
    let text = include_str!("../../../rules/in-app/frames.toml");
    Rules(toml::from_str(text).expect("the embedded table is read by a test"))
});

#[derive(Debug)]
struct Rules(BTreeMap<String, Marks>);

/// What marks a frame as a library's.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Marks {
    path_has: Vec<String>,
    path_starts: Vec<String>,
    function_has: Vec<String>,
    function_starts: Vec<String>,
    function_is: Vec<String>,
    needs_file: bool,
}

/// Marks each frame of the trace.
pub(super) fn mark(trace: &mut Trace) {
    let Some(marks) = BUILTIN.0.get(trace.runtime.name()) else {
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
    BUILTIN.0.get(runtime.name()).is_some_and(|it| it.is_in_app(runtime, frame))
}

/// Most beginnings differ in their first byte, which is told without a call.
fn begins(text: &str, start: &str) -> bool {
    text.as_bytes().first() == start.as_bytes().first() && text.starts_with(start)
}

impl Marks {
    fn is_in_app(&self, runtime: Runtime, frame: &Frame) -> bool {
        let path = frame.file.as_deref().unwrap_or("");
        let converted;
        let path = if path.contains('\\') {
            converted = path.replace('\\', "/");
            converted.as_str()
        } else {
            path
        };
        if path.is_empty() && self.needs_file {
            return false;
        }
        let function = frame.function.as_str();
        // The standard library's packages have names that a service's may have too; its files tell them apart.
        let by_function = |marks: &Self| {
            marks.function_starts.iter().any(|it| begins(function, it))
                || marks.function_has.iter().any(|it| has(function, it))
                || marks.function_is.iter().any(|it| function == it)
        };
        if self.path_has.iter().any(|it| has(path, it)) || self.path_starts.iter().any(|it| begins(path, it))
        {
            return false;
        }
        if runtime == Runtime::Cpp && function.is_empty() && !path.is_empty() {
            // A frame without symbols says at least which module.
            return true;
        }
        !by_function(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(runtime: Runtime, function: &str, file: &str, expected: bool) {
        let file = (!file.is_empty()).then(|| file.to_owned());
        let frame = Frame { function: function.to_owned(), file, line: None, module: None, in_app: false };
        let marks = &BUILTIN.0[runtime.name()];
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
        for name in BUILTIN.0.keys() {
            assert!(Runtime::from_name(name).is_some(), "{name}");
        }
    }
}
