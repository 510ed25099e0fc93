//! A regular expression that is built when a line first needs it.
//!
//! Most rules never meet a line that may be theirs, and building an expression costs a hundred times what parsing it
//! does: hundreds of rules would make the start slow. Lists that several rules share are built once.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use regex_automata::Input;
use regex_automata::meta::{BuildError, Regex};
use regex_syntax::hir::Hir;

/// Several patterns of which one must be found.
#[derive(Debug)]
pub(super) struct Lazy {
    patterns: Vec<Hir>,
    built: OnceLock<Regex>,
}

impl Lazy {
    pub(super) fn new(patterns: Vec<Hir>) -> Self {
        Self { patterns, built: OnceLock::new() }
    }

    pub(super) fn patterns(&self) -> &[Hir] {
        &self.patterns
    }

    /// Builds it now, for patterns of which nobody knows whether they can be built.
    ///
    /// # Errors
    /// Where they are too large.
    pub(super) fn build(&self) -> Result<&Regex, Box<BuildError>> {
        if let Some(built) = self.built.get() {
            return Ok(built);
        }
        let built = build(&self.patterns)?;
        Ok(self.built.get_or_init(|| built))
    }

    pub(super) fn is_match(&self, line: &[u8]) -> bool {
        self.is_match_before(line, line.len())
    }

    /// Whether one is found that ends at `end` or before.
    pub(super) fn is_match_before(&self, line: &[u8], end: usize) -> bool {
        self.built
            .get_or_init(|| {
                build(&self.patterns)
                    .expect("patterns of users are built when they are read, ours are tested")
            })
            .is_match(Input::new(line).range(..end))
    }
}

fn build(patterns: &[Hir]) -> Result<Regex, Box<BuildError>> {
    Regex::builder()
        .configure(Regex::config().utf8_empty(false).nfa_size_limit(Some(1 << 20)))
        .build_many_from_hir(patterns)
        .map_err(Box::new)
}

/// The lists seen so far, by their texts.
#[derive(Debug, Default)]
pub(super) struct Shared(HashMap<Vec<String>, Arc<Lazy>>);

impl Shared {
    /// The expression of this list: the one that another rule has, else a new one of what `parse` makes of the texts.
    pub(super) fn get(&mut self, texts: &[String], parse: impl FnOnce(&[String]) -> Vec<Hir>) -> Arc<Lazy> {
        if let Some(known) = self.0.get(texts) {
            return Arc::clone(known);
        }
        let made = Arc::new(Lazy::new(parse(texts)));
        self.0.insert(texts.to_vec(), Arc::clone(&made));
        made
    }
}
