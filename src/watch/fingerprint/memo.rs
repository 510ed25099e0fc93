//! What was made of texts that were seen lately: an error that repeats is not read again.
//!
//! A fingerprint depends on nothing but the lines without their wrapping, so these are the key: times and levels of a logger do not
//! matter, the rest must be equal.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::Fingerprinted;

/// Texts kept. Beyond it all are forgotten: those that repeat are back at once.
const MAX_TEXTS: usize = 256;

/// Longer texts are not kept.
const MAX_BYTES: usize = 8 * 1024;

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Memo(Mutex<HashMap<String, Fingerprinted>>);

impl Memo {
    /// What is known of the lines, else what `make` makes of them.
    pub(super) fn get(&self, lines: &[&str], make: impl FnOnce() -> Fingerprinted) -> Fingerprinted {
        let n_bytes: usize = lines.iter().map(|line| line.len() + 1).sum();
        if n_bytes > MAX_BYTES {
            return make();
        }
        let key = lines.join("\n");
        // What a panic elsewhere left is whole: entries are inserted in one step.
        if let Some(known) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return known.clone();
        }
        let made = make();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_TEXTS {
            known.clear();
        }
        known.insert(key, made.clone());
        made
    }
}
