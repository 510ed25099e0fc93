//! Searches all patterns at once and puts placeholders in place of what they find.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::{Arc, LazyLock, OnceLock};

use regex_automata::util::{captures::Captures, syntax};
use regex_automata::{Input, Match, meta::Regex};
use regex_syntax::hir::{Class, Hir, HirKind};

use super::clean::Clean;
use super::patterns::{BUILTIN, Pattern};
use super::plausible::{Check, is_plausible};
use crate::base::search::{Literals, RequiredLiterals, Searched, digits};

/// A pattern of the operator's own, from the config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtraPattern {
    /// Shown in the placeholder: lower-case letters, digits and `-`.
    pub name: String,
    /// A regular expression of linear time. Its first group is replaced, or the whole match where it has none.
    pub pattern: String,
}

/// Why an extra pattern cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("redaction pattern `{name}`: {reason}")]
pub struct PatternProblem {
    pub name: String,
    pub reason: String,
}

/// How often the text is gone over until nothing more is found. Each pass replaces at least one byte of plain text;
/// real text needs two (one that replaces, one that finds nothing).
const MAX_PASSES: usize = 16;

/// Replaces what nobody but the service may see. Cheap to clone, shared by all streams.
#[derive(Debug, Clone)]
pub struct Redactor(Arc<Inner>);

/// A value that was redacted, and the numbered placeholder that stands for it in one text.
#[derive(Clone, PartialEq, Eq)]
pub struct Hidden {
    /// `[redacted:<kind>-<n>]`
    pub placeholder: String,
    value: String,
}

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Hidden").field(&self.placeholder).finish()
    }
}

struct Inner {
    patterns: Vec<String>,
    kinds: Vec<Kind>,
    /// Made when a text is there to be redacted: it takes longer than to start without.
    searches: OnceLock<Searches>,
}

struct Searches {
    regex: Regex,
    /// One of these stands in everything that a pattern with required literals matches.
    literals: Literals,
    /// The patterns without, and which of them are those of cards.
    others: Regex,
    are_cards: Vec<bool>,
    /// The literals with their digits alike; none where a pattern without literals looks at digits.
    alike: Option<Literals>,
    /// No literal has a line break in it, and no pattern without literals can match one.
    works_by_line: bool,
    placeholder: Regex,
}

#[derive(Debug)]
struct Kind {
    name: String,
    check: Check,
}

impl std::fmt::Debug for Inner {
    /// Not the automata: they are long, and change with use.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner").field("kinds", &self.kinds).finish_non_exhaustive()
    }
}

impl Redactor {
    /// The patterns that are built in.
    pub fn builtin() -> Self {
        static BUILT: LazyLock<Redactor> =
            LazyLock::new(|| Redactor::with_extra(&[]).expect("the built-in patterns are tested"));
        BUILT.clone()
    }

    /// The built-in patterns and `extra`, which are tried first; all problems at once.
    pub fn with_extra(extra: &[ExtraPattern]) -> Result<Self, Vec<PatternProblem>> {
        let problems: Vec<PatternProblem> = extra.iter().filter_map(problem_of).collect();
        if !problems.is_empty() {
            return Err(problems);
        }
        let own = extra.iter().map(|it| (it.name.as_str(), it.pattern.as_str(), Check::Always));
        let built = BUILTIN.iter().map(|Pattern { kind, regex, check }| (*kind, *regex, *check));
        let (mut patterns, mut kinds) = (Vec::new(), Vec::new());
        for (name, pattern, check) in own.chain(built) {
            patterns.push(pattern.to_owned());
            kinds.push(Kind { name: name.to_owned(), check });
        }
        let inner = Inner { patterns, kinds, searches: OnceLock::new() };
        if !extra.is_empty() {
            // Nobody knows whether these can be built together.
            let searches = Searches::new(&inner.patterns, &inner.kinds)
                .map_err(|reason| vec![PatternProblem { name: "all".into(), reason }])?;
            inner.searches.get_or_init(|| searches);
        }
        Ok(Self(Arc::new(inner)))
    }

    /// `text` without secrets and personal data. Where nothing is found it costs one search and the copy.
    pub fn redact(&self, text: &str) -> Clean {
        self.passes(text, &mut |kind, _| format!("[redacted:{}]", kind.name))
    }

    /// Whether nothing needs to be replaced in this text, told in a fraction of the time. `false` may be a mere suspicion.
    pub fn is_surely_clean(&self, text: &str) -> bool {
        !self.searches().is_suspect(text)
    }

