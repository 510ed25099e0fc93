//! Rules compiled to one set.
//!
//! One search for the required literals of all rules says which rules may hit a line; only their
//! patterns are looked for, around the literals. Rules without a literal are tried on every line.

use std::collections::BTreeSet;
use std::sync::Arc;

use regex_automata::util::pool::Pool;
use regex_automata::util::syntax::{Config, parse_with};
use regex_syntax::hir::Hir;

use super::beside_ids::BesideIds;
use super::best::{Scratch, Wanted};
use super::escape::{has_break, unescape};
use super::groups::Groups;
use super::lazy::{Lazy, Shared};
use super::levels;
use super::rule::{Rule, RuleProblem};
use super::stamp;
use crate::base::redact::Clean;
use crate::base::search::{Cost, Cut, Literals, RequiredLiterals, Searched, digits};
use crate::model::detection::Detection;

/// Rules, checked and compiled. Shared by all streams.
pub struct RuleSet {
    rules: Vec<Rule>,
    /// Best first: by severity, then in the order of the rules.
    pub(super) ranked: Vec<Ranked>,
    pub(super) groups: Groups,
    /// Ranks of the rules without a literal.
    pub(super) on_every_line: Vec<usize>,
    /// One for each thread that searches.
    pub(super) scratch: Pool<Scratch>,
    /// The literals of rules that look at digits, which are alike here; `None` where such a rule has no literals.
    looks_at_digits: Option<Literals>,
    /// What of each literal cannot lie in an id; `None` where there is a rule that may hit an id.
    beside_ids: Option<BesideIds>,
}

#[derive(Debug)]
pub(super) struct Ranked {
    detection: Detection,
    /// Place in `rules`.
    rule: usize,
    pub(super) patterns: Lazy,
    /// For each pattern.
    pub(super) cuts: Vec<Vec<Cut>>,
    pub(super) conditions: Option<Arc<Lazy>>,
    /// Each list apart, so that what several rules share is built once, and looked for once in a line.
    pub(super) excludes: Vec<Arc<Lazy>>,
    pub(super) counts_alone: bool,
    /// Of two lines that differ in digits only, it may hit one.
    looks_at_digits: bool,
    pub(super) literals: RequiredLiterals,
}

impl std::fmt::Debug for RuleSet {
    /// Not the automata: they are long, and change with use.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RuleSet").field("rules", &self.rules).finish_non_exhaustive()
    }
}

