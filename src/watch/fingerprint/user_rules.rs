//! What people decided about some errors: which belong together, which say nothing, whose frames are whose.
//!
//! A rule names errors by service, type, message, function and path. One that marks frames says of those it matches whether they are the
//! service's own, before anything is hashed; of several the first that matches a frame tells. All others decide over the whole record,
//! and there the first that matches wins too. A rule never changes an id that was made: it gives records another one from now on.
//!
//! Types, functions and paths are looked at with the numbers of log lines made alike, as the identity is; messages as they were logged.

use std::fmt;
use std::sync::Arc;

use globset::GlobMatcher;
use regex::Regex;

use super::hash::preimage;
use crate::model::detection::Severity;
use crate::model::trace::{Exception, Frame, Trace};

/// One rule. Every list that is not empty must match: by one of its globs.
#[derive(Debug, Clone)]
pub struct UserRule {
    /// As it is called in output.
    pub name: String,
    /// Services that it is for; none means all.
    pub services: Vec<GlobMatcher>,
    /// For the type of any exception of the chain.
    pub types: Vec<GlobMatcher>,
    /// For the message of any exception of the chain; of a record without a trace, its first line without prefix. Not in rules that mark
    /// frames.
    pub message: Option<Regex>,
    /// For a frame's function; the same frame must match `paths`.
    pub functions: Vec<GlobMatcher>,
    /// For a frame's file, with `/` between folders.
    pub paths: Vec<GlobMatcher>,
    pub effect: Effect,
}

/// What a rule says of what it matches.
#[derive(Debug, Clone)]
pub enum Effect {
    /// Whether the frames are the service's own.
    InApp(bool),
    /// What becomes of the record.
    Decide {
        /// What its identity is made of; `None`: as without the rule.
        parts: Option<Vec<Part>>,
        verdict: Verdict,
    },
}

/// What is done with a record beside counting it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Verdict {
    /// It is dropped.
    pub is_ignored: bool,
    /// Instead of the detection's.
    pub severity: Option<Severity>,
}

/// A part of an identity that a rule makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    Text(String),
    /// `{{default}}`: all that is hashed without the rule.
    Default,
    /// `{{type}}`: the root cause's type.
    Type,
    /// `{{function}}`, `{{path}}`: of the root cause's first frame of the service's own, else of its first.
    Function,
    Path,
    /// `{{template}}`: the message without its variable parts.
    Template,
}

/// The rules that hold for a service, in their order. Cheap to clone while there are none.
#[derive(Debug, Clone, Default)]
pub struct UserRules {
    rules: Vec<Arc<UserRule>>,
}

/// What a decision is made of.
pub(super) struct Asked<'a> {
    /// With its numbers made alike.
    pub(super) trace: Option<&'a Trace>,
    /// The same as it was logged.
    pub(super) logged: Option<&'a Trace>,
    /// Message of the root cause or of the record, as it was logged.
    pub(super) message: &'a str,
    pub(super) template: &'a str,
    /// Preimage of the identity as it is without rules.
    pub(super) default: &'a str,
}

/// What a rule decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decided {
    pub(super) rule: String,
    /// Preimage of the identity, where the rule makes one.
    pub(super) identity: Option<String>,
    pub(super) verdict: Verdict,
}

impl fmt::Display for Decided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "by {}", self.rule)?;
        if self.identity.is_some() {
            f.write_str(": the identity is the rule's")?;
        }
        if let Some(severity) = self.verdict.severity {
            write!(f, ": the severity is {severity}")?;
        }
        if self.verdict.is_ignored {
            f.write_str(": it is ignored")?;
        }
        Ok(())
    }
}

impl UserRules {
    /// No rules.
    pub const fn none() -> Self {
        Self { rules: Vec::new() }
    }

    /// These rules, for all services that they name.
    pub fn new(rules: Vec<UserRule>) -> Self {
        Self { rules: rules.into_iter().map(Arc::new).collect() }
    }

    /// Those of them that are for this service.
    #[must_use]
    pub fn for_service(&self, service: &str) -> Self {
        let is_for = |rule: &UserRule| is_any(&rule.services, service);
        Self { rules: self.rules.iter().filter(|it| is_for(it)).cloned().collect() }
    }

    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether they are the same rules.
    pub fn is_same(&self, other: &Self) -> bool {
        let ours = self.rules.iter().map(Arc::as_ptr);
        ours.eq(other.rules.iter().map(Arc::as_ptr))
    }

    /// Whether what they say hangs on messages, and so on the numbers in them.
    pub fn look_at_messages(&self) -> bool {
        self.rules.iter().any(|it| it.message.is_some())
    }

