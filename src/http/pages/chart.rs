//! Occurrences over time as bars of an SVG, drawn here so that the page needs no script.

use crate::base::clock::Timestamp;

/// Number of bars.
const N_BARS: usize = 60;

/// One bar, in units of the drawing (600 × 100).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Bar {
    pub(super) x: usize,
    pub(super) y: u64,
    pub(super) height: u64,
    pub(super) label: String,
}

/// The bars and what the axis says.
#[derive(Debug)]
pub(super) struct Chart {
    pub(super) bars: Vec<Bar>,
    pub(super) from: String,
    pub(super) until: String,
    pub(super) highest: u64,
}

/// Sixty bars that cover the time from the first minute to `now`, each a whole number of minutes.
pub(super) fn draw(per_minute: &[(Timestamp, u64)], now: Timestamp) -> Option<Chart> {
    let (first, _) = per_minute.first()?;
    let last = now.as_second().div_euclid(60);
    let first = first.as_second().div_euclid(60).min(last);
    let minutes_per_bar = ((last - first + 1) + N_BARS as i64 - 1) / N_BARS as i64;
    let start = last + 1 - minutes_per_bar * N_BARS as i64;
    let mut sums = [0u64; N_BARS];
    for (minute, n) in per_minute {
        let offset = (minute.as_second().div_euclid(60) - start) / minutes_per_bar;
        if let Some(sum) = usize::try_from(offset).ok().and_then(|idx| sums.get_mut(idx)) {
            *sum += n;
        }
    }
    let highest = sums.iter().copied().max().unwrap_or_default().max(1);
    let time = |minute: i64| {
        let at = Timestamp::from_second(minute * 60).unwrap_or(now);
        at.strftime(if minutes_per_bar * N_BARS as i64 > 24 * 60 { "%b %d %H:%M" } else { "%H:%M" })
            .to_string()
    };
    let bars = sums.iter().enumerate().filter(|(_, n)| **n > 0).map(|(idx, n)| {
        let height = (n * 96 / highest).max(2);
        let label = format!("{}: {n}", time(start + idx as i64 * minutes_per_bar));
        Bar { x: idx * 10, y: 100 - height, height, label }
    });
    Some(Chart { bars: bars.collect(), from: time(start), until: time(last), highest })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn covers_everything_up_to_now() {
        let at = |minute: i64| Timestamp::from_second(minute * 60).unwrap();
        let chart = draw(&[(at(1000), 3), (at(1001), 6), (at(1119), 1)], at(1119)).unwrap();
        let bars: Vec<(usize, u64)> = chart.bars.iter().map(|it| (it.x, it.height)).collect();
        assert_eq!(bars, [(0, 96), (590, 10)]);
        assert_eq!(chart.highest, 9);
        assert!(draw(&[], at(5)).is_none());
    }
}