impl RuleSet {
    /// Compiles rules; all problems at once.
    pub fn compile(rules: Vec<Rule>) -> Result<Self, Vec<RuleProblem>> {
        let mut problems = doubles(&rules);
        let mut ranked: Vec<Ranked> = Vec::new();
        let mut shared = Shared::default();
        for (idx, rule) in rules.iter().enumerate() {
            match compile_rule(idx, rule, &mut shared) {
                Ok(compiled) => ranked.push(compiled),
                Err(mut found) => problems.append(&mut found),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        ranked.sort_by_key(|it| std::cmp::Reverse(it.detection.severity));
        let on_every_line = ranked
            .iter()
            .enumerate()
            .filter(|(_, it)| it.literals.is_empty())
            .map(|(rank, _)| rank)
            .collect();
        let look_at_digits = || ranked.iter().filter(|it| it.looks_at_digits);
        let literals: BTreeSet<Vec<u8>> =
            look_at_digits().flat_map(|it| it.literals.iter()).map(digits::all_alike).collect();
        let looks_at_digits = (!look_at_digits().any(|it| it.literals.is_empty()))
            .then(|| Literals::new(&literals.into_iter().collect::<Vec<_>>(), b""));
        Ok(Self {
            beside_ids: BesideIds::new(ranked.iter().map(|it| &it.literals)),
            groups: Groups::new(&ranked),
            on_every_line,
            ranked,
            rules,
            scratch: Pool::new(Scratch::default),
            looks_at_digits,
        })
    }

    /// The rules in the order they were given.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The texts of which one stands in every line that a rule with literals can hit; lower-case ASCII.
    pub fn literals(&self) -> impl Iterator<Item = &[u8]> {
        self.ranked.iter().flat_map(|it| it.literals.iter())
    }

    /// What each rule costs, in the order of [`RuleSet::rules`].
    pub fn costs(&self) -> Vec<Cost> {
        let mut costs = vec![Cost::EveryLine; self.rules.len()];
        for it in &self.ranked {
            costs[it.rule] = it.literals.cost();
        }
        costs
    }

    /// Whether some rule has no literal, so that every line must be looked at.
    pub fn needs_every_line(&self) -> bool {
        !self.on_every_line.is_empty()
    }

    /// The best hit in any line of a record: highest severity, then rule order.
    pub fn detect(&self, text: &Clean) -> Option<Detection> {
        let text = text.as_str().trim_end().as_bytes();
        let is_alone = memchr::memchr(b'\n', text).is_none();
        self.best_rank(text, Wanted::Best, is_alone).map(|rank| self.ranked[rank].detection.clone())
    }

    /// The best hit in one line: its rank among the rules, best first. `is_alone`: the line is all of its record.
    pub fn rank(&self, line: &[u8], is_alone: bool) -> Option<usize> {
        self.best_rank(line, Wanted::Best, is_alone)
    }

    /// Whether one rank is the best for all lines that differ from this one in nothing but digits; they are alike in it.
    pub fn rank_alike(&self, all_alike: &[u8]) -> bool {
        self.looks_at_digits.as_ref().is_some_and(|it| it.find(all_alike, 0).is_none())
    }

    /// Whether no rule hits any line that differs from this one in nothing but digits and ids; digits are alike in it.
    pub fn is_never_hit(&self, all_alike: &[u8]) -> bool {
        self.beside_ids.as_ref().is_some_and(|it| !it.may_be_in(all_alike))
    }

    /// What a hit of the rule of this rank says.
    pub fn detection(&self, rank: usize) -> &Detection {
        &self.ranked[rank].detection
    }

    /// Whether the rule of this rank hits lines that are all of their record.
    pub fn counts_alone(&self, rank: usize) -> bool {
        self.ranked[rank].counts_alone
    }

    /// Whether any rule hits this line, alone or as a part of a record.
    pub fn is_hit(&self, line: &[u8]) -> bool {
        self.best_rank(line, Wanted::Any, false).is_some()
    }

    /// The rules that are looked at for this line, as places in [`RuleSet::rules`]: those with a literal that stands in it, and
    /// those without any.
    pub fn suspects(&self, line: &[u8]) -> Vec<usize> {
        let mut hits = Vec::new();
        self.groups.search(line, &mut hits);
        let ranks = hits.iter().flat_map(|it| self.groups.ranks(it.literal));
        let ranks: BTreeSet<usize> = ranks.chain(self.on_every_line.iter().copied()).collect();
        ranks.into_iter().map(|rank| self.ranked[rank].rule).collect()
    }

    /// What `hits` needs besides a pattern, in words: for a text in which a pattern is found and the rule is not.
    pub(super) fn is_taken_back(&self, rule: usize, text: &str) -> bool {
        let ranked = self.ranked.iter().find(|it| it.rule == rule);
        ranked.is_some_and(|it| text.split('\n').any(|line| it.patterns.is_match(line.as_bytes())))
            && !self.hits(rule, text)
    }

    /// Whether this one rule hits any line of a text, whatever else does.
    pub fn hits(&self, rule: usize, text: &str) -> bool {
        let Some(ranked) = self.ranked.iter().find(|it| it.rule == rule) else { return false };
        if !ranked.counts_alone && !text.trim_end().contains('\n') {
            return false;
        }
        text.split('\n')
            .any(|line| in_line(line.as_bytes(), |it, whole| ranked.hits(it, whole).then_some(0)).is_some())
    }
}

/// The best of what `rank` says of a line, of what stands behind a shipper's stamp, and of the lines that are escaped
/// within it.
fn in_line(line: &[u8], rank: impl Fn(&[u8], &[u8]) -> Option<usize>) -> Option<usize> {
    let here = rank(line, line);
    let here = here.into_iter().chain(stamp::behind(line).and_then(|it| rank(it, line))).min();
    if !has_break(line) {
        return here;
    }
    let mut inner = Vec::new();
    unescape(line, &mut inner);
    let within = inner.split(|byte| *byte == b'\n').filter_map(|it| rank(it, line)).min();
    here.into_iter().chain(within).min()
}

impl Ranked {
    /// Whether the rule hits `line`, which is `whole` or is escaped within it. Conditions and excludes look at both: the level of
    /// a JSON line counts for the texts in its fields.
    fn hits(&self, line: &[u8], whole: &[u8]) -> bool {
        let holds = |it: &Arc<Lazy>| it.is_match(line) || (line.len() != whole.len() && it.is_match(whole));
        self.patterns.is_match(line)
            && self.conditions.as_ref().is_none_or(holds)
            && !self.excludes.iter().any(holds)
    }
}

/// How patterns are read: ASCII, `^` and `$` at the ends of a line.
pub(super) fn syntax() -> Config {
    Config::new().unicode(false).utf8(false).multi_line(true)
}

/// Rules of users are built at once, so that what cannot be built is told; ours are tested, and built when they are needed.
fn compile_rule(idx: usize, rule: &Rule, shared: &mut Shared) -> Result<Ranked, Vec<RuleProblem>> {
    let mut problems = Vec::new();
    let patterns = parse_all(rule, "any", &rule.patterns, &mut problems);
    let mut list = |key: &str, texts: &[String], first: usize| {
        shared.get(texts, |texts| parse_from(rule, key, texts, first, &mut problems))
    };
    let conditions = (!rule.conditions.is_empty()).then(|| list("only", &rule.conditions, 0));
    let (named, own) = levels::split(&rule.excludes);
    let excludes =
        named.into_iter().chain(own).map(|(first, texts)| list("except", texts, first)).collect::<Vec<_>>();
    if !problems.is_empty() {
        return Err(problems);
    }
    let cuts: Vec<Vec<Cut>> = patterns.iter().map(|it| Cut::all(it, Searched::Lines)).collect();
    let literals = RequiredLiterals::union(cuts.iter().map(|it| RequiredLiterals::of_cuts(it)));
    let lists = conditions.iter().chain(&excludes).flat_map(|it| it.patterns());
    let looks_at_digits = patterns.iter().chain(lists).any(digits::tells_apart);
    let patterns = Lazy::new(patterns);
    if !rule.origin.is_shipped() {
        let too_big = |error: Box<regex_automata::meta::BuildError>| {
            vec![problem(rule, "any", format!("too large to compile: {error}"), "use smaller repetitions")]
        };
        if patterns.build().map_err(too_big)?.is_match("") {
            return Err(vec![problem(rule, "any", "it hits the empty line", "make it require something")]);
        }
        for it in conditions.iter().chain(&excludes) {
            it.build().map_err(too_big)?;
        }
    }
    Ok(Ranked {
        detection: Detection {
            rule: Arc::clone(&rule.id),
            severity: rule.severity,
            action: rule.action,
            course: rule.course,
        },
        rule: idx,
        counts_alone: rule.counts_alone,
        looks_at_digits,
        literals,
        cuts,
        patterns,
        conditions,
        excludes,
    })
}

pub(super) fn parse_all(
    rule: &Rule,
    key: &str,
    patterns: &[String],
    problems: &mut Vec<RuleProblem>,
) -> Vec<Hir> {
    parse_from(rule, key, patterns, 0, problems)
}

/// Parses the entries of a list from the `first` on.
fn parse_from(
    rule: &Rule,
    key: &str,
    patterns: &[String],
    first: usize,
    problems: &mut Vec<RuleProblem>,
) -> Vec<Hir> {
    let mut parsed = Vec::new();
    for (idx, pattern) in patterns.iter().enumerate() {
        let key = format!("{key}[{}]", first + idx + 1);
        match parse_with(pattern, &syntax()) {
            Ok(hir) => parsed.push(hir),
            Err(error) => problems.push(problem(
                rule,
                &key,
                format!("not a regular expression: {}", one_line(&error.to_string())),
                "see https://docs.rs/regex for the syntax; look-around and back-references do not exist",
            )),
        }
        if pattern.contains(r"\n") {
            problems.push(problem(rule, &key, "it wants a line break", "rules are searched line by line"));
        }
    }
    parsed
}

/// The regex parser draws its message over several lines; its last line says what is wrong.
pub(super) fn one_line(message: &str) -> String {
    message.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

pub(super) fn problem(
    rule: &Rule,
    key: &str,
    message: impl Into<String>,
    hint: impl Into<String>,
) -> RuleProblem {
    let entry = rule.origin.entries.iter().find(|entry| entry.key == key);
    let (label, line) = entry.map_or((key, rule.origin.line), |entry| (&entry.label, entry.line));
    RuleProblem {
        file: rule.origin.file.to_string(),
        line,
        key: format!("{}: {label}", rule.id),
        message: message.into(),
        hint: hint.into(),
    }
}

fn doubles(rules: &[Rule]) -> Vec<RuleProblem> {
    let mut seen = std::collections::HashMap::new();
    let mut problems = Vec::new();
    for rule in rules {
        if let Some(Rule { origin, .. }) = seen.insert(Arc::clone(&rule.id), rule) {
            let message = format!("the id is taken by {}:{}", origin.file, origin.line);
            problems.push(problem(rule, "id", message, "give it another"));
        }
    }
    problems
}
