//! Text that may leave the watching half.

use std::fmt;

/// Text that has passed the redactor. Only [`super::Redactor`] makes it from foreign text; [`Clean::trusted`] is for texts
/// that homeostat itself wrote or read back from its own store.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Clean(pub(super) String);

impl Clean {
    /// A text of homeostat's own, or one that was redacted before it was stored.
    pub fn trusted(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn into_string(self) -> String {
        self.0
    }
}

impl fmt::Display for Clean {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
