//! The times that loggers and shippers write, told by their shape alone: no value is checked, nothing is converted.

use super::run;

/// Length of the time at the start. `is_bracketed` allows what would be no time outside brackets.
pub(super) fn timestamp(text: &[u8], is_bracketed: bool) -> Option<usize> {
    match text.first()? {
        b'0'..=b'9' => numeric_time(text, is_bracketed),
        b'A'..=b'Z' => named_time(text),
        _ => None,
    }
}

fn numeric_time(text: &[u8], is_bracketed: bool) -> Option<usize> {
    let digits = run(text, |it| it.is_ascii_digit());
    // `2024-01-02`, `2024/01/02`, `17/06/09`, `02.01.2024`, `09/Jun/2005:…`
    if let Some(&separator @ (b'-' | b'/' | b'.')) = text.get(digits) {
        let second = &text[digits + 1..];
        let middle = run(second, |it| it.is_ascii_alphanumeric());
        let third = second.get(middle).filter(|&&it| it == separator).map(|_| &second[middle + 1..]);
        if let Some(third) = third {
            let last = run(third, |it| it.is_ascii_digit());
            let is_date = (digits == 4 && middle == 2 && last == 2)
                || (digits == 2 && (middle == 2 || middle == 3) && (last == 4 || last == 2));
            if is_date {
                let date = digits + 1 + middle + 1 + last;
                let separator = text.get(date);
                if !matches!(separator, Some(b'T' | b' ' | b':' | b'_')) {
                    return Some(date);
                }
                return Some(clock(&text[date + 1..]).map_or(date, |it| zone(text, date + 1 + it)));
            }
        }
    }
    if let Some(length) = clock(text) {
        return Some(zone(text, length));
    }
    // `081109 203615`
    if digits == 6 && text.get(6) == Some(&b' ') && run(&text[7..], |it| it.is_ascii_digit()) == 6 {
        return Some(13);
    }
    // `1700000000.123`, and the kernel's `[   12.345678]`.
    let is_epoch = matches!(digits, 10 | 13);
    if is_epoch || is_bracketed {
        let fraction = match text.get(digits) {
            Some(b'.') => 1 + run(&text[digits + 1..], |it| it.is_ascii_digit()),
            _ => 0,
        };
        if is_epoch || fraction > 3 {
            return Some(digits + fraction);
        }
    }
    // `2024 UTC`: what is left of a date that was cut for reading.
    (digits == 4 && text[4..].starts_with(b" UTC")).then_some(8)
}

/// `Jan  2 15:04:05`, `Jul 09, 2015 3:23:29 PM`, `Thu Jun 09 06:07:04 2005`.
fn named_time(text: &[u8]) -> Option<usize> {
    const MONTHS: &[u8] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
    const DAYS: &[u8] = b"MonTueWedThuFriSatSun";
    let is_of = |table: &[u8], at: usize| {
        text.get(at..at + 3).is_some_and(|it| table.chunks(3).any(|name| name == it))
    };
    let mut at = 0;
    if is_of(DAYS, 0) {
        at = 3 + usize::from(text.get(3) == Some(&b','));
        at += run(&text[at..], |it| it == b' ');
    }
    if !is_of(MONTHS, at) {
        return None;
    }
    at += 3;
    at += run(&text[at..], |it| it == b' ');
    let day = run(&text[at..], |it| it.is_ascii_digit());
    if day == 0 || day > 2 {
        return None;
    }
    at += day + usize::from(text.get(at + day) == Some(&b','));
    at += run(&text[at..], |it| it == b' ');
    let year = run(&text[at..], |it| it.is_ascii_digit());
    if year == 4 && text.get(at + 4) == Some(&b' ') {
        at += 5;
    }
    let end = at + clock(&text[at..])?;
    let end = zone(text, end);
    // A year after the time.
    if text.get(end) == Some(&b' ') && run(&text[end + 1..], |it| it.is_ascii_digit()) == 4 {
        return Some(end + 5);
    }
    Some(end)
}

/// `15:04:05.000`, `3:23:29 PM`, `15:04`.
fn clock(text: &[u8]) -> Option<usize> {
    let hours = run(text, |it| it.is_ascii_digit());
    if !(1..=2).contains(&hours) || text.get(hours) != Some(&b':') {
        return None;
    }
    let minutes = &text[hours + 1..];
    if run(minutes, |it| it.is_ascii_digit()) != 2 || minutes.get(2) != Some(&b':') {
        return None;
    }
    if run(&minutes[3..], |it| it.is_ascii_digit()) != 2 {
        return None;
    }
    let mut end = hours + 1 + 5;
    if matches!(text.get(end), Some(b'.' | b',' | b':')) {
        let fraction = run(&text[end + 1..], |it| it.is_ascii_digit());
        if fraction > 0 {
            end += 1 + fraction;
        }
    }
    if matches!(text.get(end..end + 3), Some(b" AM" | b" PM")) {
        end += 3;
    }
    Some(end)
}

/// `Z`, `+01:00`, ` +0000`, ` UTC` after `end`.
fn zone(text: &[u8], end: usize) -> usize {
    let at = end + usize::from(text.get(end) == Some(&b' '));
    match text.get(at) {
        Some(b'Z') if at == end => end + 1,
        Some(b'+' | b'-') => {
            let digits = run(&text[at + 1..], |it| it.is_ascii_digit() || it == b':');
            if (2..=5).contains(&digits) { at + 1 + digits } else { end }
        }
        Some(b'U' | b'G') if matches!(text.get(at..at + 3), Some(b"UTC" | b"GMT")) => at + 3,
        _ => end,
    }
}
