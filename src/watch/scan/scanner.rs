//! The prefilter over raw bytes.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use crate::base::search::Literals;
use crate::watch::rules::RuleSet;

/// Finds the lines worth a closer look. Case is folded; a block without a hit costs one pass.
#[derive(Debug)]
pub struct Scanner {
    rules: Arc<RuleSet>,
    /// In all spellings, without those that contain another.
    literals: Vec<Vec<u8>>,
    /// Made for logs like the first block.
    prefilter: OnceLock<Literals>,
    needs_every_line: bool,
}

/// Bytes by which literals are looked up.
const HEAD: usize = 3;

/// How JSON writes an escape, behind which a literal may hide; the escape itself is the prefilter's own business.
const ESCAPE_IN_JSON: &[u8] = br"\u001b";

impl Scanner {
    /// A scanner for these rules.
    pub fn new(rules: Arc<RuleSet>) -> Self {
        let needs_every_line = rules.needs_every_line();
        let wanted: BTreeSet<Vec<u8>> =
            rules.literals().chain([ESCAPE_IN_JSON]).flat_map(spellings).collect();
        let literals = shortest(&wanted);
        Self { rules, literals, prefilter: OnceLock::new(), needs_every_line }
    }

    /// Whether a rule hits this line. The line is as the joiner gets it: decoded, without terminal escapes.
    pub fn is_candidate(&self, line: &[u8]) -> bool {
        self.rules.is_hit(line)
    }

    /// The lines of a block that may be candidates, as ranges without their line breaks, in order.
    /// Works on plain lines and on lines wrapped in JSON alike. What stands behind the last line break is a line too.
    pub fn candidates<'b>(&'b self, block: &'b [u8]) -> impl Iterator<Item = Range<usize>> + 'b {
        let prefilter = (!self.needs_every_line)
            .then(|| self.prefilter.get_or_init(|| Literals::new(&self.literals, block)));
        let mut at = 0;
        std::iter::from_fn(move || {
            if at >= block.len() {
                return None;
            }
            let hit = match prefilter {
                Some(prefilter) => prefilter.find(block, at)?,
                None => at,
            };
            let start = memchr::memrchr(b'\n', &block[..hit]).map_or(0, |it| it + 1);
            let end = memchr::memchr(b'\n', &block[hit..]).map_or(block.len(), |it| hit + it);
            at = end + 1;
            Some(start..end)
        })
    }
}

/// A literal as plain text, as Docker and other writers of JSON spell it, and as Docker spells the JSON of a program.
fn spellings(literal: &[u8]) -> Vec<Vec<u8>> {
    let part = without_controls(literal);
    let json = as_json(&part, Writer::Other);
    let docker = as_json(&part, Writer::Docker);
    let nested = [as_json(&json, Writer::Other), as_json(&json, Writer::Docker)];
    let mut all = [vec![literal.to_vec(), json, docker], nested.to_vec()].concat();
    if part.len() < literal.len() {
        // However a control character is spelled, it begins with this.
        let follows =
            literal.windows(part.len() + 1).any(|it| it.starts_with(&part) && it[part.len()] < b' ');
        all[1..].iter_mut().filter(|_| follows).for_each(|it| it.push(b'\\'));
    }
    all
}

/// The longest part without control characters, which writers of JSON spell in many ways; the whole where that is too short.
fn without_controls(literal: &[u8]) -> Vec<u8> {
    let parts = literal.split(|it| *it < b' ');
    parts.max_by_key(|it| it.len()).filter(|it| it.len() > 2).unwrap_or(literal).to_vec()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Writer {
    /// The engine: `<`, `>`, `&` and control characters as `\u00…`.
    Docker,
    Other,
}

fn as_json(text: &[u8], writer: Writer) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for byte in text {
        match byte {
            b'"' | b'\\' => out.extend([b'\\', *byte]),
            b'\t' if writer == Writer::Other => out.extend(br"\t"),
            b'<' | b'>' | b'&' if writer == Writer::Other => out.push(*byte),
            b'<' | b'>' | b'&' | 0..b' ' => out.extend(format!("\\u{byte:04x}").into_bytes()),
            _ => out.push(*byte),
        }
    }
    out
}

/// Those that do not contain another. Literals have three bytes and more: whatever one contains begins with three of its bytes,
/// and only what begins alike is compared, so that hundreds of rules do not slow the start.
fn shortest(wanted: &BTreeSet<Vec<u8>>) -> Vec<Vec<u8>> {
    let mut by_head: HashMap<&[u8], Vec<&[u8]>> = HashMap::new();
    for literal in wanted {
        by_head.entry(&literal[..literal.len().min(HEAD)]).or_default().push(literal);
    }
    let begins = |rest: &[u8], whole: &[u8]| {
        let heads = (1..=HEAD.min(rest.len())).filter_map(|len| by_head.get(&rest[..len]));
        heads.flatten().any(|other| other.len() < whole.len() && rest.starts_with(other))
    };
    let has_other = |whole: &&Vec<u8>| (0..whole.len()).any(|at| begins(&whole[at..], whole));
    wanted.iter().filter(|it| !has_other(it)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scanner(pattern: &str) -> Scanner {
        let rule = format!(
            "[[rule]]\nid='a.b'\nseverity='error'\naction='issue'\nany=['{pattern}']\nmatch=['x']\n",
        );
        Scanner::new(Arc::new(RuleSet::from_texts([("a.toml", rule.as_str())]).unwrap()))
    }

    fn check(pattern: &str, block: &str, expected: &[&str]) {
        let scanner = scanner(pattern);
        let found: Vec<_> = scanner.candidates(block.as_bytes()).map(|range| &block[range]).collect();
        assert_eq!(found, expected, "{pattern} in {block}");
    }

    #[test]
    fn cuts_lines_only_around_hits() {
        check("boom", "ok\nBOOM and boom\nok\n\nboom", &["BOOM and boom", "boom"]);
        check("boom", "", &[]);
        check("boom", "\n\n", &[]);
    }

    #[test]
    fn knows_literals_as_json_spells_them() {
        let lines = [r#"{"log":"err=\"x\"\n"}"#, r#"{"log":"{\"msg\":\"err=\\\"x\\\"\"}\n"}"#, r#"err="x""#];
        check("err=\"", &lines.join("\n"), &lines);
        let lines = [r#"{"log":"a\u003cb\u003e"}"#, r#"{"log":"a<b>"}"#];
        check("a<b>", &lines.join("\n"), &lines);
    }

    #[test]
    fn knows_control_characters_however_they_are_spelled() {
        let lines = [
            r#"{"log":"boom\t"}"#,
            r#"{"log":"Boom\u0009x"}"#,
            r#"{"log":"{\"m\":\"boom\\t\"}"}"#,
            "boom\tx",
        ];
        check(r"boom\t", &format!("{}\nboom x", lines.join("\n")), &lines);
        let lines = [r#"{"log":"\tboom"}"#, r#"{"log":"\u0009boom"}"#];
        check(r"\tboom", &lines.join("\n"), &lines);
    }

    #[test]
    fn looks_at_every_line_where_escapes_or_rules_without_literals_demand_it() {
        check("boom", "ok\n\u{1b}[1mbo\u{1b}[0mom\n\\u001B\n", &["\u{1b}[1mbo\u{1b}[0mom", "\\u001B"]);
        check(r"\d\d", "a\n\nb", &["a", "", "b"]);
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod properties;
