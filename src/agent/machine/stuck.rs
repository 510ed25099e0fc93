//! Notices when the agent goes in circles.
//!
//! Numbers do not count: the same test run twice differs in its seconds, the same crash in its addresses.

use std::collections::VecDeque;

use super::event::ToolCall;

/// The same action with the same result so often in a row.
const N_SAME: usize = 4;
/// The same action with the same error so often in a row.
const N_SAME_ERRORS: usize = 3;
/// Two actions in turn, so many in all.
const N_ALTERNATING: usize = 6;

/// The latest tool runs since the last nudge.
#[derive(Debug, Default)]
pub(super) struct StuckWatch {
    latest: VecDeque<(String, bool)>,
    is_nudged: bool,
}

/// What a tool run says about the way the agent goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Course {
    Fine,
    /// In circles for the first time: tell it.
    Nudge,
    /// In circles again.
    Stuck,
}

impl StuckWatch {
    /// What it would mean if this run were next.
    pub(super) fn look(&self, digest: &str, is_error: bool) -> Course {
        let mut latest = self.latest.clone();
        latest.push_back((digest.to_owned(), is_error));
        match (is_circle(&latest), self.is_nudged) {
            (false, _) => Course::Fine,
            (true, false) => Course::Nudge,
            (true, true) => Course::Stuck,
        }
    }

    /// Notes a run, and whether the agent was told after it.
    pub(super) fn note(&mut self, digest: &str, is_error: bool, is_nudged: bool) {
        self.latest.push_back((digest.to_owned(), is_error));
        if self.latest.len() > N_ALTERNATING {
            self.latest.pop_front();
        }
        if is_nudged {
            self.is_nudged = true;
            self.latest.clear();
        }
    }
}

fn is_circle(latest: &VecDeque<(String, bool)>) -> bool {
    let Some(newest) = latest.back() else { return false };
    let n_same = latest.iter().rev().take_while(|run| *run == newest).count();
    let alternates = || {
        let tail: Vec<_> = latest.iter().rev().take(N_ALTERNATING).collect();
        tail.len() == N_ALTERNATING && tail[0] != tail[1] && tail.windows(3).all(|run| run[0] == run[2])
    };
    n_same >= N_SAME || (newest.1 && n_same >= N_SAME_ERRORS) || alternates()
}

/// What makes two runs the same: the action, and its result without numbers.
pub(in crate::agent) fn digest(call: &ToolCall, text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        if !c.is_ascii_hexdigit() {
            plain.push(c);
        } else if !c.is_ascii_digit() {
            // A letter of a word, or a digit of an address: only what stands beside a number is one.
            if !plain.ends_with('#') {
                plain.push(c);
            }
        } else if !plain.ends_with('#') {
            plain.push('#');
        }
    }
    let mut hasher = blake3::Hasher::new();
    for part in [&call.name, &call.input, &plain] {
        hasher.update(part.as_bytes());
        hasher.update(&[0]);
    }
    hasher.finalize().to_hex()[..32].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One letter per run, upper case for errors; where the watch first speaks, and where it ends.
    fn check(runs: &str, nudged_at: Option<usize>, stuck_at: Option<usize>) {
        let mut watch = StuckWatch::default();
        let mut found = (None, None);
        for (run_idx, run) in runs.chars().enumerate() {
            let course = watch.look(&run.to_string(), run.is_uppercase());
            match course {
                Course::Fine => {}
                Course::Nudge => found.0 = Some(run_idx + 1),
                Course::Stuck => {
                    found.1 = Some(run_idx + 1);
                    break;
                }
            }
            watch.note(&run.to_string(), run.is_uppercase(), course == Course::Nudge);
        }
        assert_eq!(found, (nudged_at, stuck_at), "{runs}");
    }

    #[test]
    fn circles_are_seen_and_nothing_else() {
        check("aaabaaab", None, None);
        check("aaaa", Some(4), None);
        check("aaaaaaaa", Some(4), Some(8));
        check("AAA", Some(3), None);
        check("AAAbAAA", Some(3), Some(7));
        check("AAbAAbAA", None, None);
        check("ababab", Some(6), None);
        check("ababababababa", Some(6), Some(12));
        check("abcabcabcabc", None, None);
    }

    #[test]
    fn numbers_do_not_make_a_difference() {
        let call = ToolCall { id: "1".into(), name: "run_command".into(), input: "{}".into() };
        let same = |a: &str, b: &str| digest(&call, a) == digest(&call, b);
        assert!(same("1 failed in 0.02s", "1 failed in 13.40s"));
        assert!(same("at 0x7f3a10", "at 0x55bc9e"));
        assert!(!same("KeyError: 'a'", "KeyError: 'b'"));
        let other = ToolCall { input: "{ }".into(), ..call.clone() };
        assert_ne!(digest(&call, "x"), digest(&other, "x"));
    }
}
