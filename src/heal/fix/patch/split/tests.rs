//! Patches and their two halves.

use super::*;

/// A patch of whole files as a diff tool of its own: `diffy` gives hunks, the heads are written here.
fn patch_of(files: &[(&str, Option<&str>, Option<&str>)]) -> Patch {
    let mut text = String::new();
    for (path, before, after) in files {
        text.push_str(&format!("diff --git a/{path} b/{path}\n"));
        match (before, after) {
            (None, _) => text.push_str("new file mode 100644\n"),
            (_, None) => text.push_str("deleted file mode 100644\n"),
            _ => {}
        }
        text.push_str(&before.map_or("--- /dev/null\n".to_owned(), |_| format!("--- a/{path}\n")));
        text.push_str(&after.map_or("+++ /dev/null\n".to_owned(), |_| format!("+++ b/{path}\n")));
        let diff = diffy::create_patch(before.unwrap_or_default(), after.unwrap_or_default()).to_string();
        // It leaves the blank out that git puts before an empty line.
        text.extend(diff.split_inclusive('\n').skip(2).map(|line| if line == "\n" { " \n" } else { line }));
    }
    Patch::parse(&text).unwrap()
}

fn plan_of(files: &[(&str, Option<&str>, Option<&str>)]) -> Plan {
    let text = |path: &str, after: bool| {
        let (_, before, last) = files.iter().find(|(it, ..)| *it == path)?;
        if after { *last } else { *before }.map(str::to_owned)
    };
    plan(&patch_of(files), |path| text(path, false), |path| text(path, true))
}

#[test]
fn files_go_by_their_path() {
    let plan = plan_of(&[
        ("shop/orders.py", Some("a\n"), Some("b\n")),
        ("tests/test_orders.py", None, Some("t\n")),
        ("tests/data/order.json", None, Some("{}\n")),
    ]);
    assert_eq!(
        plan,
        Plan {
            steps: vec![
                Step::Take("tests/test_orders.py".to_owned()),
                Step::Take("tests/data/order.json".to_owned())
            ],
            test_files: vec!["tests/test_orders.py".to_owned(), "tests/data/order.json".to_owned()],
            has_rest: true,
        }
    );
    assert!(!plan_of(&[("tests/test_a.py", None, Some("t\n"))]).has_rest);
    assert_eq!(plan_of(&[("a.py", Some("a\n"), Some("b\n"))]).steps, []);
}

const BEFORE: &str = "\
pub fn mean(all: &[u64]) -> u64 {
    all.iter().sum::<u64>() / all.len() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two() {
        assert_eq!(mean(&[1, 3]), 2);
    }
}
";

#[test]
fn rust_goes_by_line() {
    let fixed =
        BEFORE.replace("    all.iter()", "    if all.is_empty() {\n        return 0;\n    }\n    all.iter()");
    let test = "\n    #[test]\n    fn of_none() {\n        assert_eq!(mean(&[]), 0);\n    }\n}\n";
    let with_test = |text: &str| format!("{}{test}", text.strip_suffix("}\n").unwrap());
    let both = with_test(&fixed);
    let plan = plan_of(&[("src/lib.rs", Some(BEFORE), Some(&both))]);
    let [Step::Write(path, text)] = &plan.steps[..] else { panic!("{plan:?}") };
    assert_eq!((path.as_str(), std::str::from_utf8(text).unwrap()), ("src/lib.rs", &with_test(BEFORE)[..]));
    assert!(plan.has_rest);

    let only_test = plan_of(&[("src/lib.rs", Some(BEFORE), Some(&with_test(BEFORE)))]);
    assert_eq!((only_test.steps, only_test.has_rest), (vec![Step::Take("src/lib.rs".to_owned())], false));
    let only_fix = plan_of(&[("src/lib.rs", Some(BEFORE), Some(&fixed))]);
    assert_eq!((only_fix.steps, only_fix.has_rest), (vec![], true));
    let whole = plan_of(&[("src/cases.rs", None, Some("#![cfg(test)]\n"))]);
    assert_eq!(whole.steps, [Step::Take("src/cases.rs".to_owned())]);
}