    /// Whether every text that differs from this one in nothing but digits is surely clean; they are alike in it.
    pub fn are_surely_clean(&self, all_alike: &[u8]) -> bool {
        let searches = self.searches();
        searches.alike.as_ref().is_some_and(|it| it.find(all_alike, 0).is_none())
            && std::str::from_utf8(all_alike).is_ok_and(|it| !searches.others.is_match(it))
    }

    /// The text as it is, for a caller who knows that it is surely clean.
    pub fn vouch(&self, text: String) -> Clean {
        debug_assert!(self.is_surely_clean(&text), "vouched for a text that may hold a secret");
        Clean(text)
    }

    /// Whether a text is surely clean when each of its lines is: what a pattern looks for shows within one line.
    pub fn works_by_line(&self) -> bool {
        self.searches().works_by_line
    }

    /// Like [`Redactor::redact`], with placeholders that tell the values apart, so that [`unhide`] can put them back. Equal values
    /// have equal placeholders; the same text gives the same numbers every time.
    pub fn redact_numbered(&self, text: &str) -> (Clean, Vec<Hidden>) {
        let mut hidden: Vec<Hidden> = Vec::new();
        let mut n = 0;
        let clean = self.passes(text, &mut |kind, value| {
            let prefix = format!("[redacted:{}-", kind.name);
            let is_known = |it: &&Hidden| it.value == value && it.placeholder.starts_with(&prefix);
            if let Some(known) = hidden.iter().find(is_known) {
                return known.placeholder.clone();
            }
            let placeholder = loop {
                n += 1;
                let candidate = format!("{prefix}{n}]");
                // The text may hold what looks like a placeholder; none of ours may be taken for it.
                if !text.contains(&candidate) {
                    break candidate;
                }
            };
            hidden.push(Hidden { placeholder: placeholder.clone(), value: value.to_owned() });
            placeholder
        });
        (clean, hidden)
    }

    fn passes(&self, text: &str, name: &mut dyn FnMut(&Kind, &str) -> String) -> Clean {
        let Some(mut redacted) = self.pass(text, name) else { return Clean(text.to_owned()) };
        for _ in 1..MAX_PASSES {
            match self.pass(&redacted, name) {
                Some(next) => redacted = next,
                None => break,
            }
        }
        Clean(redacted)
    }

    /// One pass over the text; `None` if there is nothing to replace.
    fn pass(&self, text: &str, name: &mut dyn FnMut(&Kind, &str) -> String) -> Option<String> {
        let (searches, kinds) = (self.searches(), &self.0.kinds);
        let regex = &searches.regex;
        if !searches.is_suspect(text) || !regex.is_match(text) {
            return None;
        }
        let mut placeholders = None;
        let (mut redacted, mut copied) = (None::<String>, 0);
        let mut captures = regex.create_captures();
        let mut at = 0;
        while at <= text.len() {
            regex.search_captures(&Input::new(text).range(at..), &mut captures);
            let Some(whole) = captures.get_match() else { break };
            let (kind, secret) = secret_of(kinds, &captures, whole);
            // What is not taken may hide something in its value, so the search goes on there.
            at = if secret.start > whole.start() { secret.start } else { whole.end() }.max(at + 1);
            if secret.is_empty() || !is_plausible(kind.check, text, secret.clone()) {
                continue;
            }
            let known = placeholders.get_or_insert_with(|| self.placeholders(text));
            let Some(secret) = outside(known, secret) else { continue };
            let secret = text.floor_char_boundary(secret.start)..text.ceil_char_boundary(secret.end);
            at = secret.end;
            if secret.start < copied {
                continue;
            }
            let out = redacted.get_or_insert_with(|| String::with_capacity(text.len()));
            out.push_str(&text[copied..secret.start]);
            out.push_str(&name(kind, &text[secret.clone()]));
            copied = secret.end;
        }
        redacted.map(|mut out| {
            out.push_str(&text[copied..]);
            out
        })
    }

    fn placeholders(&self, text: &str) -> Vec<Range<usize>> {
        self.searches().placeholder.find_iter(text).map(|found| found.range()).collect()
    }

    fn searches(&self) -> &Searches {
        self.0.searches.get_or_init(|| {
            Searches::new(&self.0.patterns, &self.0.kinds)
                .expect("the built-in patterns are tested, others were built when they were read")
        })
    }
}

