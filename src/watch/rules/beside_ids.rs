//! Whether rules may hit a line whatever its ids and digits are.

use std::collections::BTreeSet;

use memchr::memmem::Finder;

use crate::base::search::{Literals, RequiredLiterals, digits};

/// Shortest text that the vectors search for.
const MIN_SEARCHED: usize = 3;

/// What of the rules' literals cannot lie in an id, digits alike: a line without any of it is hit by no rule, and so is no line that
/// differs from it in ids and digits only.
#[derive(Debug)]
pub(super) struct BesideIds {
    long: Literals,
    short: Vec<Finder<'static>>,
}

impl BesideIds {
    /// `None` where a rule has no literals, or one that may lie in an id.
    pub(super) fn new<'l>(rules: impl Iterator<Item = &'l RequiredLiterals>) -> Option<Self> {
        let mut texts = BTreeSet::new();
        for literals in rules {
            if literals.is_empty() {
                return None;
            }
            texts.extend(literals.iter().map(|it| digits::all_alike(digits::beside_ids(it))));
        }
        let (long, short): (Vec<_>, Vec<_>) = texts.into_iter().partition(|it| it.len() >= MIN_SEARCHED);
        let short: Vec<_> = short.iter().map(|it| Finder::new(it).into_owned()).collect();
        // These are searched for as they stand.
        let is_odd =
            |it: &Finder<'_>| it.needle().is_empty() || it.needle().iter().any(u8::is_ascii_alphabetic);
        (!short.iter().any(is_odd)).then(|| Self { long: Literals::new(&long, b""), short })
    }

    pub(super) fn may_be_in(&self, all_alike: &[u8]) -> bool {
        self.long.find(all_alike, 0).is_some() || self.short.iter().any(|it| it.find(all_alike).is_some())
    }
}
