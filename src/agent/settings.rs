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
    /// Makes the first attempt of a fix, if it is set: a cheaper one.
    pub first_model: Option<String>,
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
    /// Time at work, over all processes. Waiting for a model API that is busy or away is not work.
    pub wall_time: Duration,
    /// Longest a `run_command` may ask for.
    pub command_time: Duration,
    /// Characters of one tool result.
    pub tool_result_chars: usize,
    /// Tokens of the model's context. When four fifths are full the model is asked for a hand-over and begins anew with it.
    pub context_tokens: u64,
    /// Conversations of one attempt: a new one follows a refusal, a hand-over or a full context.
    pub conversations: u32,
}

/// How long the model API may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    pub connect: Duration,
    /// Between two pieces of a stream; the API sends pings in between.
    pub idle: Duration,
    /// For one answer. Also the longest that one process waits for an API that is busy or away before it leaves the rest to the queue.
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
            first_model: None,
            fallback_model: None,
            effort: None,
            prices: default_prices(),
            limits: Limits::default(),
            timeouts: Timeouts::default(),
        }
    }

    /// The model that makes the attempt which follows `n_attempts` others of the same fix.
    pub fn model_of_attempt(&self, n_attempts: usize) -> &str {
        self.first_model.as_deref().filter(|_| n_attempts == 0).unwrap_or(&self.model)
    }

    /// The longest that one process can be at an attempt: at work, waiting, and keeping the changes after a tool run. Whatever has
    /// to outlive the attempt lives longer than this.
    pub fn longest_run(&self) -> Duration {
        self.limits.wall_time + self.timeouts.call + Duration::from_secs(10 * 60)
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
            context_tokens: 200_000,
            conversations: 4,
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
