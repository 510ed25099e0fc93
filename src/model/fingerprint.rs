//! The hash of a normalised error, and the levels at which two errors can be the same.

use std::fmt;
use std::str::FromStr;

/// A blake3 hash of a canonical form, and the version of the algorithm that made the form. Shown as `h1:` and 12 hex digits, written as
/// `h1:` and 64.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint {
    hash: [u8; 32],
    version: u8,
}

/// Version of the canonical form; part of every written fingerprint.
pub const VERSION: &str = "h1";
/// Its number.
const CURRENT: u8 = 1;

impl Fingerprint {
    /// The fingerprint with these bytes, of the algorithm's present version.
    pub const fn from_bytes(hash: [u8; 32]) -> Self {
        Self::of_version(CURRENT, hash)
    }

    /// A fingerprint of another version: one that an older release wrote, or that a newer one will.
    pub const fn of_version(version: u8, hash: [u8; 32]) -> Self {
        Self { hash, version }
    }

    /// The bytes of the hash.
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.hash
    }

    /// As a store keeps it: the hash, and behind it the version where that is not 1, so that what was written before there were
    /// others still means the same.
    pub fn stored(&self) -> Vec<u8> {
        let mut bytes = self.hash.to_vec();
        if self.version != 1 {
            bytes.push(self.version);
        }
        bytes
    }

    /// The fingerprint that is [stored](Self::stored) like this.
    pub fn from_stored(bytes: &[u8]) -> Option<Self> {
        let (hash, version) = bytes.split_at_checked(32)?;
        let version = match version {
            [] => 1,
            [version] if *version != 1 => *version,
            _ => return None,
        };
        Some(Self { hash: hash.try_into().ok()?, version })
    }

    /// `h1:` and all 64 hex digits, as printed for machines.
    pub fn full(&self) -> String {
        format!("h{}:{}", self.version, hex::encode(self.hash))
    }

    /// The first 12 hex digits without the version, as used in branch names.
    pub fn short(&self) -> String {
        hex::encode(&self.hash[..6])
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "h{}:{}", self.version, self.short())
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
        let (version, digits) =
            text.strip_prefix('h').and_then(|it| it.split_once(':')).ok_or_else(invalid)?;
        let version = version.parse().map_err(|_| invalid())?;
        let mut hash = [0; 32];
        hex::decode_to_slice(digits, &mut hash).map_err(|_| invalid())?;
        Ok(Self { hash, version })
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
        for wrong in ["", "h1:", "h2:ab", "h1:zz", &fingerprint.full()[..20], &fingerprint.full()[1..]] {
            assert!(wrong.parse::<Fingerprint>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_version_is_part_of_it() {
        let (first, second) = (Fingerprint::from_bytes([0xab; 32]), Fingerprint::of_version(2, [0xab; 32]));
        assert_ne!(first, second);
        assert_eq!(second.to_string(), "h2:abababababab");
        assert_eq!(first.stored(), [0xab; 32], "as it was before there were versions");
        for fingerprint in [first, second] {
            assert_eq!(fingerprint.full().parse::<Fingerprint>().unwrap(), fingerprint);
            assert_eq!(Fingerprint::from_stored(&fingerprint.stored()), Some(fingerprint));
        }
        for wrong in [[0xab; 31].as_slice(), &[0xab; 34], &[1; 33]] {
            assert_eq!(Fingerprint::from_stored(wrong), None);
        }
    }
}
