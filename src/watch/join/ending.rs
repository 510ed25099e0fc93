//! How a record ended: what tells whether the same lines are a record again when another line follows them.

use super::joiner::Line;
use super::line::View;
use super::machine::{Kind, State, Step, step};

/// The end of a record that no line was held behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ending {
    pub(super) state: State,
    /// Its last line says that it is the last.
    pub is_by_itself: bool,
}

/// What a line is to a record before it that ended so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Following {
    /// It belongs to it, or may.
    Belongs,
    /// It ends it, and begins nothing.
    Passes,
    /// It ends it, and may begin a record.
    Begins,
}

impl Ending {
    /// Whether it hangs on nothing that is not the same in lines that are [`alike`](crate::base::search::digits::alike).
    pub fn is_of_shape(&self) -> bool {
        // Reports of undefined behaviour are told apart by their places.
        self.state.kind != Kind::Native
    }

    /// What this line is, if it comes next.
    pub fn follow(&self, line: &Line<'_>) -> Following {
        let view = View::new(line.text, &line.seen, line.is_candidate);
        let mut state = self.state;
        if step(&mut state, &view) != Step::End {
            Following::Belongs
        } else if line.is_candidate || view.is_blank() || view.is_weak || view.opening().is_some() {
            Following::Begins
        } else {
            Following::Passes
        }
    }
}
