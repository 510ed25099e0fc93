//! A backlog that is read where its lines are looked at.
//!
//! Handing over a block costs changes of thread that take longer than reading it. So the reader of a lane is given what there is to read
//! as a whole, takes of it what it likes, and what was read from comes back when it is done.

use tokio::sync::oneshot;

use super::file::reader::Reader;
use super::lane::{Backlog, Block, Lane, Parcel, ReaderGone};

/// Hands a file over to be read on; gives it back read as far as blocks were taken. `dress` is done to each block.
pub(super) async fn hand_over(
    lane: &Lane,
    reader: Reader,
    dress: impl Fn(Block) -> Block + Send + 'static,
) -> Result<Reader, ReaderGone> {
    let (back_tx, back) = oneshot::channel();
    let handed = Handed { reader: Some(reader), back: Some(back_tx), dress };
    lane.send(Parcel::Backlog(Backlog::new(handed))).await?;
    back.await.map_err(|_| ReaderGone)
}

/// A file that was handed over; it is given back when this is dropped.
struct Handed<F> {
    reader: Option<Reader>,
    back: Option<oneshot::Sender<Reader>>,
    dress: F,
}

impl<F: Fn(Block) -> Block> Iterator for Handed<F> {
    type Item = Block;

    /// The next block, up to the end of what is there now. What fails will fail again for the source, which knows what to do then.
    fn next(&mut self) -> Option<Block> {
        let reader = self.reader.as_mut()?;
        if !reader.has_more() {
            return None;
        }
        let block = reader.next_block().ok()??;
        Some((self.dress)(block))
    }
}

impl<F> Drop for Handed<F> {
    fn drop(&mut self) {
        if let (Some(reader), Some(back)) = (self.reader.take(), self.back.take()) {
            // A source that has gone wants nothing back.
            let _ = back.send(reader);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::cursor::StreamKey;
    use crate::watch::source::lane::{MAX_BLOCK_BYTES, Origin, Outlet, Places, Thing};

    #[tokio::test]
    async fn what_is_not_taken_comes_back() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text: String = (0..200_000).map(|n| format!("line {n}\n")).collect();
        std::fs::write(file.path(), &text).unwrap();
        let (outlet, mut openings) = Outlet::new();
        let taker = tokio::spawn(async move {
            let mut parcels = openings.recv().await.unwrap().grant(None).unwrap();
            let mut taken = Vec::new();
            while let Some(parcel) = parcels.recv().await {
                let Parcel::Backlog(backlog) = parcel else { panic!("{parcel:?}") };
                taken.push(backlog.take(2).flat_map(|block| block.text.to_vec()).collect::<Vec<u8>>());
            }
            taken
        });
        let origin = Origin { stream: StreamKey("x".to_owned()), label: "x".to_owned(), thing: Thing::Mixed };
        let lane = outlet.open(origin).await.unwrap();
        let mut reader = Reader::open(file.path()).unwrap();
        let first = reader.next_block().unwrap().unwrap();
        assert!(reader.has_more());
        let mut places = vec![reader.place().offset];
        while reader.has_more() {
            reader = hand_over(&lane, reader, |block| {
                assert!(matches!(block.places, Places::File { .. }));
                block
            })
            .await
            .unwrap();
            places.push(reader.place().offset);
        }
        assert!(reader.is_caught_up());
        drop(lane);
        let taken = taker.await.unwrap();
        assert!(taken.len() > 2 && taken.iter().all(|it| it.len() <= 2 * MAX_BLOCK_BYTES + 100));
        let lens: Vec<u64> = places.windows(2).map(|it| it[1] - it[0]).collect();
        assert_eq!(taken.iter().map(|it| it.len() as u64).collect::<Vec<_>>(), lens);
        assert_eq!([first.text.to_vec(), taken.concat()].concat(), text.into_bytes());
    }
}
