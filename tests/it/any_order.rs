//! **Invariant:** the same program on the same input gives the same identities on any machine, in any order, at any chunking.
//!
//! Samples of real programs (`tests/fixtures/traces`, `records`) are shuffled over interleaved streams and read in blocks of any size;
//! and each is changed in what differs from machine to machine: folders, lines, addresses, ids.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its data must fail")]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use homeostat::watch::ingest::decode::Format;
use homeostat::watch::ingest::files::Scan;
use homeostat::watch::ingest::pipeline::Pipeline;
use proptest::prelude::*;
use regex::{Captures, Regex};

/// What stands between the samples of a stream.
const ORDINARY: &str = "2026-03-04T10:00:00.123Z INFO  [http] GET /health 200 in 3 ms";

const N_STREAMS: usize = 8;

/// Names and texts.
static SAMPLES: LazyLock<Vec<(String, String)>> = LazyLock::new(|| {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let files = ["records", "traces"].map(|it| fs::read_dir(folder.join(it)).unwrap()).into_iter().flatten();
    let mut samples: Vec<(String, String)> = files
        .map(|it| it.unwrap().path())
        .map(|it| (it.file_stem().unwrap().to_string_lossy().into_owned(), fs::read_to_string(&it).unwrap()))
        .map(|(name, text)| (name, text.trim_end().to_owned()))
        .collect();
    samples.sort();
    samples
});

fn identity(pipeline: &Pipeline, text: &str) -> String {
    pipeline.identify(text).1.fingerprint.full()
}

/// How often each identity is found in lines of several streams, read in blocks of so many bytes.
fn found(streams: &[Vec<String>], rng: &mut fastrand::Rng, block_bytes: usize) -> BTreeMap<String, usize> {
    let mut left: Vec<_> = streams.iter().map(|it| it.iter()).collect();
    let mut text = String::new();
    while left.iter().any(|it| it.len() > 0) {
        let idx = rng.usize(..left.len());
        // Some lines of one, then some of another.
        for line in left[idx].by_ref().take(rng.usize(1..6)) {
            let line = serde_json::json!({"stream": format!("s{idx}"), "line": line});
            text.push_str(&format!("{line}\n"));
        }
    }
    let mut identities = BTreeMap::new();
    Scan::new(Pipeline::builtin(), Some(Format::Jsonl))
        .with_blocks(block_bytes)
        .reader(text.as_bytes(), &mut |it| {
            *identities.entry(it.found.identity.fingerprint.full()).or_default() += 1;
        })
        .unwrap();
    identities
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn shuffled_and_interleaved_samples_have_their_identities(seed: u64, block_bytes in 100_usize..300_000) {
        let mut rng = fastrand::Rng::with_seed(seed);
        let pipeline = Pipeline::builtin();
        let mut streams = vec![vec![ORDINARY.to_owned()]; N_STREAMS];
        let mut expected: BTreeMap<String, usize> = BTreeMap::new();
        for (_, text) in rng.choose_multiple(SAMPLES.iter(), 60) {
            let stream = &mut streams[rng.usize(..N_STREAMS)];
            stream.extend(text.lines().map(str::to_owned));
            stream.push(ORDINARY.to_owned());
            *expected.entry(identity(&pipeline, text)).or_default() += 1;
        }
        prop_assert_eq!(found(&streams, &mut rng, block_bytes), expected);
    }
}

/// What differs from machine to machine and from run to run.
struct Changes {
    lines: Regex,
    addresses: Regex,
    processes: Regex,
}

impl Changes {
    fn new() -> Self {
        let regex = |it: &str| Regex::new(it).unwrap();
        Self {
            // `a.go:12`, `a.rb:6:in`, `"a.py", line 3`, `a.php(5)`, `in /a.php on line 3`, `a.erl"},{line,3}`
            lines: regex(
                r#"(\.(?:go|rb|py|js|ts|java|kt|scala|clj|rs|cpp|lua|hs|erl|exs?|php|cs|pl)(?:", line |:|\(| on line |"\},\{line,|, line | line ))(\d+)"#,
            ),
            addresses: regex(r"0x[0-9a-f]{6,}"),
            processes: regex(r"(PID<0\.|Error in process <0\.|thread '\w+' \(|^==)(\d+)"),
        }
    }

    fn apply(&self, text: &str, rng: &mut fastrand::Rng) -> String {
        let folder = format!("/{}/{}-{}", word(rng), word(rng), rng.u32(..));
        let text = text
            .replace("/srv/shop", &folder)
            .replace("A-17", &format!("{}-{}", word(rng).to_uppercase(), rng.u16(..)));
        let by = rng.u32(1..900);
        // A shift: what was one line stays one line.
        let text = self.lines.replace_all(&text, |it: &Captures<'_>| {
            format!("{}{}", &it[1], it[2].parse::<u32>().unwrap_or(0).saturating_add(by))
        });
        let text = self.addresses.replace_all(&text, |it: &Captures<'_>| {
            let digits = it[0].len() - 2;
            format!("0x{}", (0..digits).map(|_| rng.digit(16)).collect::<String>())
        });
        self.processes
            .replace_all(&text, |it: &Captures<'_>| format!("{}{}", &it[1], rng.u16(..)))
            .into_owned()
    }
}

fn word(rng: &mut fastrand::Rng) -> String {
    (0..rng.usize(3..9)).map(|_| rng.lowercase()).collect()
}

#[test]
fn folders_lines_addresses_and_ids_change_no_identity() {
    let (changes, pipeline) = (Changes::new(), Pipeline::builtin());
    let mut rng = fastrand::Rng::with_seed(17);
    let mut wrong = Vec::new();
    for (name, text) in SAMPLES.iter().filter(|it| it.0.contains('.')) {
        for _ in 0..3 {
            let changed = changes.apply(text, &mut rng);
            if identity(&pipeline, &changed) != identity(&pipeline, text) {
                wrong.push(format!("{name}:\n{changed}"));
                break;
            }
        }
    }
    assert!(wrong.is_empty(), "{} of them: {}", wrong.len(), wrong.join("\n\n"));
}
