//! The attempt's transcript and money, kept in the store.

use std::sync::Arc;

use crate::agent::contract::{BoxError, Ledger, ReserveAnswer, Transcript};
use crate::agent::usage::Usage;
use crate::base::clock::SharedClock;
use crate::base::id::{AttemptId, IssueId, ReservationId};
use crate::model::money::NanoUsd;
use crate::store::Store;
use crate::store::types::{self, NewReservation, Reserved, SpendLimits};

/// What the agent writes down, durable before it goes on.
#[derive(Debug)]
pub(super) struct StoreTranscript {
    pub(super) store: Arc<dyn Store>,
    pub(super) attempt: AttemptId,
    pub(super) clock: SharedClock,
}

#[async_trait::async_trait]
impl Transcript for StoreTranscript {
    async fn load(&self) -> Result<Vec<String>, BoxError> {
        Ok(self.store.transcript(self.attempt).await?)
    }

    async fn append(&self, seq: i64, entry: &str) -> Result<(), BoxError> {
        Ok(self.store.append_transcript(self.attempt, seq, entry, self.clock.now()).await?)
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
        let reservation = NewReservation {
            id,
            attempt: self.attempt,
            issue: self.issue,
            service: self.service.clone(),
            model: model.to_owned(),
            amount,
            at: self.clock.now(),
        };
        Ok(match self.store.reserve(reservation, self.limits).await? {
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
