//! `[policy]`: what a patch may do before anything is pushed.

use globset::Glob;

use super::super::document::Section;
use crate::heal::policy::{Level, Levels, Rules};
use crate::heal::propose::policy::Settings;

const LEVELS: &str = "\"refuse\", \"needs_person\" or \"allow\"";

/// Reads `[policy]`. Globs and ids of rules are checked here, not at the first patch.
pub(in crate::config) fn policy(root: &Section<'_>) -> Settings {
    let section = root.section("policy");
    let default = Settings::default();
    let count = |key, most, default: usize| {
        usize::try_from(section.number(key, 1..=most, default as u64)).unwrap_or(default)
    };
    let protected = section.texts("protected");
    let globs = protected.as_ref().map(|found| found.value.clone()).unwrap_or_default();
    let (globs, wrong): (Vec<_>, Vec<_>) =
        globs.into_iter().partition(|glob| !glob.is_empty() && Glob::new(glob).is_ok());
    for glob in wrong {
        let hint = "write a path as the repository names it, `*` for anything: protected = [\"deploy/**\"]";
        section.wrong("protected", protected.as_ref(), format!("`{glob}` is no glob of paths"), hint);
    }
    let settings = Settings {
        max_files: count("max_files", 10_000, default.max_files),
        max_changed_lines: count("max_changed_lines", 1_000_000, default.max_changed_lines),
        max_line_chars: count("max_line_chars", 100_000, default.max_line_chars),
        protected: globs,
        levels: levels(&section),
    };
    section.finish();
    settings
}

/// Reads `[policy.levels]`: a level by the id of a rule, or `group.*` for all of a group.
fn levels(policy: &Section<'_>) -> Levels {
    let section = policy.section("levels");
    let mut levels = Levels::default();
    for (id, found) in section.each_text() {
        let Some(level) = Level::from_name(&found.value) else {
            let message = format!("`{}` is no level", found.value);
            section.wrong(&id, Some(&found), message, format!("write {LEVELS}"));
            continue;
        };
        let known: Vec<&str> = match id.strip_suffix('*') {
            Some(group) => Rules::builtin().ids().filter(|it| it.starts_with(group)).collect(),
            None => Rules::builtin().ids().filter(|it| *it == id).collect(),
        };
        if known.is_empty() {
            let nearest = Rules::builtin()
                .ids()
                .max_by(|a, b| strsim::jaro_winkler(a, &id).total_cmp(&strsim::jaro_winkler(b, &id)));
            let hint =
                format!("did you mean `{}`? The ids stand in rules/policy.toml", nearest.unwrap_or_default());
            section.wrong(&id, Some(&found), format!("there is no rule `{id}` of the policy"), hint);
        }
        for rule in known {
            // What names the rule itself weighs more than what names its group.
            if id == rule || !levels.0.contains_key(rule) {
                levels.0.insert(rule.to_owned(), level);
            }
        }
    }
    section.finish();
    levels
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::document::Document;

    fn read(text: &str) -> (Settings, Vec<String>) {
        let file = std::path::Path::new("a.toml");
        let document = Document::parse(file, text);
        let settings = policy(&document.root());
        (settings, document.into_problems().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn everything_can_be_set() {
        assert_eq!(read("").0, Settings::default());
        let text = "[policy]\nmax_files = 3\nmax_changed_lines = 50\nmax_line_chars = 200\nprotected = [\"deploy/**\"]\n[policy.levels]\n\"code.*\" = \"allow\"\n\"code.process\" = \"refuse\"\n";
        let (settings, problems) = read(text);
        assert_eq!(problems, [""; 0]);
        assert_eq!((settings.max_files, settings.max_changed_lines, settings.max_line_chars), (3, 50, 200));
        assert_eq!(settings.protected, ["deploy/**"]);
        assert_eq!(settings.levels.0["code.process"], Level::Refuse);
        assert_eq!(settings.levels.0["code.network"], Level::Allow);
        assert!(!settings.levels.0.contains_key("path.ci"));
    }

    #[test]
    fn what_is_wrong_is_told() {
        let cases = [
            ("[policy]\nprotected = [\"a[\"]\n", "policy.protected: `a[` is no glob of paths"),
            ("[policy]\nmax_files = 0\n", "policy.max_files: "),
            ("[policy]\nmax_file = 1\n", "did you mean `max_files`?"),
            ("[policy.levels]\n\"code.proces\" = \"allow\"\n", "did you mean `code.process`?"),
            (
                "[policy.levels]\n\"code.process\" = \"ask\"\n",
                "`ask` is no level; write \"refuse\", \"needs_person\" or \"allow\"",
            ),
            ("[policy.levels]\n\"code.process\" = 1\n", "policy.levels.code.process"),
        ];
        for (text, expected) in cases {
            let problems = read(text).1;
            assert!(problems.len() == 1 && problems[0].contains(expected), "{text}: {problems:?}");
        }
    }
}
