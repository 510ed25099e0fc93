//! Two runs of tests held against each other: the new tests before and after, all tests on base and with the change.

use std::collections::{BTreeMap, BTreeSet};

use super::told::{End, Ends, Results, Told};

/// Most names in one sentence.
const MAX_NAMES: usize = 5;

/// What the results say against a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Fault {
    /// It is worse, or not shown to be right. Another attempt may do better.
    Worse(String),
    /// Nobody can tell from the results: a person must look.
    Unreadable(String),
}

impl Fault {
    /// The same, as a sentence about a check of the project.
    pub(in super::super) fn about(self, name: &str) -> Self {
        let worse = format!("With the change the project's {name}");
        match self {
            Self::Worse(text) => Self::Worse(format!("{worse} {text}.")),
            Self::Unreadable(text) => Self::Unreadable(format!("{worse} {text}.")),
        }
    }

    /// For people.
    pub(in super::super) fn text(&self) -> &str {
        match self {
            Self::Worse(text) | Self::Unreadable(text) => text,
        }
    }
}

/// What the results of the new tests say against a proof whose exit codes are right. `is_known` tells whether the runner is one whose
/// results can be read: then silence is an early end. Of a command of the project's own that never tells of single tests (a plain
/// script, a shell test) the exit codes of the three runs have to do; that such a run cannot simply be ended is for the rules on
/// patches to see.
pub(in super::super) fn of_new_tests(before: &Results, after: &Results, is_known: bool) -> Option<Fault> {
    let told = match after {
        Results::Told(told) => told,
        Results::Broken(why) => {
            return Some(Fault::Unreadable(format!(
                "The results of the new test with the change cannot be trusted: {why}."
            )));
        }
        Results::Silent if is_known || matches!(before, Results::Told(_)) => {
            return Some(Fault::Worse(
                "With the change the tests end without telling their results, so nothing shows that they passed.".to_owned(),
            ));
        }
        Results::Silent => return None,
    };
    if told.n_passed == 0 {
        return Some(Fault::Worse("With the change no test is run that passes.".to_owned()));
    }
    let Results::Told(before) = before else { return None };
    let ends = told.by_name();
    let wanted = before.tests.iter().filter(|test| matches!(test.end, End::Failed | End::Passed));
    for test in wanted {
        if let Some(lack) = lack_of(&test.name, &ends, told.is_named) {
            return Some(Fault::Worse(format!("With the change the test `{}` {lack}.", test.name)));
        }
    }
    let n_before = before.n_passed + before.n_failed;
    (told.n_passed < n_before).then(|| {
        Fault::Worse(format!(
            "With the change {} tests pass, but {n_before} were run without it.",
            told.n_passed
        ))
    })
}

/// Why a test does not count as passed.
fn lack_of(name: &str, ends: &BTreeMap<&str, Ends>, is_named: bool) -> Option<&'static str> {
    match ends.get(name) {
        Some(ends) if ends.n_failed > 0 => Some("fails"),
        Some(ends) if ends.n_skipped > 0 => Some("is skipped"),
        Some(_) => None,
        None => is_named.then_some("is not run"),
    }
}

/// What is worse with the change than on base, over all tests. Tests in `flaky` count neither way. Both codes are those of the
/// command; they decide alone where neither run tells of single tests.
pub(in super::super) fn of_all_tests(
    base: (&Results, i64),
    patched: (&Results, i64),
    flaky: &BTreeSet<String>,
    is_known: bool,
) -> Vec<Fault> {
    let fails = || Fault::Worse("fail that passed before it".to_owned());
    match (base.0, patched.0) {
        (_, Results::Broken(why)) => {
            vec![Fault::Unreadable(format!("cannot be judged, as the results cannot be trusted: {why}"))]
        }
        (Results::Told(base), Results::Told(patched)) => of_told(base, patched, flaky),
        (_, Results::Told(patched)) if patched.n_failed == 0 => Vec::new(),
        (_, Results::Told(patched)) => {
            let names: Vec<&str> = patched.failed().collect();
            vec![Fault::Unreadable(format!(
                "cannot be judged, as the results on the base branch cannot be read; these fail now: {}",
                listed(&names, patched.n_failed)
            ))]
        }
        (Results::Told(_), Results::Silent) => {
            vec![Fault::Worse("end without telling their results".to_owned())]
        }
        (_, Results::Silent) if base.1 == 0 && patched.1 != 0 => vec![fails()],
        (_, Results::Silent) if patched.1 != 0 => vec![Fault::Unreadable(
            "cannot be judged, as the command fails on the base branch too and tells nothing of single tests"
                .to_owned(),
        )],
        (_, Results::Silent) if is_known => {
            vec![Fault::Worse("end without telling their results".to_owned())]
        }
        (_, Results::Silent) => Vec::new(),
    }
}

