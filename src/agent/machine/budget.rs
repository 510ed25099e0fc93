//! When an attempt has to end, and when the model is told that it soon will.

use std::time::Duration;

use crate::agent::contract::AgentTotals;
use crate::agent::settings::Limits;
use crate::model::money::NanoUsd;

/// Shares of a limit, in percent, at which the model is told.
const WARN_AT: [u64; 2] = [75, 90];

/// Most of the time that is kept for the end of a tool run.
const MAX_KEPT_TIME: Duration = Duration::from_secs(10);

/// What has been used of the limits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Used {
    pub(super) totals: AgentTotals,
    pub(super) active: Duration,
}

impl Used {
    /// Time that is left for tools and calls. A small share at the end is kept for what has to be done after them: a command is
    /// killed, its changes are kept.
    pub(super) fn time_left(&self, limits: &Limits) -> Duration {
        let kept = (limits.wall_time / 50).min(MAX_KEPT_TIME);
        limits.wall_time.saturating_sub(kept).saturating_sub(self.active)
    }
}

/// The name of the first limit that a call of this worst case could pass.
pub(super) fn exceeded(
    limits: &Limits,
    used: &Used,
    worst_tokens: u64,
    worst_cost: NanoUsd,
) -> Option<&'static str> {
    if used.totals.n_model_calls >= limits.model_calls {
        Some("model_calls")
    } else if used.totals.tokens() + worst_tokens > limits.total_tokens {
        Some("total_tokens")
    } else if used.totals.cost + worst_cost > limits.cost {
        Some("cost")
    } else if used.time_left(limits).is_zero() {
        Some("wall_time")
    } else {
        None
    }
}

/// What to tell the model, if it has had `n_warnings` and more is used up than at the last.
pub(super) fn warning(limits: &Limits, used: &Used, n_warnings: u32) -> Option<String> {
    let (name, percent) = tightest(limits, used);
    let n_due = WARN_AT.iter().filter(|share| percent >= **share).count();
    if n_due <= n_warnings as usize {
        return None;
    }
    let n_calls_left = limits.model_calls.saturating_sub(used.totals.n_model_calls);
    Some(format!(
        "[homeostat: {percent}% of this attempt's budget of {name} is used, {n_calls_left} model calls are left at most. \
         Bring the fix to its end now: run the tests, then call task_complete with what you have found.]"
    ))
}

/// The limit of which the most is used, in percent.
fn tightest(limits: &Limits, used: &Used) -> (&'static str, u64) {
    let percent = |used: u128, limit: u128| u64::try_from(used * 100 / limit.max(1)).unwrap_or(u64::MAX);
    let money = |amount: NanoUsd| u128::try_from(amount.0).unwrap_or(0);
    [
        ("calls", percent(used.totals.n_model_calls.into(), limits.model_calls.into())),
        ("tokens", percent(used.totals.tokens().into(), limits.total_tokens.into())),
        ("money", percent(money(used.totals.cost), money(limits.cost))),
        ("time", percent(used.active.as_millis(), limits.wall_time.as_millis())),
    ]
    .into_iter()
    .max_by_key(|(_, percent)| *percent)
    .expect("the list is not empty")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::usage::Usage;

    fn limits() -> Limits {
        Limits {
            model_calls: 100,
            total_tokens: 1_000_000,
            cost: NanoUsd::from_usd(1.0),
            wall_time: Duration::from_secs(1000),
            ..Limits::default()
        }
    }

    fn used(n_model_calls: u32, output_tokens: u64, usd: f64, seconds: u64) -> Used {
        let usage = Usage { output_tokens, ..Usage::default() };
        let totals =
            AgentTotals { n_model_calls, usage, cost: NanoUsd::from_usd(usd), ..AgentTotals::default() };
        Used { totals, active: Duration::from_secs(seconds) }
    }

    #[test]
    fn each_limit_ends_the_attempt_before_it_is_passed() {
        let check = |used: Used, expected| {
            assert_eq!(exceeded(&limits(), &used, 10_000, NanoUsd::from_usd(0.1)), expected);
        };
        check(used(99, 990_000, 0.9, 989), None);
        check(used(100, 0, 0.0, 0), Some("model_calls"));
        check(used(0, 990_001, 0.0, 0), Some("total_tokens"));
        check(used(0, 0, 0.900_000_001, 0), Some("cost"));
        check(used(0, 0, 0.0, 990), Some("wall_time"));
        // What a call that was cut off may have used is used.
        let mut cut_off = used(1, 900_000, 0.0, 0);
        cut_off.totals.unseen_tokens = 90_001;
        check(cut_off, Some("total_tokens"));
    }

    #[test]
    fn the_model_is_told_once_at_each_share() {
        let names = |used: Used, n_warnings| {
            warning(&limits(), &used, n_warnings)
                .map(|text| text.split(" is used").next().unwrap_or_default().to_owned())
        };
        assert_eq!(names(used(74, 0, 0.0, 0), 0), None);
        let expected = Some("[homeostat: 75% of this attempt's budget of calls".to_owned());
        assert_eq!(names(used(75, 0, 0.0, 0), 0), expected);
        assert_eq!(names(used(80, 0, 0.0, 0), 1), None);
        let expected = Some("[homeostat: 91% of this attempt's budget of time".to_owned());
        assert_eq!(names(used(80, 0, 0.0, 910), 1), expected);
        assert_eq!(names(used(99, 0, 0.99, 999), 2), None);
    }
}
