//! Both searches find the same lines, and the lines that a search by hand finds.

use proptest::prelude::*;

use super::*;

fn lines_found(search: &Literals, text: &[u8]) -> Vec<usize> {
    let mut lines = Vec::new();
    let mut from = 0;
    while let Some(hit) = search.find(text, from) {
        let line = text[..hit].iter().filter(|byte| **byte == b'\n').count();
        lines.push(line);
        from = memchr::memchr(b'\n', &text[hit..]).map_or(text.len(), |it| hit + it + 1);
    }
    lines
}

fn by_hand(literals: &[Vec<u8>], text: &[u8]) -> Vec<usize> {
    let holds = |line: &[u8]| {
        let line = line.to_ascii_lowercase();
        line.contains(&ESCAPE) || literals.iter().any(|it| memchr::memmem::find(&line, it).is_some())
    };
    let lines = text.split(|byte| *byte == b'\n').enumerate();
    lines.filter(|(_, line)| holds(line)).map(|(number, _)| number).collect()
}

/// Literals of all lengths, near each other, with bytes of every kind.
fn literals() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let literal = prop_oneof![
        4 => "[a-e]{3,6}",
        2 => "[a-z :\"\\\\\\[\\]@`{}~0-9]{3,12}",
        1 => "[é€a]{2,4}",
        1 => Just("\\\"level\\\":50".to_owned()),
    ];
    // Few, and so many that the search takes twice the tables.
    let number = prop_oneof![3 => 1..60_usize, 1 => 300..500_usize];
    let literal = literal.prop_map(|it| it.to_ascii_lowercase().into_bytes());
    number
        .prop_flat_map(move |number| proptest::collection::vec(literal.clone(), number))
        .prop_map(|all| all.into_iter().filter(|it| it.len() > 2).collect())
}

/// Text with literals in it, whole, torn, in capitals and changed in one byte.
fn text(literals: &[Vec<u8>]) -> impl Strategy<Value = Vec<u8>> + use<> {
    let literals = if literals.is_empty() { vec![b"abc".to_vec()] } else { literals.to_vec() };
    let literal = proptest::sample::select(literals);
    let piece = prop_oneof![
        4 => "[a-zA-Z0-9 :\"\\\\]{0,70}".prop_map(String::into_bytes),
        2 => literal.clone(),
        2 => literal.clone().prop_map(|it| it.to_ascii_uppercase()),
        2 => (literal.clone(), any::<prop::sample::Index>()).prop_map(|(it, end)| it[..end.index(it.len())].to_vec()),
        2 => (literal, any::<prop::sample::Index>(), any::<u8>()).prop_map(|(mut it, at, bits)| {
            let at = at.index(it.len());
            it[at] ^= bits;
            it
        }),
        1 => proptest::collection::vec(any::<u8>(), 0..8),
        2 => Just(b"\n".to_vec()),
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// **Invariant:** both searches find the same lines.
    #[test]
    fn the_same_lines_whatever_the_processor(
        (literals, text) in literals().prop_flat_map(|it| (text(&it), Just(it))).prop_map(|(text, it)| (it, text))
    ) {
        let expected = by_hand(&literals, &text);
        prop_assert_eq!(lines_found(&Literals::without_vectors(&literals), &text), &expected[..]);
        let search = Literals::new(&literals, &text);
        prop_assert_eq!(lines_found(&search, &text), expected);
        let lower = text.to_ascii_lowercase();
        let is_inside = |number: &usize| memchr::memmem::find(&lower, &literals[*number]).is_some();
        let expected: Vec<usize> = (0..literals.len()).filter(is_inside).collect();
        for search in [search, Literals::without_vectors(&literals)] {
            let mut found = std::collections::BTreeSet::new();
            let mut begins = true;
            search.places(&text, |it, at| {
                begins &= lower[at..].starts_with(&literals[it]);
                found.insert(it);
            });
            prop_assert!(begins);
            prop_assert_eq!(found.into_iter().collect::<Vec<_>>(), &expected[..]);
        }
    }
}

#[test]
fn literals_are_found_at_every_place_of_a_block() {
    let literals = [b"error".to_vec(), b"oom".to_vec(), "é!!".as_bytes().to_vec()];
    for search in [Literals::new(&literals, b""), Literals::without_vectors(&literals)] {
        for literal in ["ERROR", "Oom", "é!!", "\u{1b}"] {
            for before in 0..200 {
                for after in [0, 1, 3, 70] {
                    let text =
                        [&b"."[..].repeat(before), literal.as_bytes(), &"é".repeat(after).into_bytes()]
                            .concat();
                    let found = search.find(&text, 0);
                    let is_inside = found.is_some_and(|it| (before..before + literal.len()).contains(&it));
                    assert!(is_inside, "{literal} behind {before}, before {after}: {found:?}");
                    assert_eq!(search.find(&text[..before], 0), None);
                }
            }
        }
    }
}
