//! The slot rule: templates that differ in one word only may be one message with a value that no shape tells.
//!
//! A template is made of one message alone, so a name that looks like any word stays in it: `pool alpha is empty`,
//! `pool beta is empty`. Only seen side by side do they say that the word is a value. What is found here is a
//! suggestion for a person; it never becomes part of a fingerprint.

use std::collections::{BTreeMap, HashMap};

use foldhash::fast::FixedState;

/// So many templates must differ in the same place and nowhere else.
pub const MIN_SLOT: usize = 5;

/// Words that they must have in common.
const MIN_COMMON: usize = 2;

/// Bytes of a template that count: in longer ones every place would be looked at.
const MAX_BYTES: usize = 400;

/// Templates that differ in exactly one word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotGroup {
    /// Indices into the templates handed in, ascending; of at least [`MIN_SLOT`] different texts. No index is in two groups.
    pub members: Vec<usize>,
    /// What they have in common, the word that differs shown as `<*>`.
    pub pattern: String,
}

/// The text before and behind a word.
type Around<'t> = (&'t str, &'t str);

/// Groups among the templates of one service's records without a trace, in the order of their first members. The same groups come out for
/// any order of the templates; where a template could be in several, it is in the largest. Takes time about linear in the
/// bytes of all templates.
pub fn slots(templates: &[&str]) -> Vec<SlotGroup> {
    let mut texts: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (place, text) in templates.iter().enumerate() {
        texts.entry(text).or_default().push(place);
    }
    let mut found: HashMap<Around<'_>, Vec<&str>, FixedState> = HashMap::default();
    for text in texts.keys().filter(|it| it.len() <= MAX_BYTES) {
        for (start, end) in words(text) {
            // The first word names who speaks: `cupsd failed` and `klogd failed` are not one.
            if start > 0 && is_value(&text[start..end]) {
                found.entry((&text[..start], &text[end..])).or_default().push(text);
            }
        }
    }
    let mut found: Vec<(Around<'_>, Vec<&str>)> = found
        .into_iter()
        .filter(|(around, members)| members.len() >= MIN_SLOT && is_telling(around))
        .collect();
    found.sort_unstable_by(|a, b| b.1.len().cmp(&a.1.len()).then_with(|| a.0.cmp(&b.0)));
    let mut groups = Vec::new();
    for ((before, after), mut members) in found {
        members.retain(|it| texts.contains_key(it));
        if members.len() < MIN_SLOT {
            continue;
        }
        let mut places: Vec<usize> = members.iter().filter_map(|it| texts.remove(it)).flatten().collect();
        places.sort_unstable();
        groups.push(SlotGroup { members: places, pattern: format!("{before}<*>{after}") });
    }
    groups.sort_unstable_by_key(|it| it.members.first().copied());
    groups
}

/// Where the words of a template begin and end; placeholders such as `<num>` are words too.
fn words(text: &str) -> impl Iterator<Item = (usize, usize)> {
    let is_part = |it: char| it.is_alphanumeric() || "_-.<>@$".contains(it);
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + text[at..].find(is_part)?;
        let end = text[start..].find(|it| !is_part(it)).map_or(text.len(), |it| start + it);
        at = end;
        // A full stop behind a word is not part of it.
        Some((start, start + text[start..end].trim_end_matches(['.', '-']).len().max(1)))
    })
}

/// Whether a word may be a value. What the template kept although it has digits or is written in capitals says what happened: a status, an
/// error's code or type.
fn is_value(word: &str) -> bool {
    let is_code = word.bytes().all(|it| it.is_ascii_digit() || it.is_ascii_uppercase() || it == b'_');
    let is_type = ["Error", "Exception", "Failure"].iter().any(|it| word.ends_with(it));
    !is_code && !is_type
}

/// Whether so much is left beside the word that the templates are likely to say the same.
fn is_telling((before, after): &Around<'_>) -> bool {
    let is_word =
        |text: &str| text.len() > 1 && !text.contains('<') && text.bytes().any(|it| it.is_ascii_alphabetic());
    let n_of = |text: &str| words(text).filter(|it| is_word(&text[it.0..it.1])).count();
    n_of(before) + n_of(after) >= MIN_COMMON
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(members: &[usize], pattern: &str) -> SlotGroup {
        SlotGroup { members: members.to_vec(), pattern: pattern.to_owned() }
    }

    #[track_caller]
    fn check(templates: &[&str], expected: &[SlotGroup]) {
        assert_eq!(slots(templates), expected);
        // In any order the same texts are together.
        let texts = |of: &[&str], groups: &[SlotGroup]| {
            let mut texts: Vec<(String, Vec<String>)> = groups
                .iter()
                .map(|it| {
                    let mut members: Vec<String> = it.members.iter().map(|at| of[*at].to_owned()).collect();
                    members.sort();
                    (it.pattern.clone(), members)
                })
                .collect();
            texts.sort();
            texts
        };
        let mut turned = templates.to_vec();
        for _ in 0..templates.len() {
            turned.rotate_left(1);
            assert_eq!(texts(&turned, &slots(&turned)), texts(templates, expected));
        }
    }

    #[test]
    fn five_that_differ_in_one_word_are_a_group() {
        check(
            &[
                "pool alpha is empty",
                "cannot open <path>",
                "pool beta is empty",
                "pool <id> is empty",
                "pool gamma is empty",
                "pool delta is empty",
                "pool beta is empty",
            ],
            &[group(&[0, 2, 3, 4, 5, 6], "pool <*> is empty")],
        );
    }

    #[test]
    fn four_are_none_and_neither_are_equal_texts() {
        check(&["a b is c", "a d is c", "a e is c", "a f is c"], &[]);
        check(&["pool b is empty"; 9], &[]);
    }

    #[test]
    fn what_the_template_kept_is_no_value() {
        let kept =
            ["200", "404", "500", "502", "503", "504"].map(|it| format!("upstream said {it} for <path>"));
        check(&kept.each_ref().map(String::as_str), &[]);
        let kept =
            ["ENOENT", "EACCES", "EPIPE", "EMFILE", "EIO"].map(|it| format!("cannot write file: {it}"));
        check(&kept.each_ref().map(String::as_str), &[]);
    }

    #[test]
    fn one_word_in_common_is_too_little() {
        check(&["failed: a1b", "failed: bc", "failed: cd", "failed: de", "failed: ef"], &[]);
    }

    #[test]
    fn a_template_is_in_the_largest_group_only() {
        let mut templates: Vec<String> =
            ["a", "b", "c", "d", "e", "f"].map(|it| format!("unit u{it} of east failed")).to_vec();
        templates.extend(["west", "north", "south", "up"].map(|it| format!("unit ua of {it} failed")));
        let templates: Vec<&str> = templates.iter().map(String::as_str).collect();
        check(&templates, &[group(&[0, 1, 2, 3, 4, 5], "unit <*> of east failed")]);
    }
}
