//! The attempt's transcript and money, kept in the store.

use std::sync::Arc;

use crate::agent::contract::{BoxError, Ledger, ReserveAnswer, Transcript};
use crate::agent::usage::Usage;
use crate::base::clock::{SharedClock, Timestamp};
use crate::base::id::{AttemptId, IssueId, JobId, LeaseToken, ReservationId};
use crate::model::attempt::Attempt;
use crate::model::money::NanoUsd;
use crate::model::stage::StageContext;
use crate::store::types::{self, Held, NewReservation, Reserved, SpendLimits};
use crate::store::{Store, StoreError};

/// What the agent writes down, durable before it goes on.
#[derive(Debug)]
pub(super) struct StoreTranscript {
    pub(super) store: Arc<dyn Store>,
    pub(super) attempt: AttemptId,
    pub(super) lease: Lease,
    pub(super) clock: SharedClock,
}

/// The job that writes, and the lease it writes under.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lease {
    job: JobId,
    token: Option<LeaseToken>,
}

impl Lease {
    pub(super) fn of(context: &StageContext) -> Self {
        Self { job: context.job.id, token: context.progress.lease() }
    }

    fn held(self, now: Timestamp) -> Option<Held> {
        self.token.map(|token| Held { job: self.job, token, now })
    }

    /// Writes an attempt.
    pub(super) async fn save(
        self,
        store: &dyn Store,
        attempt: &Attempt,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        match self.held(now) {
            Some(held) => store.save_attempt_held(attempt, held).await,
            None => store.save_attempt(attempt).await,
        }
    }
}

#[async_trait::async_trait]
impl Transcript for StoreTranscript {
    async fn load(&self) -> Result<Vec<String>, BoxError> {
        Ok(self.store.transcript(self.attempt).await?)
    }

    async fn append(&self, seq: i64, entry: &str) -> Result<(), BoxError> {
        let now = self.clock.now();
        match self.lease.held(now) {
            Some(held) => self.store.append_transcript_held(self.attempt, seq, entry, held).await?,
            None => self.store.append_transcript(self.attempt, seq, entry, now).await?,
        }
        Ok(())
    }
}

/// The attempt's money.
#[derive(Debug)]
pub(super) struct StoreLedger {
    pub(super) store: Arc<dyn Store>,
    pub(super) attempt: AttemptId,
    pub(super) issue: IssueId,
    pub(super) service: String,
    pub(super) limits: SpendLimits,
    pub(super) lease: Lease,
    pub(super) clock: SharedClock,
}

#[async_trait::async_trait]
impl Ledger for StoreLedger {
    async fn reserve(
        &self,
        id: ReservationId,
        model: &str,
        amount: NanoUsd,
    ) -> Result<ReserveAnswer, BoxError> {
        let now = self.clock.now();
        let reservation = NewReservation {
            id,
            attempt: self.attempt,
            issue: self.issue,
            service: self.service.clone(),
            model: model.to_owned(),
            amount,
            at: now,
        };
        let reserved = match self.lease.held(now) {
            Some(held) => self.store.reserve_held(reservation, self.limits, held).await?,
            None => self.store.reserve(reservation, self.limits).await?,
        };
        Ok(match reserved {
            Reserved::Granted => ReserveAnswer::Granted,
            Reserved::Refused { limit, limit_amount, spent } => {
                ReserveAnswer::Refused { limit: limit.to_owned(), limit_amount, spent }
            }
        })
    }

    async fn settle(&self, id: ReservationId, usage: Usage, cost: NanoUsd) -> Result<(), BoxError> {
        let usage = types::Usage {
            input_tokens: usage.input_tokens,
            cache_write_tokens: usage.cache_write_tokens,
            cache_read_tokens: usage.cache_read_tokens,
            output_tokens: usage.output_tokens,
        };
        Ok(self.store.settle(id, usage, cost, self.clock.now()).await?)
    }

    async fn settle_cut_off(&self) -> Result<(), BoxError> {
        self.store.settle_cut_off(self.attempt, self.clock.now()).await?;
        Ok(())
    }
}
