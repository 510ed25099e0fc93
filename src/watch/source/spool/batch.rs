//! What is known of batches that were taken, so that they are not taken again.
//!
//! A sender that hears nothing in time, because the disk works, the connection breaks, or homeostat is killed, sends its batch again.
//! Every write of batches begins with a [`Head`] that names them and says how long it is: after a crash a write that is not whole is cut
//! off as a whole, and the batches of the others are known.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::record::{Item, Record};

/// What makes a record the head of a write: no sender has such a name.
const LABEL: &str = "\0batches";

/// Batches that are remembered at the same time.
const MAX_REMEMBERED: usize = 4096;

/// Hash of what was sent: the same when it is sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BatchId(pub [u8; 16]);

/// A batch, on both ends of the way to the disk.
#[derive(Debug, Clone)]
pub(super) struct Batch {
    pub(super) id: BatchId,
    /// It holds times, so that no other is like it.
    pub(super) is_unique: bool,
    is_heard: Arc<AtomicBool>,
}

/// Begins a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) ids: Vec<BatchId>,
    /// Bytes of the write after the head.
    pub(super) n_bytes: u64,
}

/// Batches that are durable, the last ones only.
#[derive(Debug, Default)]
pub(super) struct Taken {
    batches: HashMap<BatchId, Batch>,
    order: VecDeque<BatchId>,
}

impl Batch {
    pub(super) fn new(id: BatchId, items: &[Item]) -> Self {
        Self { id, is_unique: items.iter().any(|it| it.at.is_some()), is_heard: Arc::default() }
    }

    /// The sender's end knows what became of it.
    pub(super) fn hear(&self) {
        self.is_heard.store(true, Ordering::Relaxed);
    }

    /// Nobody waits for it any more, and nobody has heard of it.
    fn is_abandoned(&self) -> bool {
        Arc::strong_count(&self.is_heard) == 1 && !self.is_heard.load(Ordering::Relaxed)
    }
}

impl Head {
    pub(super) fn record(&self, tick: i64) -> Record {
        let mut text = self.n_bytes.to_le_bytes().to_vec();
        text.extend(self.ids.iter().flat_map(|id| id.0));
        Record { tick, item: Item { service: String::new(), label: LABEL.to_owned(), at: None, text } }
    }

    pub(super) fn of(record: &Record) -> Option<Self> {
        let Item { service, label, at: _, text } = &record.item;
        if !service.is_empty() || label != LABEL {
            return None;
        }
        let (n_bytes, ids) = text.split_first_chunk::<8>()?;
        let (ids, _) = ids.as_chunks::<16>();
        let ids = ids.iter().copied().map(BatchId).collect();
        Some(Self { ids, n_bytes: u64::from_le_bytes(*n_bytes) })
    }
}

impl Taken {
    /// After a start: these were durable before.
    pub(super) fn after_start(ids: Vec<BatchId>) -> Self {
        let mut taken = Self::default();
        taken.extend(ids.into_iter().map(|id| Batch { id, is_unique: true, is_heard: Arc::default() }));
        taken
    }

    /// Remembers batches that are durable.
    pub(super) fn extend(&mut self, batches: impl IntoIterator<Item = Batch>) {
        for batch in batches {
            self.order.push_back(batch.id);
            self.batches.insert(batch.id, batch);
        }
        while self.order.len() > MAX_REMEMBERED {
            let oldest = self.order.pop_front();
            // It may have come again since.
            if let Some(oldest) = oldest.filter(|oldest| !self.order.contains(oldest)) {
                self.batches.remove(&oldest);
            }
        }
    }

    /// Whether this is a batch that was taken already. Two without times may be like each other: such a one is the same only if nobody
    /// heard of the first, and then it is heard of now.
    pub(super) fn has(&mut self, id: BatchId) -> bool {
        match self.batches.get(&id) {
            Some(batch) if batch.is_unique => true,
            Some(batch) if batch.is_abandoned() => self.batches.remove(&id).is_some(),
            Some(_) | None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: BatchId = BatchId([7; 16]);

    #[test]
    fn a_head_is_read_as_it_was_written_and_nothing_else_is_one() {
        for ids in [vec![], vec![ID, BatchId([0; 16])]] {
            let head = Head { ids, n_bytes: 1 << 40 };
            assert_eq!(Head::of(&head.record(5)), Some(head));
        }
        let item = Item { service: "a".to_owned(), label: LABEL.to_owned(), at: None, text: vec![0; 24] };
        assert_eq!(Head::of(&Record { tick: 0, item }), None);
    }

    #[test]
    fn a_batch_is_known_again_if_no_other_can_be_like_it_or_nobody_heard_of_it() {
        let batch = |is_unique| Batch { id: ID, is_unique, is_heard: Arc::default() };
        let mut taken = Taken::after_start(vec![ID]);
        assert!(taken.has(ID) && taken.has(ID));

        let at_sender = batch(false);
        let mut taken = Taken::default();
        taken.extend([at_sender.clone()]);
        assert!(!taken.has(ID), "its sender waits: this is another one like it");
        drop(at_sender);
        assert!(taken.has(ID) && !taken.has(ID));
        let heard = batch(false);
        heard.hear();
        taken.extend([heard]);
        assert!(!taken.has(ID));

        for n in 0..3 * MAX_REMEMBERED {
            let mut id = [0; 16];
            id[..8].copy_from_slice(&n.to_le_bytes());
            taken.extend([Batch { id: BatchId(id), ..batch(true) }]);
        }
        assert_eq!((taken.batches.len(), taken.order.len()), (MAX_REMEMBERED, MAX_REMEMBERED));
    }
}
