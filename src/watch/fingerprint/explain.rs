//! What `homeostat explain` shows.

use std::fmt;

use super::user_rules::Decided;
use super::{Fingerprinted, canon, frames};

/// Every step from a record's text to its fingerprint; shown as plain text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// What was taken off the first line.
    pub prefix: String,
    /// The field of the JSON or logfmt envelope that held the text.
    pub envelope: Option<&'static str>,
    /// What was masked in the message, and as what, in order.
    pub masked: Vec<(String, &'static str)>,
    /// Whether the message's template is part of the identity.
    pub has_template: bool,
    /// What a rule of the config decided.
    pub(super) decided: Option<Decided>,
    pub fingerprinted: Fingerprinted,
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = &self.fingerprinted;
        if let Some(field) = self.envelope {
            writeln!(f, "envelope  text taken from `{field}`")?;
        }
        if !self.prefix.is_empty() {
            writeln!(f, "prefix    `{}`", self.prefix.trim_end())?;
        }
        writeln!(f, "runtime   {}", found.runtime)?;
        writeln!(f, "title     {}", found.title)?;
        if let Some(trace) = &found.trace {
            if let Some(thread) = &trace.thread {
                writeln!(f, "thread    {thread}")?;
            }
            for (place, exception) in trace.exceptions.iter().enumerate() {
                let role = if place == 0 { "cause    " } else { "wrapped  " };
                writeln!(f, "{role} {}", exception.kind)?;
                for frame in &exception.frames {
                    let mark = if frame.in_app { '*' } else { ' ' };
                    let canonical = canon::function(trace.runtime, &frame.function);
                    write!(f, "        {mark} {}", frame.function)?;
                    if canonical != frame.function {
                        write!(f, " → {canonical}")?;
                    }
                    match (&frame.file, frame.line) {
                        (Some(file), Some(line)) => write!(f, "  {file}:{line}")?,
                        (Some(file), None) => write!(f, "  {file}")?,
                        (None, _) => {}
                    }
                    if let Some(module) = &frame.module {
                        write!(f, "  of {module}")?;
                    }
                    match frames::library(trace.runtime, frame).filter(|_| !frame.in_app) {
                        Some(part) => writeln!(f, "  (library: {part})")?,
                        None => writeln!(f)?,
                    }
                }
            }
        }
        for (text, name) in &self.masked {
            writeln!(f, "masked    `{text}` → <{name}>")?;
        }
        let part = if self.has_template { "part of the identity" } else { "not part of the identity" };
        writeln!(f, "template  {} ({part})", found.levels.template)?;
        if let Some(decided) = &self.decided {
            writeln!(f, "decided   {decided}")?;
        }
        writeln!(f, "preimage")?;
        for line in found.preimage.lines() {
            writeln!(f, "          {line}")?;
        }
        writeln!(f, "exact     {}", found.levels.exact.full())?;
        if let Some(place) = &found.levels.place {
            writeln!(f, "place     {}", place.full())?;
        }
        write!(f, "identity  {}", found.levels.identity.full())
    }
}
