//! The preimage and its hash.

use crate::model::fingerprint::{Fingerprint, VERSION};

/// The parts joined so that no two lists of parts give the same text: each is led by its length in bytes.
pub(super) fn preimage(parts: &[&str]) -> String {
    let mut text = String::from(VERSION);
    for part in parts {
        text.push('\n');
        text.push_str(&part.len().to_string());
        text.push(':');
        text.push_str(part);
    }
    text
}

/// The blake3 hash of a preimage.
pub(super) fn hash(preimage: &str) -> Fingerprint {
    Fingerprint::from_bytes(*blake3::hash(preimage.as_bytes()).as_bytes())
}
