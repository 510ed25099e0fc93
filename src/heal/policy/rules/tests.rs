//! Every rule against its own examples.

use super::*;
use crate::heal::policy::TestLines;
use crate::repo::patch::Patch;

fn ending(language: Option<&Language>) -> &'static str {
    match language {
        Some(Language::Python) => "py",
        Some(Language::Node) => "js",
        Some(Language::Go) => "go",
        Some(Language::Rust) => "rs",
        Some(Language::Jvm) => "java",
        Some(Language::Ruby) => "rb",
        Some(Language::Php) => "php",
        Some(Language::Dotnet) => "cs",
        Some(Language::Shell) => "sh",
        Some(Language::C) => "c",
        Some(Language::Elixir) => "ex",
        Some(Language::Other) | None => "txt",
    }
}

/// Ids of the rules that a patch adding `line` meets, at the place that `rule` looks at.
fn met(rule: &RawLine, ending: &str, line: &str) -> Vec<&'static str> {
    let folder = if matches!(rule.place, Where::Source | Where::Any) { "src" } else { "tests" };
    let path = format!("{folder}/x.{ending}");
    let text = if rule.place == Where::OldTest {
        format!(
            "diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n@@ -1 +1,2 @@\n context\n+{line}\n"
        )
    } else {
        format!(
            "diff --git a/{path} b/{path}\nnew file mode 100644\n--- /dev/null\n+++ b/{path}\n@@ -0,0 +1 @@\n+{line}\n"
        )
    };
    let patch = Patch::parse(&text).unwrap();
    let lines = Lines::of(&patch, &TestLines::of(&patch, |_| None));
    Rules::builtin().of_lines(&lines).into_iter().map(|finding| finding.rule).collect()
}

#[test]
fn every_rule_finds_its_bad_lines_and_leaves_its_good_ones() {
    let raw: RawRules = toml::from_str(include_str!("../../../../rules/policy.toml")).unwrap();
    let mut wrong = Vec::new();
    for rule in &raw.line {
        assert!(!rule.bad.is_empty() && !rule.good.is_empty(), "{} has no examples", rule.id);
        for (lines, expected) in [(&rule.bad, true), (&rule.good, false)] {
            for line in lines {
                // An example of several languages need only be found in one.
                let languages: Vec<Option<&Language>> = if rule.languages.is_empty() {
                    vec![None]
                } else {
                    rule.languages.iter().map(Some).collect()
                };
                let found =
                    languages.iter().any(|it| met(rule, ending(*it), line).contains(&rule.id.as_str()));
                if found != expected {
                    wrong.push(format!("{} {languages:?} {expected}: {line}", rule.id));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn what_is_wrong_with_a_rule_is_told() {
    let line = |level: &str, pattern: &str| {
        format!("[[line]]\nid = \"a.b\"\nlevel = \"{level}\"\nreason = \"r\"\npatterns = ['{pattern}']\n")
    };
    assert!(Rules::parse(&line("allow", "x")).is_ok());
    let cases = [
        (line("maybe", "x"), "a.b: no level is called `maybe`"),
        (line("allow", "x") + &line("refuse", "x"), "a.b: two levels"),
        (line("allow", "("), "a.b: regex parse error"),
    ];
    for (text, expected) in cases {
        let error = Rules::parse(&text).unwrap_err();
        assert!(error.starts_with(expected), "{error}");
    }
}
