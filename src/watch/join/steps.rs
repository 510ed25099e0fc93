//! What the machines make of each line, for people: the same machines, without the joiner's patience.

use super::block;
use super::line::{Seen, View};
use super::machine::{State, Step, step};

/// What a line is to the record before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It begins a record.
    Begins,
    /// It belongs to it.
    Belongs,
    /// It belongs to it if a later line does.
    Waits,
    /// It belongs to it and ends it.
    Ends,
    /// No record is open, and it begins none.
    Passes,
}

/// A line, and where the machine stands behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineStep {
    pub taken: Taken,
    /// Name of the machine and of its phase; empty where no record is open.
    pub machine: &'static str,
    pub phase: &'static str,
}

/// Reads lines one after another. `is_candidate`: whether a rule may hit a line.
pub fn steps(text: &str, is_candidate: impl Fn(&str) -> bool) -> Vec<LineStep> {
    let mut open: Option<State> = None;
    let mut steps = Vec::new();
    for line in text.lines() {
        let seen = Seen::of(line);
        let view = View::new(line, &seen, is_candidate(line));
        let taken = open.as_mut().map(|state| step(state, &view));
        let taken = match taken {
            Some(Step::Take) => Taken::Belongs,
            Some(Step::Hold) => Taken::Waits,
            Some(Step::Done) => Taken::Ends,
            None | Some(Step::End) => {
                let marked = || view.is_candidate.then(|| block::marked(&view));
                open = view.opening().map(|(state, _)| state).or_else(marked);
                if open.is_some() { Taken::Begins } else { Taken::Passes }
            }
        };
        let (machine, phase) = open.map_or(("", ""), |it| it.names());
        steps.push(LineStep { taken, machine, phase });
        if taken == Taken::Ends || view.stands_alone {
            open = None;
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_told() {
        let text = "listening\nTraceback (most recent call last):\n  File \"a.py\", line 1, in f\n    x\nKeyError: 'x'\n2026-01-02 03:04:05 INFO done";
        let told: Vec<_> = steps(text, |_| false).iter().map(|it| (it.taken, it.machine, it.phase)).collect();
        let expected = [
            (Taken::Passes, "", ""),
            (Taken::Begins, "python", "frames"),
            (Taken::Belongs, "python", "frames"),
            (Taken::Belongs, "python", "frames"),
            (Taken::Belongs, "python", "message"),
            (Taken::Passes, "", ""),
        ];
        assert_eq!(told, expected);
    }
}