fn of_told(base: &Told, patched: &Told, flaky: &BTreeSet<String>) -> Vec<Fault> {
    let mut faults = Vec::new();
    let (before, after) = (base.by_name(), patched.by_name());
    let mut failing = Vec::new();
    for (name, ends) in after.iter().filter(|(name, ends)| ends.n_failed > 0 && !flaky.contains(**name)) {
        if before.get(name).is_none_or(|it| it.n_failed < ends.n_failed) {
            failing.push(*name);
        }
    }
    if !failing.is_empty() {
        faults.push(Fault::Worse(format!("fail that passed before it: {}", listed(&failing, failing.len()))));
    }
    let (mut skipped, mut absent) = (Vec::new(), Vec::new());
    for (name, ends) in before.iter().filter(|(name, ends)| ends.n_passed > 0 && !flaky.contains(**name)) {
        match after.get(name) {
            Some(it) if it.n_passed >= ends.n_passed || it.n_failed > 0 => {}
            Some(it) if it.n_skipped > ends.n_skipped => skipped.push(*name),
            Some(_) => absent.push(*name),
            None if patched.is_named => absent.push(*name),
            None => {}
        }
    }
    if !skipped.is_empty() {
        faults.push(Fault::Worse(format!(
            "are skipped that passed before it: {}",
            listed(&skipped, skipped.len())
        )));
    }
    if !absent.is_empty() {
        faults.push(Fault::Worse(format!(
            "are not run any more that passed before it: {}",
            listed(&absent, absent.len())
        )));
    }
    if !faults.is_empty() {
        return faults;
    }
    let are_names_missing = |told: &Told| told.failed().count() < told.n_failed;
    if patched.n_failed > base.n_failed + flaky.len() {
        let n_more = patched.n_failed - base.n_failed;
        faults.push(Fault::Worse(format!("fail that passed before it: {n_more} more")));
    } else if patched.n_passed + flaky.len() < base.n_passed {
        let text = format!("are fewer: {} pass, {} did before it", patched.n_passed, base.n_passed);
        faults.push(Fault::Worse(text));
    } else if patched.n_failed > 0 && (are_names_missing(base) || are_names_missing(patched)) {
        let text = "cannot be judged, as some fail before and after, and the runner does not say whether they are the same";
        faults.push(Fault::Unreadable(text.to_owned()));
    }
    faults
}

/// Tests that two runs of one tree tell differently.
pub(in super::super) fn flaky(one: &Results, other: &Results) -> BTreeSet<String> {
    let (Results::Told(one), Results::Told(other)) = (one, other) else { return BTreeSet::new() };
    let (a, b) = (one.by_name(), other.by_name());
    let names: BTreeSet<&str> = a.keys().chain(b.keys()).copied().collect();
    let is_failing = |ends: Option<&Ends>| ends.is_some_and(|it| it.n_failed > 0);
    names
        .into_iter()
        .filter(|name| is_failing(a.get(name)) != is_failing(b.get(name)))
        .map(str::to_owned)
        .collect()
}

