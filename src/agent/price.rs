//! What a model's tokens cost: a dated table, exact to the nano-dollar. A model that is not in it is never called.

use jiff::civil::Date;

use super::usage::Usage;
use crate::model::money::NanoUsd;

/// Prices of one model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Price {
    pub model: String,
    /// The day the prices were looked up.
    pub as_of: Date,
    pub rates: Rates,
    /// Other rates for a call whose prompt is longer than so many tokens.
    pub long_prompt: Option<(u64, Rates)>,
}

/// Price of a million tokens of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    pub input: NanoUsd,
    pub cache_write: NanoUsd,
    pub cache_read: NanoUsd,
    pub output: NanoUsd,
}

const MILLION: i128 = 1_000_000;

impl Rates {
    /// Rates in dollars per million tokens; a cache write costs a quarter more than plain input, a read `cache_read_share` of it.
    fn per_million(input: f64, output: f64, cache_read_share: f64) -> Self {
        Self {
            input: NanoUsd::from_usd(input),
            cache_write: NanoUsd::from_usd(input * 1.25),
            cache_read: NanoUsd::from_usd(input * cache_read_share),
            output: NanoUsd::from_usd(output),
        }
    }

    /// Rounded up once, over the whole sum.
    fn cost(&self, usage: &Usage) -> NanoUsd {
        let part = |tokens: u64, rate: NanoUsd| i128::from(tokens) * i128::from(rate.0);
        let total = part(usage.input_tokens, self.input)
            + part(usage.cache_write_tokens, self.cache_write)
            + part(usage.cache_read_tokens, self.cache_read)
            + part(usage.output_tokens, self.output);
        NanoUsd(i64::try_from((total + MILLION - 1) / MILLION).unwrap_or(i64::MAX))
    }
}

impl Price {
    /// What a call with this usage costs.
    pub fn cost(&self, usage: &Usage) -> NanoUsd {
        match &self.long_prompt {
            Some((above, rates)) if usage.prompt_tokens() > *above => rates.cost(usage),
            Some(_) | None => self.rates.cost(usage),
        }
    }

    /// The most that a call can cost: all of the prompt written to the cache, all output used.
    pub fn worst_case(&self, prompt_tokens: u64, output_tokens: u64) -> NanoUsd {
        let plain = Usage { input_tokens: prompt_tokens, output_tokens, ..Usage::default() };
        let written = Usage { cache_write_tokens: prompt_tokens, output_tokens, ..Usage::default() };
        self.cost(&plain).max(self.cost(&written))
    }
}

/// The prices known when this version was made; the config replaces or extends them.
pub fn default_prices() -> Vec<Price> {
    let as_of = jiff::civil::date(2026, 10, 1);
    let plain = |model: &str, input: f64, output: f64, share: f64| Price {
        model: model.to_owned(),
        as_of,
        rates: Rates::per_million(input, output, share),
        long_prompt: None,
    };
    vec![
        plain("claude-fable-5-1", 10.0, 50.0, 0.025),
        plain("claude-opus-5-5", 4.0, 20.0, 0.05),
        plain("claude-opus-5", 5.0, 25.0, 0.1),
        plain("claude-sonnet-5-5", 2.0, 10.0, 0.1),
        Price {
            long_prompt: Some((100_000, Rates::per_million(0.5, 2.5, 0.1))),
            ..plain("claude-haiku-5-5", 0.1, 0.5, 0.1)
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price(model: &str) -> Price {
        default_prices().into_iter().find(|price| price.model == model).unwrap()
    }

    #[test]
    fn each_kind_of_token_has_its_price() {
        let usage = Usage {
            input_tokens: 1_000,
            cache_write_tokens: 10_000,
            cache_read_tokens: 100_000,
            output_tokens: 2_000,
        };
        // 0.002 + 0.025 + 0.02 + 0.02
        assert_eq!(price("claude-sonnet-5-5").cost(&usage), NanoUsd(67_000_000));
    }

    #[test]
    fn a_long_prompt_changes_the_rate() {
        let haiku = price("claude-haiku-5-5");
        let cost = |input_tokens| haiku.cost(&Usage { input_tokens, ..Usage::default() });
        assert_eq!(cost(100_000), NanoUsd(10_000_000));
        assert_eq!(cost(100_001), NanoUsd(50_000_500));
    }

    #[test]
    fn a_fraction_of_a_nano_dollar_is_rounded_up() {
        let rates =
            Rates { input: NanoUsd(1), cache_write: NanoUsd(1), cache_read: NanoUsd(1), output: NanoUsd(1) };
        assert_eq!(rates.cost(&Usage { input_tokens: 1, output_tokens: 1, ..Usage::default() }), NanoUsd(1));
        assert_eq!(rates.cost(&Usage::default()), NanoUsd::ZERO);
    }

    #[test]
    fn nothing_costs_more_than_the_worst_case() {
        for price in default_prices() {
            let worst = price.worst_case(90_000, 4_000);
            for cache_read_tokens in [0, 30_000, 90_000] {
                for cache_write_tokens in [0, (90_000 - cache_read_tokens) / 2, 90_000 - cache_read_tokens] {
                    let usage = Usage {
                        input_tokens: 90_000 - cache_read_tokens - cache_write_tokens,
                        cache_write_tokens,
                        cache_read_tokens,
                        output_tokens: 4_000,
                    };
                    assert!(price.cost(&usage) <= worst, "{}: {usage:?}", price.model);
                }
            }
        }
    }
}
