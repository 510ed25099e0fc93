//! Why two records are one issue, or two.

use std::fmt;

use super::Explanation;

/// Two records side by side; shown as plain text.
#[derive(Debug)]
pub struct Diff<'a> {
    a: &'a Explanation,
    b: &'a Explanation,
}

/// A part of both identities, or of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part<'a> {
    Both(&'a str),
    OnlyA(&'a str),
    OnlyB(&'a str),
}

impl Explanation {
    /// This record beside another one.
    pub const fn diff<'a>(&'a self, other: &'a Self) -> Diff<'a> {
        Diff { a: self, b: other }
    }
}

impl<'a> Diff<'a> {
    /// Whether both are one issue (of one service).
    pub fn is_same(&self) -> bool {
        self.a.fingerprinted.levels.identity == self.b.fingerprinted.levels.identity
    }

    /// What was hashed of each, in order: what both have is told once.
    pub fn parts(&self) -> Vec<Part<'a>> {
        let (a, b) = (parts(&self.a.fingerprinted.preimage), parts(&self.b.fingerprinted.preimage));
        common(&a, &b)
    }
}

impl fmt::Display for Diff<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (a, b) = (&self.a.fingerprinted, &self.b.fingerprinted);
        if self.is_same() {
            writeln!(f, "same      both are {}", a.levels.identity.full())?;
        } else {
            writeln!(f, "different A is {}", a.levels.identity.full())?;
            writeln!(f, "          B is {}", b.levels.identity.full())?;
        }
        two(f, "title", a.title.as_str(), b.title.as_str())?;
        two(f, "runtime", a.runtime.name(), b.runtime.name())?;
        let levels =
            |it: &super::Fingerprinted| (it.levels.exact.full(), it.levels.place.map(|it| it.full()));
        let same = |is: bool| if is { "the same" } else { "different" };
        let (of_a, of_b) = (levels(a), levels(b));
        writeln!(f, "exact     {}", same(of_a.0 == of_b.0))?;
        match (of_a.1, of_b.1) {
            (None, None) => writeln!(f, "place     neither has frames")?,
            (place_a, place_b) => writeln!(f, "place     {}", same(place_a == place_b))?,
        }
        two(f, "template", &a.levels.template, &b.levels.template)?;
        let part = |it: &Explanation| {
            if it.has_template { "part of the identity" } else { "not part of the identity" }
        };
        two(f, "its role", part(self.a), part(self.b))?;
        for (name, explanation) in [("A", self.a), ("B", self.b)] {
            if let Some(decided) = &explanation.decided {
                writeln!(f, "decided   {name} {decided}")?;
            }
        }
        write!(f, "hashed")?;
        for part in self.parts() {
            match part {
                Part::Both(text) => write!(f, "\n            {text}")?,
                Part::OnlyA(text) => write!(f, "\n          A {text}")?,
                Part::OnlyB(text) => write!(f, "\n          B {text}")?,
            }
        }
        Ok(())
    }
}

/// One line where both are alike, else two.
fn two(f: &mut fmt::Formatter<'_>, name: &str, a: &str, b: &str) -> fmt::Result {
    if a == b {
        return writeln!(f, "{name:<9} {a}");
    }
    writeln!(f, "{name:<9} A {a}")?;
    writeln!(f, "          B {b}")
}

/// The parts of a preimage: each is led by its length.
fn parts(preimage: &str) -> Vec<&str> {
    let mut rest = preimage.split_once('\n').map_or("", |(_, rest)| rest);
    let mut parts = Vec::new();
    while let Some((length, behind)) = rest.split_once(':') {
        let Some((part, behind)) = length.parse().ok().and_then(|it| behind.split_at_checked(it)) else {
            break;
        };
        parts.push(part);
        rest = behind.strip_prefix('\n').unwrap_or(behind);
    }
    parts
}

/// The longest common subsequence of both, and what stands between.
fn common<'a>(a: &[&'a str], b: &[&'a str]) -> Vec<Part<'a>> {
    let mut lengths = vec![vec![0_usize; b.len() + 1]; a.len() + 1];
    for at_a in (0..a.len()).rev() {
        for at_b in (0..b.len()).rev() {
            lengths[at_a][at_b] = if a[at_a] == b[at_b] {
                lengths[at_a + 1][at_b + 1] + 1
            } else {
                lengths[at_a + 1][at_b].max(lengths[at_a][at_b + 1])
            };
        }
    }
    let (mut at_a, mut at_b, mut out) = (0, 0, Vec::new());
    while at_a < a.len() || at_b < b.len() {
        if at_a < a.len() && at_b < b.len() && a[at_a] == b[at_b] {
            out.push(Part::Both(a[at_a]));
            (at_a, at_b) = (at_a + 1, at_b + 1);
        } else if at_b == b.len() || at_a < a.len() && lengths[at_a + 1][at_b] >= lengths[at_a][at_b + 1] {
            out.push(Part::OnlyA(a[at_a]));
            at_a += 1;
        } else {
            out.push(Part::OnlyB(b[at_b]));
            at_b += 1;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::redact::Clean;
    use crate::watch::fingerprint::Fingerprinter;

    #[track_caller]
    fn check(a: &str, b: &str, is_same: bool, expected: &[Part<'_>]) {
        let explain = |text: &str| Fingerprinter::builtin().explain(&Clean::trusted(text));
        let (a, b) = (explain(a), explain(b));
        let diff = a.diff(&b);
        assert_eq!((diff.is_same(), diff.parts()), (is_same, expected.to_vec()), "{diff}");
        assert_eq!(diff.to_string().starts_with("same"), is_same);
    }

    #[test]
    fn what_differs_is_told() {
        let both = Part::Both("message");
        check("ERROR: no stock", "ERROR: no stock", true, &[both.clone(), Part::Both("no stock")]);
        let (a, b) = (Part::OnlyA("no stock"), Part::OnlyB("no money"));
        check("ERROR: no stock", "ERROR: no money", false, &[both, a, b]);
        let trace = |file: &str, function: &str| {
            format!(
                "Traceback (most recent call last):\n  File \"/srv/{file}\", line 1, in main\n    x\n  File \"/srv/{file}\", line 2, in {function}\n    y\nKeyError: 'x'"
            )
        };
        check(
            &trace("app.py", "pay"),
            &trace("app.py", "load"),
            false,
            &[
                Part::Both("python"),
                Part::Both("KeyError"),
                Part::OnlyA("pay app.py"),
                Part::OnlyB("load app.py"),
                Part::Both("main app.py"),
            ],
        );
    }

    #[test]
    fn parts_are_read_as_they_were_written() {
        for of in [&["a"][..], &["a\nb", "", "1:x"], &[]] {
            assert_eq!(parts(&super::super::hash::preimage(of)), of);
        }
    }
}
