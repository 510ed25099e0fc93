//! libFuzzer in front of one target, chosen by `HOMEOSTAT_FUZZ`. Built by `scripts/fuzz` only.

#![no_main]

mod targets;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

static TARGET: LazyLock<targets::Target> = LazyLock::new(|| {
    let wanted = homeostat::base::env::var("HOMEOSTAT_FUZZ").unwrap_or_default();
    let found = targets::TARGETS.iter().find(|(name, _)| *name == wanted);
    let names: Vec<&str> = targets::TARGETS.iter().map(|(name, _)| *name).collect();
    found.unwrap_or_else(|| panic!("HOMEOSTAT_FUZZ must be one of {names:?}")).1
});

/// What builds the rules, which instrumented takes longer than any input may.
const FIRST: &[u8] = b"0ERROR first\n";

fuzz_target!(init: TARGET(FIRST), |data: &[u8]| TARGET(data));
