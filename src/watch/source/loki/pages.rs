//! All entries of a query between two times, a page at a time, whatever limits are in the way.
//!
//! A page begins at the time at which the last one ended, and what was seen of that time is left out: many entries may have one time, and
//! a page may end among them. A page that is all one time is asked for with a larger limit, then stream by stream; what is left even then
//! is a loss. Answers that are too big or take too long are asked for again in smaller pieces.

use std::collections::HashMap;
use std::time::Duration;

use super::answer::{LokiEntry, in_order};
use super::client::{Client, LokiError, Range, Remedy};
use super::selector;
use crate::watch::source::lane::Loss;

/// What Loki gives at most by default.
const MAX_LIMIT: u32 = 5000;
const MIN_LIMIT: u32 = 10;
const FIRST_LIMIT: u32 = 1000;

/// Text that a page should not pass: Loki's own messages have 4 MiB by default, and labels and times come on top.
const GOOD_PAGE_BYTES: usize = 2 << 20;

const MIN_RANGE: Duration = Duration::from_secs(1);

const SECOND: i64 = 1_000_000_000;

/// Entries that were not seen before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// By their times; at one time those of a stream are together and in their order.
    pub entries: Vec<LokiEntry>,
    /// When the page has no full limit: everything before this time is read.
    pub read_until: Option<i64>,
    /// What Loki would not give.
    pub loss: Option<Loss>,
}

/// Goes through a range. Holds one page at most.
#[derive(Debug)]
pub struct Pages {
    client: Client,
    query: String,
    /// Everything before it was given.
    nanos: i64,
    /// How often each hash was given at it.
    seen: HashMap<u64, u32>,
    end: i64,
    /// How late entries may come by Loki's own clock; what is stamped later than that before its present time is left. `None`: nothing is.
    lag: Option<i64>,
    limit: u32,
    /// No limit above this is asked for: it was too much just now.
    ceiling: u32,
    /// What Loki allows.
    allowed: u32,
    range: Duration,
    max_range: Duration,
}

impl Pages {
    /// The entries of `query` from `nanos` on, but for those at `nanos` with the hashes `seen`, before `end`; not more than `max_range` is
    /// asked for at a time.
    pub fn new(
        client: Client,
        query: String,
        (nanos, seen): (i64, &[u64]),
        end: i64,
        max_range: Duration,
    ) -> Self {
        let mut counts = HashMap::new();
        for hash in seen {
            *counts.entry(*hash).or_default() += 1;
        }
        Self {
            client,
            query,
            nanos,
            seen: counts,
            end,
            lag: None,
            limit: FIRST_LIMIT,
            ceiling: MAX_LIMIT,
            allowed: MAX_LIMIT,
            range: max_range,
            max_range,
        }
    }

    /// Leaves, for a later end, what may come later by Loki's own clock: the one by which the end is set may be ahead of that.
    pub fn heed_clock(&mut self, lag: Duration) {
        self.lag = Some(i64::try_from(lag.as_nanos()).unwrap_or(i64::MAX));
    }

    /// Moves the end on.
    pub fn set_end(&mut self, end: i64) {
        self.end = self.end.max(end);
    }

    /// Everything before this was given.
    pub fn nanos(&self) -> i64 {
        self.nanos
    }

    /// The next page; `None` when the end is reached.
    ///
    /// # Errors
    /// Loki is away or refuses. What an error asks for ([`LokiError::remedy`]) is heeded by the next call, which asks for the same again.
    pub async fn next(&mut self) -> Result<Option<Page>, LokiError> {
        let asked = self.ask().await;
        if let Err(error) = &asked {
            self.adapt(error.remedy());
        }
        asked
    }

    async fn ask(&mut self) -> Result<Option<Page>, LokiError> {
        loop {
            if self.nanos >= self.end {
                return Ok(None);
            }
            let range = i64::try_from(self.range.as_nanos()).unwrap_or(i64::MAX);
            let end = self.end.min(self.nanos.saturating_add(range));
            let limit = self.limit;
            let range = Range { query: &self.query, start: self.nanos, end, limit };
            let mut entries = in_order(self.client.query_range(range).await?);
            let mut is_full = entries.len() >= limit as usize;
            let sure =
                self.lag.zip(self.client.asked_at()).map(|(lag, asked_at)| asked_at.saturating_sub(lag));
            let sure = sure.filter(|sure| *sure < end);
            if let Some(sure) = sure {
                // It comes again with what may still come before it.
                let n_asked = entries.len();
                entries.retain(|entry| entry.nanos < sure);
                is_full &= entries.len() == n_asked;
                if sure <= self.nanos {
                    self.end = self.nanos;
                    return Ok(None);
                }
            }
            let end = sure.unwrap_or(end);
            let times = entries.first().map(|it| it.nanos).zip(entries.last().map(|it| it.nanos));
            self.learn(&entries);
            let Some((first, last)) = times.filter(|_| is_full) else {
                let entries = self.unseen(entries);
                self.go_to(end);
                if sure.is_some() {
                    self.end = end;
                }
                return Ok(Some(Page { entries, read_until: Some(end), loss: None }));
            };
            let entries = self.take(entries, last);
            if first == last {
                self.limit = self.ceiling;
            }
            if !entries.is_empty() {
                return Ok(Some(Page { entries, read_until: None, loss: None }));
            }
            if limit >= self.ceiling {
                return self.split().await.map(Some);
            }
        }
    }