/// Some names, and how many more there are.
fn listed(names: &[&str], n_all: usize) -> String {
    let shown: Vec<String> = names.iter().take(MAX_NAMES).map(|name| format!("`{name}`")).collect();
    match n_all.saturating_sub(shown.len()) {
        0 => shown.join(", "),
        n_more => format!("{} and {n_more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::told::Test;
    use super::*;

    /// `a` passed, `-a` failed, `~a` skipped, `!a` could not be run.
    fn run(tests: &str) -> Results {
        let mut told = Told { is_named: true, ..Told::default() };
        for word in tests.split_whitespace() {
            let (end, name) = match word.split_at(1) {
                ("-", name) => (End::Failed, name),
                ("~", name) => (End::Skipped, name),
                ("!", name) => (End::Error, name),
                _ => (End::Passed, word),
            };
            match end {
                End::Passed => told.n_passed += 1,
                End::Skipped => told.n_skipped += 1,
                End::Failed | End::Error => told.n_failed += 1,
            }
            told.tests.push(Test::new(name, end));
        }
        Results::Told(told)
    }

    /// The same, with the names of failures only.
    fn unnamed(tests: &str) -> Results {
        let Results::Told(mut told) = run(tests) else { unreachable!("it is told") };
        told.tests.retain(|it| matches!(it.end, End::Failed | End::Error));
        told.is_named = false;
        Results::Told(told)
    }

    fn broken() -> Results {
        Results::Broken("odd".to_owned())
    }

    fn check_new(before: &Results, after: &Results, is_known: bool, expected: Option<&str>) {
        let fault = of_new_tests(before, after, is_known);
        assert_eq!(fault.as_ref().map(Fault::text), expected, "{before:?} {after:?}");
    }

    #[test]
    fn a_new_test_must_have_passed() {
        check_new(&run("-a b"), &run("a b"), true, None);
        check_new(&run("-a b"), &run("a b c"), true, None);
        check_new(&unnamed("-a b"), &unnamed("a b"), true, None);
        // A file that could not be loaded is not named any more.
        check_new(&run("!file"), &run("a b"), true, None);
        check_new(&Results::Silent, &run("a"), true, None);
        check_new(&broken(), &run("a"), true, None);
        check_new(&Results::Silent, &Results::Silent, false, None);
        let early =
            "With the change the tests end without telling their results, so nothing shows that they passed.";
        check_new(&Results::Silent, &Results::Silent, true, Some(early));
        check_new(&run("-a"), &Results::Silent, false, Some(early));
        let skipped = "With the change the test `a` is skipped.";
        check_new(&run("-a b"), &run("~a b"), true, Some(skipped));
        check_new(&run("-a b"), &run("b c"), true, Some("With the change the test `a` is not run."));
        check_new(&run("-a"), &run("~a"), true, Some("With the change no test is run that passes."));
        check_new(&run("-a"), &run(""), true, Some("With the change no test is run that passes."));
        let fewer = "With the change 1 tests pass, but 2 were run without it.";
        check_new(&unnamed("-a b"), &unnamed("b"), true, Some(fewer));
        let odd = "The results of the new test with the change cannot be trusted: odd.";
        check_new(&run("-a"), &broken(), true, Some(odd));
    }

    fn check_all(base: &Results, patched: &Results, codes: (i64, i64), is_known: bool, expected: &[&str]) {
        let found = of_all_tests((base, codes.0), (patched, codes.1), &BTreeSet::new(), is_known);
        let texts: Vec<&str> = found.iter().map(Fault::text).collect();
        assert_eq!(texts, expected, "{base:?} {patched:?}");
    }

    #[test]
    fn a_red_base_hides_nothing() {
        check_all(&run("a -b"), &run("a -b new"), (1, 1), true, &[]);
        check_all(&run("a -b"), &run("a b new"), (1, 0), true, &[]);
        check_all(&run("a -b"), &run("-a -b"), (1, 1), true, &["fail that passed before it: `a`"]);
        check_all(&run("a -b"), &run("a -b -c"), (1, 1), true, &["fail that passed before it: `c`"]);
        check_all(&unnamed("a c -b"), &unnamed("-a c b"), (1, 1), true, &["fail that passed before it: `a`"]);
        let codes =
            "cannot be judged, as the command fails on the base branch too and tells nothing of single tests";
        check_all(&Results::Silent, &Results::Silent, (1, 1), false, &[codes]);
        let now = "cannot be judged, as the results on the base branch cannot be read; these fail now: `a`";
        check_all(&broken(), &run("-a b"), (1, 1), true, &[now]);
        check_all(&broken(), &run("a b"), (1, 0), true, &[]);
    }

    #[test]
    fn tests_do_not_vanish() {
        check_all(
            &run("a b"),
            &run("a new"),
            (0, 0),
            true,
            &["are not run any more that passed before it: `b`"],
        );
        check_all(&run("a b"), &run("a ~b"), (0, 0), true, &["are skipped that passed before it: `b`"]);
        check_all(&run("a a"), &run("a"), (0, 0), true, &["are not run any more that passed before it: `a`"]);
        check_all(&unnamed("a b"), &unnamed("a"), (0, 0), true, &["are fewer: 1 pass, 2 did before it"]);
        check_all(&run("a b"), &Results::Silent, (0, 0), true, &["end without telling their results"]);
        check_all(&Results::Silent, &Results::Silent, (0, 0), true, &["end without telling their results"]);
        check_all(&Results::Silent, &Results::Silent, (0, 0), false, &[]);
        check_all(&Results::Silent, &Results::Silent, (0, 1), false, &["fail that passed before it"]);
        let odd = "cannot be judged, as the results cannot be trusted: odd";
        check_all(&run("a"), &broken(), (0, 0), true, &[odd]);
    }

    #[test]
    fn flaky_tests_count_neither_way() {
        let unstable = flaky(&run("a b -c"), &run("a -b -c"));
        assert_eq!(unstable, BTreeSet::from(["b".to_owned()]));
        let found = of_all_tests((&run("a b -c"), 1), (&run("a -b -c"), 1), &unstable, true);
        assert_eq!(found, []);
        let found = of_all_tests((&run("a b"), 0), (&run("-a -b"), 1), &unstable, true);
        assert_eq!(found, [Fault::Worse("fail that passed before it: `a`".to_owned())]);
    }
}