    /// Marks the frames of the trace that rules name.
    pub(super) fn mark(&self, trace: &mut Trace) {
        let marks: Vec<(&UserRule, bool)> = self
            .rules
            .iter()
            .filter_map(|rule| match rule.effect {
                Effect::InApp(in_app) if rule.has_type(Some(trace)) => Some((&**rule, in_app)),
                Effect::InApp(_) | Effect::Decide { .. } => None,
            })
            .collect();
        if marks.is_empty() {
            return;
        }
        for frame in trace.exceptions.iter_mut().flat_map(|it| &mut it.frames) {
            if let Some((_, in_app)) = marks.iter().find(|(rule, _)| rule.matches_frame(frame)) {
                frame.in_app = *in_app;
            }
        }
    }

    /// What the first rule that matches decides.
    pub(super) fn decide(&self, asked: &Asked<'_>) -> Option<Decided> {
        self.rules.iter().find_map(|rule| {
            let Effect::Decide { parts, verdict } = &rule.effect else { return None };
            let is_match = rule.is_match(asked);
            let identity = || parts.as_ref().map(|parts| asked.preimage(parts));
            is_match.then(|| Decided { rule: rule.name.clone(), identity: identity(), verdict: *verdict })
        })
    }
}

impl UserRule {
    /// Whether it matches a record, of whatever service.
    pub(super) fn is_match(&self, asked: &Asked<'_>) -> bool {
        self.has_type(asked.trace)
            && self.has_frame(asked.trace)
            && self.has_message(asked.logged, asked.message)
    }

    fn has_type(&self, trace: Option<&Trace>) -> bool {
        self.types.is_empty() || exceptions(trace).iter().any(|it| is_any(&self.types, &it.kind))
    }

    /// `message`: of a record without a trace.
    fn has_message(&self, trace: Option<&Trace>, message: &str) -> bool {
        let Some(pattern) = &self.message else { return true };
        match exceptions(trace) {
            [] => pattern.is_match(message),
            all => all.iter().any(|it| pattern.is_match(&it.message)),
        }
    }

    fn has_frame(&self, trace: Option<&Trace>) -> bool {
        self.functions.is_empty() && self.paths.is_empty()
            || exceptions(trace).iter().flat_map(|it| &it.frames).any(|it| self.matches_frame(it))
    }

    fn matches_frame(&self, frame: &Frame) -> bool {
        let has_path = || {
            let path = frame.file.as_deref().unwrap_or("");
            if path.contains('\\') {
                is_any(&self.paths, &path.replace('\\', "/"))
            } else {
                is_any(&self.paths, path)
            }
        };
        is_any(&self.functions, &frame.function) && (self.paths.is_empty() || has_path())
    }
}

fn exceptions(trace: Option<&Trace>) -> &[Exception] {
    trace.map_or(&[], |it| &it.exceptions)
}

/// Whether one of the globs matches, or there are none.
fn is_any(globs: &[GlobMatcher], text: &str) -> bool {
    globs.is_empty() || globs.iter().any(|it| it.is_match(text))
}

impl Asked<'_> {
    fn preimage(&self, parts: &[Part]) -> String {
        let parts = parts.iter().map(|part| match part {
            Part::Text(text) => text.as_str(),
            Part::Default => self.default,
            Part::Type => self.root().map_or("", |it| &it.kind),
            Part::Function => self.frame().map_or("", |it| &it.function),
            Part::Path => self.frame().and_then(|it| it.file.as_deref()).unwrap_or(""),
            Part::Template => self.template,
        });
        preimage(&std::iter::once("rule").chain(parts).collect::<Vec<_>>())
    }

    fn root(&self) -> Option<&Exception> {
        self.trace.and_then(Trace::root)
    }

    fn frame(&self) -> Option<&Frame> {
        let frames = &self.root()?.frames;
        frames.iter().find(|it| it.in_app).or_else(|| frames.first())
    }
}

impl Part {
    /// Reads a part as the config writes it: `{{default}}`, another of the names, or a text.
    ///
    /// # Errors
    /// The name in the braces, where there is no part of it.
    pub fn read(text: &str) -> Result<Self, &str> {
        let Some(name) = text.strip_prefix("{{").and_then(|it| it.strip_suffix("}}")) else {
            return Ok(Self::Text(text.to_owned()));
        };
        match name.trim() {
            "default" => Ok(Self::Default),
            "type" => Ok(Self::Type),
            "function" => Ok(Self::Function),
            "path" => Ok(Self::Path),
            "template" => Ok(Self::Template),
            other => Err(other),
        }
    }
}

#[cfg(test)]
mod tests;
