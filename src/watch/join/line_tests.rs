//! What is seen in a line does not hang on its digits.

use std::fs;
use std::path::Path;

use super::*;
use crate::base::search::digits;

/// The line with other digits, and with other signs in its ids.
fn changed(line: &str, random: &mut fastrand::Rng) -> String {
    let has_ids = random.bool();
    let mut change = |it: char| match it {
        '0'..='9' | 'a'..='f' if has_ids && random.u8(..4) == 0 => random.digit(16),
        '0'..='9' => random.digit(10),
        _ => it,
    };
    line.chars().map(&mut change).collect()
}

#[test]
fn alike_lines_are_seen_alike() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/records");
    let files = fs::read_dir(folder).unwrap().map(|it| fs::read_to_string(it.unwrap().path()).unwrap());
    let odd = [
        "http2: panic serving 10.0.0.1:80: x",
        "Base64: x",
        "/a.cpp:17:51: runtime error: x",
        "7x 0x12",
        "#3 0x7f in f",
        "#3 0x55a4 in f",
        "a1b2c3d4 error: x",
        "a3f9: x",
        "Error: 12ab:3",
        "2026-01-02 03:04:05 [7f3a9b2c] ERROR x",
        "2026-01-02 03:04:05 7f3a9b2c ERROR x",
        "ERROR [trace=9d17fbb459b22450] x",
        "req-12ab 9d17: x",
        "12ab-7c0d-4e10 panic: x",
        "main.f(0xc0000e7, {0x1})",
        "goroutine 12ab [running]:",
        "  12: 0x55d0a1b2 - std::x",
        "==12ab==ERROR: AddressSanitizer: x",
        "E0102 03:04:05.000000 12ab x.cc:1] y",
    ];
    let lines = files.flat_map(|it| it.lines().map(str::to_owned).collect::<Vec<_>>());
    let mut random = fastrand::Rng::with_seed(7);
    let mut n_changed = 0;
    for line in lines.chain(odd.map(str::to_owned)) {
        let mut key = Vec::new();
        digits::alike(line.as_bytes(), &mut key);
        for _ in 0..60 {
            let other = changed(&line, &mut random);
            let mut key_of_other = Vec::new();
            digits::alike(other.as_bytes(), &mut key_of_other);
            if key == key_of_other {
                n_changed += u32::from(other != line);
                assert_eq!(Seen::of(&other), Seen::of(&line), "{line} and {other}");
            }
        }
    }
    assert!(n_changed > 500, "{n_changed}");
}