impl Searches {
    fn new(patterns: &[String], kinds: &[Kind]) -> Result<Self, String> {
        let all: Vec<&str> = patterns.iter().map(String::as_str).collect();
        let mut are_cards = Vec::new();
        let (mut literals, mut others, mut works_by_line) = (BTreeSet::new(), Vec::new(), true);
        let mut looks_at_digits = false;
        for (pattern, kind) in all.iter().zip(kinds) {
            let parsed = syntax::parse_with(pattern, &syntax_of_patterns()).map_err(|it| it.to_string())?;
            // Texts of which one is in everything that the pattern matches.
            let required = RequiredLiterals::of(&parsed, Searched::Texts);
            if required.is_empty() {
                others.push(*pattern);
                are_cards.push(kind.check == Check::Card);
                works_by_line &= !may_match_break(&parsed);
                looks_at_digits |= digits::tells_apart(&parsed);
            }
            literals.extend(required.iter().map(<[u8]>::to_vec));
        }
        works_by_line &= literals.iter().all(|it: &Vec<u8>| !it.contains(&b'\n'));
        let alike: BTreeSet<Vec<u8>> = literals.iter().map(|it| digits::all_alike(it)).collect();
        Ok(Self {
            works_by_line,
            are_cards,
            regex: compile(&all)?,
            alike: (!looks_at_digits).then(|| Literals::new(&alike.into_iter().collect::<Vec<_>>(), b"")),
            literals: Literals::new(&literals.into_iter().collect::<Vec<_>>(), b""),
            others: compile(&others)?,
            placeholder: compile(&[r"\[redacted:[a-z0-9-]+\]"])?,
        })
    }

    /// Whether there may be something to hide. Most texts have nothing, and this tells it in a fraction of the time.
    fn is_suspect(&self, text: &str) -> bool {
        // Times in milliseconds have as many digits as a card.
        let is_card = |found: Match| {
            let is_checked = self.are_cards[found.pattern().as_usize()];
            !is_checked || is_plausible(Check::Card, text, found.range())
        };
        self.literals.find(text.as_bytes(), 0).is_some() || self.others.find_iter(text).any(is_card)
    }
}

/// `text` with the values of `hidden` in place of their placeholders.
pub fn unhide(text: &str, hidden: &[Hidden]) -> String {
    // A later value may contain an earlier placeholder.
    hidden.iter().rev().fold(text.to_owned(), |text, it| text.replace(&it.placeholder, &it.value))
}

/// The kind that matched and what of the text it calls secret: its first group, or all of the match.
fn secret_of<'k>(kinds: &'k [Kind], captures: &Captures, whole: Match) -> (&'k Kind, Range<usize>) {
    let group = (1..captures.group_len()).find_map(|group| captures.get_group(group));
    (&kinds[whole.pattern().as_usize()], group.map_or(whole.range(), |span| span.range()))
}

/// `secret` widened to whole placeholders; `None` if it lies within one or is made of them.
fn outside(placeholders: &[Range<usize>], secret: Range<usize>) -> Option<Range<usize>> {
    let mut widened = secret.clone();
    let mut covered = 0;
    for known in placeholders.iter().filter(|it| it.start < secret.end && secret.start < it.end) {
        covered += known.end.min(secret.end) - known.start.max(secret.start);
        widened = widened.start.min(known.start)..widened.end.max(known.end);
    }
    (covered < secret.len()).then_some(widened)
}

/// Whether something in the pattern matches a line break.
fn may_match_break(pattern: &Hir) -> bool {
    match pattern.kind() {
        HirKind::Empty | HirKind::Look(_) => false,
        HirKind::Literal(literal) => literal.0.contains(&b'\n'),
        HirKind::Class(Class::Bytes(class)) => {
            class.iter().any(|it| (it.start()..=it.end()).contains(&b'\n'))
        }
        HirKind::Class(Class::Unicode(class)) => {
            class.iter().any(|it| (it.start()..=it.end()).contains(&'\n'))
        }
        HirKind::Capture(capture) => may_match_break(&capture.sub),
        HirKind::Repetition(repetition) => may_match_break(&repetition.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => parts.iter().any(may_match_break),
    }
}

fn compile(regexes: &[&str]) -> Result<Regex, String> {
    Regex::builder()
        .syntax(syntax_of_patterns())
        .configure(Regex::config().utf8_empty(false).nfa_size_limit(Some(16 << 20)))
        .build_many(regexes)
        .map_err(|error| error.to_string())
}

fn syntax_of_patterns() -> syntax::Config {
    syntax::Config::new().unicode(false).utf8(false)
}

fn problem_of(extra: &ExtraPattern) -> Option<PatternProblem> {
    let problem = |reason: &str| Some(PatternProblem { name: extra.name.clone(), reason: reason.to_owned() });
    let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if extra.name.is_empty() || !extra.name.bytes().all(is_name) {
        return problem("its name must be of lower-case letters, digits and `-`");
    }
    match compile(&[&extra.pattern]) {
        Err(reason) => problem(&format!("not a regular expression: {reason}")),
        Ok(regex) if regex.is_match("") => problem("it matches the empty text and would match everywhere"),
        Ok(_) => None,
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
