//! How times and numbers are shown.

use crate::base::clock::Timestamp;

/// A time as "3 min ago", with the exact time for the tooltip.
#[derive(Debug)]
pub(super) struct When {
    pub(super) relative: String,
    pub(super) exact: String,
}

impl When {
    pub(super) fn new(at: Timestamp, now: Timestamp) -> Self {
        Self { relative: ago(now.as_second() - at.as_second()), exact: at.strftime("%F %T UTC").to_string() }
    }
}

fn ago(seconds: i64) -> String {
    match seconds {
        ..=4 => "now".to_owned(),
        5..60 => format!("{seconds} s ago"),
        60..3600 => format!("{} min ago", seconds / 60),
        3600..86_400 => format!("{} h ago", seconds / 3600),
        _ => format!("{} d ago", seconds / 86_400),
    }
}

/// `1234567` as `1 234 567`, with thin no-break spaces.
pub(super) fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (idx, digit) in digits.chars().enumerate() {
        if idx > 0 && (digits.len() - idx).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// `needs_person` as `needs person`.
pub(super) fn words(name: &str) -> String {
    name.replace('_', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_numbers() {
        for (seconds, expected) in
            [(-3, "now"), (59, "59 s ago"), (60, "1 min ago"), (7200, "2 h ago"), (172_800, "2 d ago")]
        {
            assert_eq!(ago(seconds), expected);
        }
        for (n, expected) in
            [(0, "0"), (999, "999"), (1000, "1\u{202f}000"), (1_234_567, "1\u{202f}234\u{202f}567")]
        {
            assert_eq!(grouped(n), expected);
        }
    }
}