    /// All entries at one time that are more than a page holds, stream by stream.
    async fn split(&mut self) -> Result<Page, LokiError> {
        let (nanos, limit) = (self.nanos, self.ceiling);
        let streams = match selector::split(&self.query) {
            Some((selector, _)) => self.client.series(selector, nanos - SECOND, nanos + SECOND).await?,
            None => Vec::new(),
        };
        let queries = selector::of_streams(&self.query, &streams).unwrap_or_default();
        let mut is_lost = queries.len() < 2;
        let mut all: Vec<LokiEntry> = Vec::new();
        // One query alone has been asked already.
        for query in &queries {
            if queries.len() < 2 {
                break;
            }
            let range = Range { query, start: nanos, end: nanos + 1, limit };
            let entries = in_order(self.client.query_range(range).await?);
            is_lost |= entries.len() >= limit as usize;
            all.extend(entries);
        }
        let entries = self.unseen(all);
        self.go_to(nanos + 1);
        let loss = is_lost.then(|| Loss {
            from: nanos.to_string(),
            to: (nanos + 1).to_string(),
            reason: "more entries at one time than Loki gives".to_owned(),
            of_stream: None,
        });
        Ok(Page { entries, read_until: Some(nanos + 1), loss })
    }

    fn go_to(&mut self, nanos: i64) {
        self.nanos = nanos;
        self.seen.clear();
    }

    /// What was not given before.
    fn unseen(&self, mut entries: Vec<LokiEntry>) -> Vec<LokiEntry> {
        let mut seen = self.seen.clone();
        entries.retain(|entry| {
            if entry.nanos != self.nanos {
                return entry.nanos > self.nanos;
            }
            match seen.get_mut(&entry.hash) {
                Some(left) if *left > 0 => {
                    *left -= 1;
                    false
                }
                Some(_) | None => true,
            }
        });
        entries
    }

    /// What was not given before of a page that ends among the entries of a time.
    fn take(&mut self, entries: Vec<LokiEntry>, last: i64) -> Vec<LokiEntry> {
        let entries = self.unseen(entries);
        if last != self.nanos {
            self.go_to(last);
        }
        for entry in entries.iter().filter(|entry| entry.nanos == last) {
            *self.seen.entry(entry.hash).or_default() += 1;
        }
        entries
    }

    /// Asks for as many lines as make a good page, and goes back to larger pieces.
    fn learn(&mut self, entries: &[LokiEntry]) {
        self.range = self.range.saturating_mul(2).min(self.max_range);
        self.ceiling = self.ceiling.saturating_mul(2).min(self.allowed);
        if !entries.is_empty() {
            let n_bytes: usize = entries.iter().map(|entry| entry.text.len() + 64).sum();
            let good = GOOD_PAGE_BYTES / (n_bytes / entries.len()).max(1);
            self.limit = u32::try_from(good).unwrap_or(MAX_LIMIT).max(MIN_LIMIT).min(self.ceiling);
        }
    }

    fn adapt(&mut self, remedy: Remedy) {
        match remedy {
            Remedy::FewerLines => {
                self.ceiling = (self.limit / 2).max(MIN_LIMIT);
                self.limit = (self.limit / 4).max(MIN_LIMIT);
                self.range = (self.range / 2).max(MIN_RANGE);
            }
            Remedy::AtMost(limit) => {
                self.allowed = limit.min(self.limit.saturating_sub(1)).max(1);
                self.ceiling = self.ceiling.min(self.allowed);
                self.limit = self.limit.min(self.allowed);
            }
            Remedy::ShorterRange => self.range = (self.range / 4).max(MIN_RANGE),
            Remedy::Wait | Remedy::Mend => {}
        }
    }
}
