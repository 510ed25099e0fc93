//! What is hashed at each level.
//!
//! The identity is the exception types and the service's own frames of the root cause and its wrappers. The message's
//! template is part of it only where these say little: no frame of the service's own, or a type such as `panic` that
//! anything may be.

use super::canon;
use super::hash::preimage;
use super::template::{Template, template};
use crate::model::trace::{Exception, Runtime, Trace};

/// The preimages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Preimages {
    pub(super) exact: String,
    pub(super) identity: String,
    pub(super) place: Option<String>,
    /// Whether the template is part of the identity.
    pub(super) has_template: bool,
}

/// Types that say nothing about what went wrong.
const GENERIC: [&str; 30] = [
    "",
    "panic",
    "fatal error",
    "runtime error",
    "data race",
    "Error",
    "error",
    "die",
    "Exception",
    "RuntimeException",
    "java.lang.RuntimeException",
    "java.lang.Exception",
    "java.lang.Error",
    "java.lang.Throwable",
    "RuntimeError",
    "BaseException",
    "System.Exception",
    "System.ApplicationException",
    "std::exception",
    "std::runtime_error",
    "std::logic_error",
    "StandardError",
    "ErrorException",
    "InternalError",
    "Throwable",
    "goroutine",
    "AssertionError",
    "java.lang.AssertionError",
    "terminate",
    "Assertion",
];

pub(super) fn key(trace: Option<&Trace>, message: &Template) -> Preimages {
    let Some(trace) = trace else {
        let identity = preimage(&["message", &message.canonical]);
        return Preimages { exact: identity.clone(), identity, place: None, has_template: true };
    };
    let mut parts: Vec<String> = vec![trace.runtime.name().to_owned()];
    let mut exact = parts.clone();
    let mut has_template = false;
    let mut place = None;
    for (at, exception) in trace.exceptions.iter().enumerate() {
        let (keys, is_of_app) = canon::frames(trace.runtime, exception);
        let is_strong = is_of_app && keys.iter().any(|it| !it.0.is_empty());
        // Wrappers are named by their types and places; only the root cause by its message.
        let needs_template = at == 0 && (!is_strong || GENERIC.contains(&exception.kind.as_str()));
        parts.push(kind(trace.runtime, exception));
        exact.push(exception.kind.clone());
        for (function, file) in &keys {
            parts.push(format!("{function} {file}"));
        }
        for frame in &exception.frames {
            let name = frame.file.as_deref().unwrap_or("").rsplit(['/', '\\']).next().unwrap_or("");
            exact.push(format!("{} {name}:{}", frame.function, frame.line.unwrap_or(0)));
        }
        if needs_template {
            has_template = true;
            parts.push(format!("~{}", message.canonical));
            exact.push(message.canonical.clone());
        } else if !is_strong && at > 0 && exception.frames.is_empty() {
            parts.push(format!("~{}", template(&exception.message).canonical));
        }
        if at == 0 {
            place =
                keys.first().map(|it| preimage(&["place", &kind(trace.runtime, exception), &it.0, &it.1]));
        }
    }
    let as_text = |parts: &[String]| preimage(&parts.iter().map(String::as_str).collect::<Vec<_>>());
    Preimages { exact: as_text(&exact), identity: as_text(&parts), place, has_template }
}

/// The type without what changes from build to build.
fn kind(runtime: Runtime, exception: &Exception) -> String {
    match runtime {
        Runtime::Jvm => exception.kind.split("$$").next().unwrap_or_default().to_owned(),
        Runtime::Python => {
            // Newer versions leave the name of the main module out.
            let kind = exception.kind.rsplit(".<locals>.").next().unwrap_or_default();
            kind.strip_prefix("__main__.").unwrap_or(kind).to_owned()
        }
        Runtime::Node
        | Runtime::Go
        | Runtime::Rust
        | Runtime::Dotnet
        | Runtime::Ruby
        | Runtime::Php
        | Runtime::Cpp
        | Runtime::Perl
        | Runtime::Dart
        | Runtime::Elixir
        | Runtime::Swift
        | Runtime::Lua
        | Runtime::Haskell
        | Runtime::Message => exception.kind.clone(),
    }
}
