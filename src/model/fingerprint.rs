//! The hash of a normalised error, and the levels at which two errors can be the same.

use std::fmt;
use std::str::FromStr;

/// A blake3 hash of a canonical form, version 1. Shown as `h1:` and 12 hex digits, written as `h1:` and 64.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; 32]);

/// Version of the canonical form; part of every written fingerprint.
pub const VERSION: &str = "h1";

impl Fingerprint {
    /// The fingerprint with these bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes of the hash.
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// `h1:` and all 64 hex digits, as stored and as printed for machines.
    pub fn full(&self) -> String {
        format!("{VERSION}:{}", hex::encode(self.0))
    }

    /// The first 12 hex digits without the version, as used in branch names.
    pub fn short(&self) -> String {
        hex::encode(&self.0[..6])
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{VERSION}:{}", self.short())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

/// Why a text is not a fingerprint.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a fingerprint: expected `h1:` and 64 hex digits")]
pub struct InvalidFingerprint(String);

impl FromStr for Fingerprint {
    type Err = InvalidFingerprint;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidFingerprint(text.chars().take(80).collect());
        let digits = text.strip_prefix("h1:").ok_or_else(invalid)?;
        let mut bytes = [0; 32];
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| invalid())?;
        Ok(Self(bytes))
    }
}

/// The four levels of sameness. Issues are keyed by (service, identity); the others are for looking up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Levels {
    /// The same text place for place, line numbers included: tells several sites inside one issue apart.
    pub exact: Fingerprint,
    /// What an issue is keyed by: exception types and in-app frames, with the template where these are weak.
    pub identity: Fingerprint,
    /// Type and top in-app frame; `None` where there are no frames.
    pub place: Option<Fingerprint>,
    /// The message with its variable parts masked, as text.
    pub template: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        let fingerprint = Fingerprint::from_bytes([0xab; 32]);
        assert_eq!(fingerprint.full().parse::<Fingerprint>().unwrap(), fingerprint);
        assert_eq!(fingerprint.to_string(), "h1:abababababab");
        for wrong in ["", "h1:", "h2:ab", "h1:zz", &fingerprint.full()[..20]] {
            assert!(wrong.parse::<Fingerprint>().is_err(), "{wrong}");
        }
    }
}
