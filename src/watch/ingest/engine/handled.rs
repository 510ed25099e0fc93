//! Where the lines stand that a stream's state was given, as far back as one of them is held.
//!
//! The state counts the lines it is given without holes; what was skipped has no number there. This is the way back from its numbers.

use std::collections::VecDeque;

use crate::watch::source::lane::DockerPlace;

/// Room that is kept when most of the lines are forgotten.
const KEPT_ROOM: usize = 256;

/// Where a line stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::watch::ingest) struct Spot {
    /// Its number in the input, from 0; that of the first of its parts.
    pub(in crate::watch::ingest) number: u64,
    /// Number of its block, from 0.
    pub(in crate::watch::ingest) block: u64,
    /// Its number and its first byte within the block.
    pub(in crate::watch::ingest) line_idx: usize,
    pub(in crate::watch::ingest) offset: usize,
    /// Its time and its number at it, where the lines of a pair carry their times.
    pub(in crate::watch::ingest) place: DockerPlace,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Handled {
    /// The state's number of the first spot.
    first: u64,
    spots: VecDeque<Spot>,
}

impl Handled {
    /// Notes the next line; gives the number by which the state is to know it.
    pub(super) fn push(&mut self, spot: Spot) -> u64 {
        self.spots.push_back(spot);
        self.first + self.spots.len() as u64 - 1
    }

    pub(super) fn get(&self, number: u64) -> Option<Spot> {
        let idx = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.spots.get(idx).copied()
    }

    pub(super) fn len(&self) -> usize {
        self.spots.len()
    }

    pub(super) fn is_in_block(&self, block: u64) -> bool {
        self.spots.iter().any(|spot| spot.block == block)
    }

    /// Forgets what stands before the held line; everything if none is.
    pub(super) fn forget_before(&mut self, held: Option<u64>) {
        let end = self.first + self.spots.len() as u64;
        let n_gone = held.unwrap_or(end).clamp(self.first, end) - self.first;
        self.spots.drain(..usize::try_from(n_gone).unwrap_or(usize::MAX));
        self.first += n_gone;
        if self.spots.capacity() > KEPT_ROOM && self.spots.len() < KEPT_ROOM / 4 {
            self.spots.shrink_to(KEPT_ROOM);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_on_when_lines_are_forgotten() {
        let spot = |number| Spot {
            number,
            block: 0,
            line_idx: 0,
            offset: 0,
            place: DockerPlace { nanos: 0, n_at_nanos: 0 },
        };
        let mut handled = Handled::default();
        assert_eq!((0..1000).map(|it| handled.push(spot(it * 7))).last(), Some(999));
        handled.forget_before(Some(998));
        assert_eq!((handled.get(997), handled.get(998), handled.get(1000)), (None, Some(spot(6986)), None));
        handled.forget_before(None);
        assert_eq!((handled.push(spot(1)), handled.len()), (1000, 1));
        assert!(handled.spots.capacity() <= KEPT_ROOM);
    }
}
