//! An error with all its causes on one line, for logs and command line messages.

use std::error::Error;
use std::fmt;

/// Shows an error and each `source` behind it as `outer: inner: innermost`.
///
/// Errors here never put their source into their own `Display`. Those of libraries often do: a cause that was said already is left out.
#[derive(Debug, Clone, Copy)]
pub struct Chain<'a>(pub &'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = self.0.to_string();
        let mut source = self.0.source();
        while let Some(error) = source {
            let cause = error.to_string();
            if !said.ends_with(&cause) {
                said.push_str(": ");
                said.push_str(&cause);
            }
            source = error.source();
        }
        f.write_str(&said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("failed to read `rules`")]
    struct Outer(#[source] std::io::Error);

    #[derive(Debug, thiserror::Error)]
    #[error("error of a library: {0}")]
    struct Talkative(#[source] std::io::Error);

    #[test]
    fn shows_every_cause_once() {
        let error = Outer(std::io::Error::other("disk on fire"));
        assert_eq!(Chain(&error).to_string(), "failed to read `rules`: disk on fire");
        let error = Talkative(std::io::Error::other("disk on fire"));
        assert_eq!(Chain(&error).to_string(), "error of a library: disk on fire");
    }
}
