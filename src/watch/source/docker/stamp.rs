//! Times as the engines of containers write them: `2006-01-02T15:04:05.999999999Z`, with up to nine digits behind the point.

use crate::base::clock::Timestamp;

/// Seconds of a day.
const DAY: i64 = 86_400;

/// A time as nanoseconds since 1970; `None` for anything but a time.
pub(crate) fn nanos(time: &[u8]) -> Option<i64> {
    as_written(time).or_else(|| {
        let timestamp: Timestamp = std::str::from_utf8(time).ok()?.parse().ok()?;
        i64::try_from(timestamp.as_nanosecond()).ok()
    })
}

/// The same as a timestamp.
pub(crate) fn timestamp(time: &[u8]) -> Option<Timestamp> {
    Timestamp::from_nanosecond(nanos(time)?.into()).ok()
}

/// The engines' own form, in UTC.
fn as_written(time: &[u8]) -> Option<i64> {
    let (date_time, rest) = time.split_at_checked(19)?;
    let is_shape = date_time.iter().zip(b"0000-00-00T00:00:00").all(|(byte, form)| match form {
        b'0' => byte.is_ascii_digit(),
        _ => byte == form,
    });
    if !is_shape {
        return None;
    }
    let number =
        |from: usize, to: usize| date_time[from..to].iter().fold(0, |n, it| n * 10 + i64::from(it - b'0'));
    let (year, month, day) = (number(0, 4), number(5, 7), number(8, 10));
    let (hour, minute, second) = (number(11, 13), number(14, 16), number(17, 19));
    let is_time =
        (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second < 60;
    if !is_time || !(1970..2200).contains(&year) || day > 28 && day > days_of(year, month) {
        return None;
    }
    let seconds = days_since_1970(year, month, day) * DAY + hour * 3600 + minute * 60 + second;
    Some(seconds * 1_000_000_000 + fraction(rest.strip_suffix(b"Z")?)?)
}

/// Nanoseconds of `.123`.
fn fraction(text: &[u8]) -> Option<i64> {
    let digits = match text {
        [] => return Some(0),
        [b'.', digits @ ..] if (1..=9).contains(&digits.len()) => digits,
        _ => return None,
    };
    let mut nanos = 0;
    for digit_idx in 0..9 {
        let digit = digits.get(digit_idx).copied().unwrap_or(b'0');
        if !digit.is_ascii_digit() {
            return None;
        }
        nanos = nanos * 10 + i64::from(digit - b'0');
    }
    Some(nanos)
}

const fn days_of(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Howard Hinnant's `days_from_civil`: <https://howardhinnant.github.io/date_algorithms.html>.
const fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year / 400;
    let year_of_era = year - era * 400;
    let day_of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_a_library_reads() {
        let mut day = 0;
        while day < 84_000 {
            for nanos in [0, 1, 120_000_000, 999_999_999, 86_399_000_000_000] {
                let nanos = day * DAY * 1_000_000_000 + nanos;
                let text = Timestamp::from_nanosecond(nanos.into()).unwrap().to_string();
                assert_eq!(as_written(text.as_bytes()), Some(nanos), "{text}");
            }
            day += 13;
        }
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            "2026-01-02T10:00:00",
            "2026-13-02T10:00:00Z",
            "2026-02-29T10:00:00Z",
            "2026-01-02 10:00:00Z",
            "2026-01-02T10:00:00.Z",
            "2026-01-02T10:00:00.1234567890Z",
            "2026-01-02T10:00:00.12x4Z",
            "2026-01-02T24:00:00Z",
        ] {
            assert_eq!(as_written(text.as_bytes()), None, "{text}");
        }
        assert_eq!(nanos(b"1970-01-01T02:00:01+02:00"), Some(1_000_000_000));
        assert_eq!(timestamp(b"1970-01-01T00:00:01Z").unwrap().as_second(), 1);
    }
}
