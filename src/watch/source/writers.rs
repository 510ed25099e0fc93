//! The writers of a mixed lane, made once each.

use std::collections::HashMap;
use std::sync::Arc;

use super::lane::Writer;

/// Writers that are remembered. More are forgotten all at once, and made again: nothing depends on which value stands for a writer.
const MAX_WRITERS: usize = 4096;

/// Writers by their keys; `None` for those that are not watched.
#[derive(Debug, Default)]
pub(super) struct Writers(HashMap<u64, Option<Arc<Writer>>>);

impl Writers {
    /// The writer with this key; `make` it where it is not known.
    pub(super) fn get(&mut self, key: u64, make: impl FnOnce() -> Option<Writer>) -> Option<Arc<Writer>> {
        if self.0.len() >= MAX_WRITERS && !self.0.contains_key(&key) {
            self.0.clear();
        }
        self.0.entry(key).or_insert_with(|| make().map(Arc::new)).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::source::lane::Thing;

    #[test]
    fn writers_are_made_once_and_not_remembered_for_ever() {
        let mut writers = Writers::default();
        let mut n_made = 0;
        for key in [1, 1, 2, 1].into_iter().chain(0..100_000).chain([99_999]) {
            let writer = writers.get(key, || {
                n_made += 1;
                let (label, thing) = (key.to_string(), Thing::Named { name: key.to_string() });
                (key % 2 == 1).then_some(Writer { key, label, thing })
            });
            assert_eq!(writer.map(|it| it.key), (key % 2 == 1).then_some(key));
            assert!(writers.0.len() <= MAX_WRITERS);
        }
        assert_eq!(n_made, 100_000);
    }
}
