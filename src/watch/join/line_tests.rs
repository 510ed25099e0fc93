//! What is seen in a line does not hang on its digits.

use std::fs;
use std::path::Path;

use super::*;
use crate::base::search::digits;

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
    ];
    let lines = files.flat_map(|it| it.lines().map(str::to_owned).collect::<Vec<_>>());
    let mut random = fastrand::Rng::with_seed(7);
    let mut n_changed = 0;
    for line in lines.chain(odd.map(str::to_owned)) {
        let mut key = Vec::new();
        digits::alike(line.as_bytes(), &mut key);
        for _ in 0..4 {
            let digit = |it: char| if it.is_ascii_digit() { random.digit(10) } else { it };
            let other: String = line.chars().map(digit).collect();
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
