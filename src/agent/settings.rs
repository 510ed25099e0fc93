//! What the config says about the agent, checked.

use std::time::Duration;

use super::price::{Price, default_prices};
use crate::base::secret::Secret;
use crate::model::money::NanoUsd;

/// Settings of the agent. `config` fills them; [`Settings::new`] gives the defaults.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the Messages API is, without `/v1`: `https://api.anthropic.com`, or a gateway.
    pub base_url: url::Url,
    pub api_key: Secret,
    pub model: String,
    /// Asked when the first model refuses; the conversation is then begun anew.
    pub fallback_model: Option<String>,
    /// How hard the model thinks: `low`, `medium`, `high`, `max`; `None` leaves it to the API.
    pub effort: Option<String>,
    pub prices: Vec<Price>,
    pub limits: Limits,
    pub timeouts: Timeouts,
}

/// Where an attempt ends, however far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub model_calls: u32,
    /// Prompt and output tokens of all calls together.
    pub total_tokens: u64,
    /// Output tokens of one call, thinking included.
    pub output_tokens_per_call: u64,
    /// Money for one attempt; the ledger knows the limits that span attempts.
    pub cost: NanoUsd,
    pub wall_time: Duration,
    /// Longest a `run_command` may ask for.
    pub command_time: Duration,
    /// Characters of one tool result.
    pub tool_result_chars: usize,
}

/// How long the model API may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    pub connect: Duration,
    /// Between two pieces of a stream; the API sends pings in between.
    pub idle: Duration,
    /// For one call with all its retries.
    pub call: Duration,
    /// Most retries of one call.
    pub retries: u32,
}

impl Settings {
    /// The defaults, for the model API at `base_url`.
    pub fn new(base_url: url::Url, api_key: Secret) -> Self {
        Self {
            base_url,
            api_key,
            model: "claude-sonnet-5-5".to_owned(),
            fallback_model: None,
            effort: None,
            prices: default_prices(),
            limits: Limits::default(),
            timeouts: Timeouts::default(),
        }
    }

    /// The price of `model`, if it is known.
    pub fn price(&self, model: &str) -> Option<&Price> {
        self.prices.iter().find(|price| price.model == model)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            model_calls: 100,
            total_tokens: 6_000_000,
            output_tokens_per_call: 16_000,
            cost: NanoUsd::from_usd(3.0),
            wall_time: Duration::from_secs(45 * 60),
            command_time: Duration::from_secs(10 * 60),
            tool_result_chars: 20_000,
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            idle: Duration::from_secs(90),
            call: Duration::from_secs(15 * 60),
            retries: 6,
        }
    }
}
