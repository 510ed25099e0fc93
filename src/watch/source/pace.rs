//! How a writer writes: without a break, with pauses, or not any more. By this it is decided how soon to look again, and what the reader
//! of a lane is told of the silence.

use std::time::Duration;

use tokio::time::Instant;

use super::lane::{Lane, Parcel, QUIET, ReaderGone};

/// Between two looks at what is written to all the time: each look costs the writer, and lines may come together.
pub(super) const BUSY_PAUSE: Duration = Duration::from_millis(10);

/// The same where each look finds more than a block: each wakes a thread.
const FULL_PAUSE: Duration = Duration::from_millis(20);

/// What has grown within this time is looked at after such pauses; then one waits to be told.
const BUSY: Duration = Duration::from_millis(40);

/// A writer pauses that has written nothing for so long.
const PAUSE: Duration = Duration::from_millis(20);

/// The pace of one stream.
#[derive(Debug)]
pub(super) struct Pace {
    last_growth: Instant,
    /// Lines were sent since the stream was last called quiet.
    has_news: bool,
    /// Lines were sent since the writer last paused.
    has_fresh_news: bool,
    /// Blocks that were sent since the last rest.
    n_sent: u32,
}

impl Pace {
    /// Of a stream from which nothing was sent, and that grows now.
    pub(super) fn new() -> Self {
        Self { last_growth: Instant::now(), has_news: false, has_fresh_news: false, n_sent: 0 }
    }

    /// Something was written, or changed.
    pub(super) fn grown(&mut self) {
        self.last_growth = Instant::now();
    }

    /// Lines go onto the lane.
    pub(super) fn sent(&mut self) {
        self.has_news = true;
        self.has_fresh_news = true;
        self.n_sent = self.n_sent.saturating_add(1);
    }

    /// The lane needs no word of what was sent so far.
    pub(super) fn settle(&mut self) {
        self.has_news = false;
        self.has_fresh_news = false;
    }

    /// How long nothing was written.
    pub(super) fn silent(&self) -> Duration {
        self.last_growth.elapsed()
    }

    /// It was written to just now, and most likely goes on.
    pub(super) fn is_busy(&self) -> bool {
        self.silent() < BUSY
    }

    /// How long to rest before the next look at what is written to all the time.
    pub(super) fn rest(&mut self) -> Duration {
        if std::mem::take(&mut self.n_sent) > 1 { FULL_PAUSE } else { BUSY_PAUSE }
    }

    /// Tells the reader that the writer pauses, or is quiet, after it was silent for so long.
    pub(super) async fn tell(&mut self, silent: Duration, lane: &Lane) -> Result<(), ReaderGone> {
        if silent >= QUIET && self.has_news {
            self.settle();
            return lane.send(Parcel::Quiet).await;
        }
        if silent >= PAUSE && std::mem::take(&mut self.has_fresh_news) {
            return lane.send(Parcel::Pause).await;
        }
        Ok(())
    }

    /// When, after it was silent for so long, the next word is due; `None` if there is none to say, or it is late.
    pub(super) fn until_told(&self, silent: Duration) -> Option<Duration> {
        let until = |is_due: bool, limit: Duration| {
            limit.checked_sub(silent).filter(|left| is_due && !left.is_zero())
        };
        [until(self.has_fresh_news, PAUSE), until(self.has_news, QUIET)].into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::cursor::StreamKey;
    use crate::watch::source::lane::{Origin, Outlet, Thing};

    #[tokio::test(start_paused = true)]
    async fn a_pause_and_silence_are_told_once_after_what_was_sent() {
        let (outlet, mut openings) = Outlet::new();
        let origin = Origin { stream: StreamKey("x".to_owned()), label: "x".to_owned(), thing: Thing::Mixed };
        let reader = tokio::spawn(async move { openings.recv().await.unwrap().grant(None).unwrap() });
        let lane = outlet.open(origin).await.unwrap();
        let mut parcels = reader.await.unwrap();
        let mut pace = Pace::new();
        let mut told = Vec::new();
        for (is_sent, wait) in
            [(false, 5000), (true, 19), (false, 1), (false, 1), (false, 1979), (false, 1), (true, 2000)]
        {
            if is_sent {
                pace.grown();
                pace.sent();
            }
            tokio::time::advance(Duration::from_millis(wait)).await;
            pace.tell(pace.silent(), &lane).await.unwrap();
            told.push(match parcels.try_recv() {
                Ok(Parcel::Pause) => "pause",
                Ok(Parcel::Quiet) => "quiet",
                Ok(_) => "other",
                Err(_) => "",
            });
        }
        assert_eq!(told, ["", "", "pause", "", "quiet", "", "quiet"]);
        let rests: Vec<u128> = [0, 1, 2, 0]
            .map(|n_blocks| {
                (0..n_blocks).for_each(|_| pace.sent());
                pace.rest().as_millis()
            })
            .to_vec();
        assert_eq!(rests[1..], [10, 20, 10]);
        pace.settle();
        assert_eq!(pace.until_told(Duration::ZERO), None);
        pace.sent();
        assert_eq!(pace.until_told(Duration::from_millis(5)), Some(Duration::from_millis(15)));
        assert_eq!(pace.until_told(Duration::from_millis(20)), Some(Duration::from_millis(1980)));
    }
}
