//! Which failures of the model API are worth another try, and when.
//!
//! The server knows best: `x-should-retry`, `retry-after-ms` and `retry-after` come before the own schedule.

use std::time::Duration;

use reqwest::header::HeaderMap;

use crate::base::backoff::Backoff;
use crate::base::clock::Timestamp;

/// The own schedule.
const BACKOFF: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));

/// Longest time that a call waits because the server said so; a longer one is the queue's business.
pub(super) const MAX_WAIT: Duration = Duration::from_secs(120);

/// What to do about a status that is not 200.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It will be no better next time.
    Final,
    /// Again, after the own schedule's delay.
    Retry,
    /// Again, after what the server asks for.
    RetryAfter(Duration),
}

/// What to do about an answer with this status.
pub(super) fn verdict(status: u16, headers: &HeaderMap, now: Timestamp) -> Verdict {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let is_worth_it = match text("x-should-retry") {
        Some("true") => true,
        Some("false") => false,
        Some(_) | None => matches!(status, 408 | 409 | 429) || status >= 500,
    };
    if !is_worth_it {
        return Verdict::Final;
    }
    let milliseconds = text("retry-after-ms").and_then(|value| duration(value, 1e-3));
    let asked = milliseconds.or_else(|| {
        let value = text("retry-after")?;
        duration(value, 1.0).or_else(|| until(value, now))
    });
    asked.map_or(Verdict::Retry, Verdict::RetryAfter)
}

/// The wait before the try that follows failure number `n_failures`: never shorter than asked, and spread out.
pub(super) fn wait(n_failures: u32, asked: Option<Duration>) -> Duration {
    match asked {
        Some(asked) => asked + asked.mul_f64(fastrand::f64() / 10.0),
        None => BACKOFF.delay(n_failures),
    }
}

fn duration(value: &str, unit_seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(value.parse::<f64>().ok()? * unit_seconds).ok()
}

/// An HTTP date; one in the past is now.
fn until(value: &str, now: Timestamp) -> Option<Duration> {
    let at = jiff::fmt::rfc2822::parse(value).ok()?.timestamp();
    Some(Duration::try_from(at.duration_since(now)).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: u16, headers: &[(&'static str, &'static str)], expected: Verdict) {
        let headers = headers.iter().map(|(name, value)| {
            (name.parse::<reqwest::header::HeaderName>().unwrap(), value.parse().unwrap())
        });
        let now = "2026-11-20T12:00:00Z".parse().unwrap();
        assert_eq!(verdict(status, &headers.collect(), now), expected, "{status}");
    }

    #[test]
    fn the_status_decides_unless_the_server_says_so() {
        for status in [408, 409, 429, 500, 502, 503, 529] {
            check(status, &[], Verdict::Retry);
            check(status, &[("x-should-retry", "false"), ("retry-after", "1")], Verdict::Final);
        }
        for status in [400, 401, 403, 404, 413, 422] {
            check(status, &[("retry-after", "1")], Verdict::Final);
            check(status, &[("x-should-retry", "true")], Verdict::Retry);
        }
    }

    #[test]
    fn the_servers_wait_is_read_in_every_form() {
        let after = |milliseconds| Verdict::RetryAfter(Duration::from_millis(milliseconds));
        check(429, &[("retry-after", "7")], after(7_000));
        check(429, &[("retry-after", "0.5")], after(500));
        check(429, &[("retry-after", "7"), ("retry-after-ms", "1500")], after(1_500));
        check(529, &[("retry-after", "Fri, 20 Nov 2026 12:00:09 GMT")], after(9_000));
        check(529, &[("retry-after", "Fri, 20 Nov 2026 11:00:00 GMT")], after(0));
        check(429, &[("retry-after", "soon")], Verdict::Retry);
        check(429, &[("retry-after", "-3")], Verdict::Retry);
    }

    #[test]
    fn waits_are_spread_but_never_shorter_than_asked() {
        let asked = Duration::from_secs(10);
        for _ in 0..100 {
            let given = wait(1, Some(asked));
            assert!((asked..=Duration::from_secs(11)).contains(&given), "{given:?}");
            assert!(wait(30, None) <= Duration::from_secs(60));
        }
    }
}
