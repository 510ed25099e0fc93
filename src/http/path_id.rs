//! An id in an address.

use serde::{Deserialize, Deserializer};
use uuid::Uuid;

/// A UUID as a path segment; anything else is answered 400.
#[derive(Debug, Clone, Copy)]
pub(super) struct PathId(pub(super) Uuid);

impl<'de> Deserialize<'de> for PathId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse()
            .map(Self)
            .map_err(|_| serde::de::Error::custom("an id such as 0190c2d4-7b1e-7cc0-a1b2-5f0e6c1d2e3f"))
    }
}
