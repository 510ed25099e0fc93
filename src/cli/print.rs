//! The only place that writes to standard output and standard error.

use std::io::{self, Write};

/// Writes one line to standard output. A closed pipe ends the output in silence, as `head` expects.
pub(super) fn line(text: impl AsRef<str>) {
    let mut out = io::stdout().lock();
    if let Err(error) = writeln!(out, "{}", text.as_ref()) {
        give_up(&error);
    }
}

/// Writes one line to standard output for whoever still reads it: work that must be cleaned up goes on without a reader.
pub(super) fn tell(text: impl AsRef<str>) {
    let _ = writeln!(io::stdout().lock(), "{}", text.as_ref());
}

/// Writes a JSON value as one line to standard output.
pub(super) fn json(value: &impl serde::Serialize) {
    match serde_json::to_string(value) {
        Ok(text) => line(text),
        Err(error) => note(format!("failed to print a value as JSON: {error}")),
    }
}

/// Writes one line to standard error, for people.
pub(super) fn note(text: impl AsRef<str>) {
    // Nobody is left to tell if standard error is gone.
    let _ = writeln!(io::stderr().lock(), "{}", text.as_ref());
}

/// Ends the process: what reads the output is gone (an ordinary end), or the output cannot be written (a failure).
#[expect(clippy::exit, reason = "there is nobody left to print for, and no work that must be finished")]
fn give_up(error: &io::Error) -> ! {
    if error.kind() == io::ErrorKind::BrokenPipe {
        std::process::exit(0);
    }
    note(format!("failed to write to standard output: {error}"));
    std::process::exit(1);
}
