//! What the model is told: a constant system prompt, and the task as a user's turn.
//!
//! Texts of strangers stand between marks that are random per attempt, so that none of them can end the fence; they are
//! capped, and nothing in them is invisible. The texts are in `system.md` and `task.md`.

use std::fmt::Write;

use super::contract::AgentTask;
use super::tools::text::{cap, reveal};
use crate::base::redact::Clean;
use crate::model::occurrence::Around;
use crate::model::trace::Frame;

/// The system prompt.
pub(super) const SYSTEM: &str = include_str!("system.md");

const TASK: &str = include_str!("task.md");

const MAX_TITLE: usize = 300;
const MAX_RECORD: usize = 16_000;
const MAX_AROUND: usize = 4_000;
const MAX_FRAMES: usize = 40;
const MAX_FRAME: usize = 300;
const MAX_HINTS: usize = 4_000;
const MAX_FAILURES: usize = 3;
const MAX_FAILURE: usize = 6_000;

/// The task as the first turn. `key` is random per attempt: nobody who logged a line can know the mark made of it.
pub(super) fn first_turn(task: &AgentTask, root: &str, key: &str) -> String {
    let mark = format!("=={}==", key.replace('-', ""));
    let fence = |text: &str, max_chars| fenced(text, &mark, max_chars);
    let folder = match task.folder.as_str() {
        "" => String::new(),
        folder => format!(" The service is built from its folder `{}`.", one_line(folder)),
    };
    let running_commit = match &task.running_commit {
        Some(commit) if *commit != task.base_commit => {
            format!(
                " The error was logged by commit `{}`; the code may have changed since.",
                one_line(commit)
            )
        }
        Some(_) | None => String::new(),
    };
    let test_command = match &task.test_command {
        Some(command) => format!("The project's tests are run with `{}`.\n", one_line(command)),
        None => "How the project's tests are run was not found; find out.\n".to_owned(),
    };
    let values = [
        ("{service}", one_line(&task.service)),
        ("{root}", root.to_owned()),
        ("{base_commit}", one_line(&task.base_commit)),
        ("{folder}", folder),
        ("{running_commit}", running_commit),
        ("{count}", count(task)),
        ("{test_command}", test_command),
        ("{mark}", mark.clone()),
        ("{title}", fence(task.title.as_str(), MAX_TITLE)),
        ("{frames}", frames(&task.frames, &fence)),
        ("{record}", fence(task.record.as_str(), MAX_RECORD)),
        ("{around}", around(&task.around, &fence)),
        ("{hints}", hints(task.hints.as_ref(), &fence)),
        ("{previous}", previous(&task.previous_failures, &fence)),
    ];
    fill(TASK, &values)
}

/// Puts values into a template in one pass, so that a value that looks like a name stays what it is.
fn fill(template: &str, values: &[(&str, String)]) -> String {
    let mut filled = String::with_capacity(template.len() + 1024);
    let mut rest = template;
    while let Some(start) = rest.find('{') {
        filled.push_str(&rest[..start]);
        rest = &rest[start..];
        match values.iter().find(|(name, _)| rest.starts_with(name)) {
            Some((name, value)) => {
                filled.push_str(value);
                rest = &rest[name.len()..];
            }
            None => {
                filled.push('{');
                rest = &rest[1..];
            }
        }
    }
    filled.push_str(rest);
    filled
}

/// A stranger's text: capped, nothing in it invisible, and without the mark, should it be known after all.
fn fenced(text: &str, mark: &str, max_chars: usize) -> String {
    let text = reveal(text.trim_end());
    cap(&text.replace(mark, "==mark=="), max_chars)
}

/// A name that the config or git gave: one line, no back quotes.
fn one_line(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() || c == '`' { ' ' } else { c }).collect();
    cap(&reveal(&text), MAX_TITLE)
}

fn count(task: &AgentTask) -> String {
    let times =
        if task.n_occurrences == 1 { "once".to_owned() } else { format!("{} times", task.n_occurrences) };
    format!("{times}, first at {} and last at {}", task.first_seen, task.last_seen)
}

fn frames(frames: &[Frame], fence: &impl Fn(&str, usize) -> String) -> String {
    if frames.is_empty() {
        return "(none: the record has no stack trace)".to_owned();
    }
    let mut text = String::new();
    for frame in frames.iter().take(MAX_FRAMES) {
        let place = match (&frame.file, frame.line) {
            (Some(file), Some(line)) => format!(" ({file}:{line})"),
            (Some(file), None) => format!(" ({file})"),
            (None, _) => String::new(),
        };
        let whose = if frame.in_app { "service" } else { "library" };
        let line = format!("{whose}: {}{place}", frame.function).replace(['\n', '\r'], " ");
        let _ = writeln!(text, "- {}", fence(&line, MAX_FRAME));
    }
    if frames.len() > MAX_FRAMES {
        let _ = writeln!(text, "- ... {} more", frames.len() - MAX_FRAMES);
    }
    text.trim_end().to_owned()
}

fn around(around: &Around, fence: &impl Fn(&str, usize) -> String) -> String {
    let mut text = String::new();
    for (title, lines) in [("before", &around.before), ("after", &around.after)] {
        if !lines.as_str().is_empty() {
            let lines = fence(lines.as_str(), MAX_AROUND);
            let _ = write!(text, "\n# Lines of the same log directly {title} the record\n{lines}\n");
        }
    }
    text
}

fn hints(hints: Option<&Clean>, fence: &impl Fn(&str, usize) -> String) -> String {
    match hints {
        Some(hints) => format!(
            "\nThe repository's owners say about work on it:\n\n{}\n",
            fence(hints.as_str(), MAX_HINTS)
        ),
        None => String::new(),
    }
}

fn previous(failures: &[Clean], fence: &impl Fn(&str, usize) -> String) -> String {
    if failures.is_empty() {
        return String::new();
    }
    let mut text = "\n# Why earlier attempts were not enough, oldest first\n".to_owned();
    for failure in &failures[failures.len().saturating_sub(MAX_FAILURES)..] {
        let _ = writeln!(text, "- {}", fence(failure.as_str(), MAX_FAILURE).replace('\n', "\n  "));
    }
    text
}

#[cfg(test)]
mod tests;
