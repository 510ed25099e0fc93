//! Hostile texts, each with what it must become.

use super::*;

#[test]
fn plain_is_one_inactive_line() {
    let cases = [
        ("ZeroDivisionError: division by zero", "ZeroDivisionError: division by zero"),
        ("hello @octocat and @org/team", "hello @ octocat and @ org/team"),
        ("fixes #1, closes o/r#22, GH-3", "fixes # 1, closes o/r# 22, GH- 3"),
        ("see https://evil.example/x", "see https: //evil.example/x"),
        ("see www.evil.example", "see www. evil.example"),
        ("two\r\nlines\tand\u{2028}more", "two lines and more"),
        ("a\u{202e}b\u{200b}c\u{e0041}d\u{1b}[31me", "abcd[31me"),
        ("alone @ and # and - and :", "alone @ and # and - and :"),
    ];
    for (input, expected) in cases {
        assert_eq!(plain(input, 200), expected, "{input:?}");
    }
    assert_eq!(plain("0123456789", 5), "0123…");
    assert_eq!(plain("ab cd", 4), "ab…");
}

#[test]
fn code_cannot_be_ended_from_inside() {
    let cases = [
        ("plain", "`plain`"),
        ("a `b` c", "`` a `b` c ``"),
        ("``` @octocat", "```` ``` @octocat ````"),
        ("", "(empty)"),
        ("\u{200b}", "(empty)"),
        ("x\n\n# heading", "`x # heading`"),
    ];
    for (input, expected) in cases {
        assert_eq!(code(input, 100), expected, "{input:?}");
    }
    assert_eq!(cell("@a\\|b", 9), "`@a\\¦b`");
}

#[test]
fn a_block_cannot_be_ended_from_inside() {
    assert_eq!(block("x\n```\n@all\n", "text", 999), "````text\nx\n```\n@all\n````");
    assert_eq!(block("a\r\nb\rc\u{85}d", "text", 999), "```text\na\nb\nc\nd\n```");
    assert_eq!(block("\u{1b}[31mred\u{202e}", "text", 999), "```text\n[31mred\n```");
    let long: String = (0..100).map(|n| format!("line {n}\n")).collect();
    insta::assert_snapshot!(block(&long, "text", 60), @r"
    ```text
    line 0
    line 1
    line 2
    line 3
    … 93 lines left out …
    line 97
    line 98
    line 99
    ```
    ");
    assert!(block(&"x".repeat(10_000), "text", 400).len() < 420);
}

#[test]
fn prose_keeps_its_shape_and_reaches_nothing_outside() {
    let cases = [
        ("# Cause\n\n- **one** *two*\n1. three", "# Cause\n\n- **one** *two*\n1. three"),
        ("`a < b` is @wrong", "`a < b` is @ wrong"),
        ("<img src=x onerror=y> & &lt;b>", "&lt;img src=x onerror=y> &amp; &amp;lt;b>"),
        ("![t](https://evil/x.png)", "\\!\\[t\\](https: //evil/x.png)"),
        ("[click](javascript:x) <https://e>", "\\[click\\](javascript:x) &lt;https: //e>"),
        ("closes #12", "closes # 12"),
        ("<!-- homeostat:issue:1 -->", "&lt;\\!-- homeostat:issue:1 -->"),
        ("stray ` tick @you", "stray \\` tick @ you"),
        ("``a ` @b`` c", "`` a ` @b `` c"),
        ("```sh\nrm -rf /\n``` \nafter", "```text\nrm -rf /\n```\nafter"),
        ("~~~\n```\n@x\n~~~\nb", "````text\n```\n@x\n````\nb"),
        ("```\nnever closed @x", "```text\nnever closed @x\n```"),
        ("</details>\n@all", "&lt;/details>\n@ all"),
    ];
    for (input, expected) in cases {
        assert_eq!(prose(input, 9999), expected, "{input:?}");
    }
}

#[test]
fn middle_is_left_out_by_whole_lines() {
    assert_eq!(cap_middle("a\nb", 10), "a\nb");
    let text = (0..10).map(|n| n.to_string().repeat(9)).collect::<Vec<_>>().join("\n");
    assert_eq!(cap_middle(&text, 40), "000000000\n111111111\n… 6 lines left out …\n888888888\n999999999");
}

proptest::proptest! {
    #[test]
    fn no_text_leaves_prose_with_an_open_door(text in "[`~a@<#!\\[\\]:/w.\n 1-]{0,60}") {
        let safe = prose(&text, 9999);
        // Everything outside of our own fences and spans is free of what could reach outside.
        let mut is_code = None;
        for line in safe.lines() {
            match &is_code {
                Some(fence) if line == fence => is_code = None,
                Some(_) => {}
                None if line.starts_with("```") && line.ends_with("text") => {
                    is_code = Some(line.trim_end_matches("text").to_owned());
                }
                None => {
                    let outside = without_spans(line);
                    for door in ["<", "@a", "@w", "@1", "://", "www.a", "#1"] {
                        proptest::prop_assert!(!outside.contains(door), "{door} in {line:?} of {text:?}");
                    }
                }
            }
        }
    }
}

/// The line without the code spans that GitHub would see: a run of backticks not behind a backslash, up to the next of its length.
fn without_spans(line: &str) -> String {
    let chars: Vec<char> = line.chars().collect();
    let mut outside = String::new();
    let mut at = 0;
    while at < chars.len() {
        if chars[at] == '\\' {
            outside.extend(&chars[at..(at + 2).min(chars.len())]);
            at += 2;
            continue;
        }
        if chars[at] != '`' {
            outside.push(chars[at]);
            at += 1;
            continue;
        }
        let run = chars[at..].iter().take_while(|&&c| c == '`').count();
        let mut end = at + run;
        let mut closed = None;
        while end < chars.len() {
            let here = chars[end..].iter().take_while(|&&c| c == '`').count();
            if here == run {
                closed = Some(end + run);
                break;
            }
            end += here.max(1);
        }
        match closed {
            Some(next) => {
                outside.push('■');
                at = next;
            }
            None => {
                outside.extend(&chars[at..at + run]);
                at += run;
            }
        }
    }
    outside
}

#[test]
fn a_part_neither_opens_what_follows_nor_looks_like_what_stands_around() {
    let check = |text: &str, expected: &str| assert_eq!(contained(text), expected, "{text}");
    check("plain\n\n- a\n- b", "plain\n\n- a\n- b");
    check("# Approved\ntext\n### By the owner ###", "**Approved**\ntext\n**By the owner**");
    check("Approved\n===\nmore\n---\n", "Approved\nmore");
    check("a\n\n---", "a\n\n---");
    check("````\n```\n# in code", "````\n```\n# in code\n````");
    check("```sh\nls\n```\nx", "```sh\nls\n```\nx");
    check("~~~", "~~~\n~~~");
}
