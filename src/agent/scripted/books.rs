//! The scripted server's own books: what was asked, answered and used, in each conversation.

use std::collections::BTreeMap;

use crate::agent::price::default_prices;
use crate::agent::usage::Usage;
use crate::model::money::NanoUsd;

/// Books of one conversation, or of all together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Books {
    /// Requests that reached the server.
    pub n_requests: u64,
    /// Requests refused because they were wrong; a correct client has none.
    pub n_refused: u64,
    /// Requests answered with an error that the script asked for.
    pub n_faults: u64,
    /// Answers that were sent whole.
    pub n_answered: u64,
    /// Answers that broke off; their usage was never told.
    pub n_broken_off: u64,
    /// Of the answers that were sent whole.
    pub usage: Usage,
    /// What they cost, by the default price table.
    pub cost: NanoUsd,
}

/// All books, by conversation (`metadata.user_id`, or a hash of the first turn).
#[derive(Debug, Clone, Default)]
pub(super) struct Ledgers {
    pub(super) by_conversation: BTreeMap<String, Books>,
    /// What was refused, in order: status, kind and message.
    pub(super) refusals: Vec<String>,
    /// What each answer cost that was sent whole, in order.
    pub(super) answers: Vec<NanoUsd>,
}

impl Ledgers {
    pub(super) fn of(&mut self, conversation: &str) -> &mut Books {
        self.by_conversation.entry(conversation.to_owned()).or_default()
    }

    pub(super) fn total(&self) -> Books {
        self.by_conversation.values().fold(Books::default(), |mut total, books| {
            total.n_requests += books.n_requests;
            total.n_refused += books.n_refused;
            total.n_faults += books.n_faults;
            total.n_answered += books.n_answered;
            total.n_broken_off += books.n_broken_off;
            total.usage += books.usage;
            total.cost += books.cost;
            total
        })
    }
}

/// What an answer with this usage costs.
pub(super) fn cost(model: &str, usage: &Usage) -> NanoUsd {
    let prices = default_prices();
    prices.iter().find(|price| price.model == model).map_or(NanoUsd::ZERO, |price| price.cost(usage))
}
