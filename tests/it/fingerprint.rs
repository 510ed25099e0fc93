//! Joining and fingerprinting, measured: floors for what the shared data shows, so that quality never falls unseen.
//!
//! The data is not part of the project; `HOMEOSTAT_CORPUS` names its folder, and without it these tests print that
//! they skip. Our own samples are tested beside the code.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its data must fail")]
#![expect(clippy::print_stdout, reason = "the figures are for people to read")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use homeostat::base::redact::Clean;
use homeostat::model::record::Record;
use homeostat::watch::fingerprint::Fingerprinter;
use homeostat::watch::join::{Joiner, Limits, plain};
use homeostat::watch::rules::RuleSet;
use homeostat::watch::scan::Scanner;

/// What stands between traces in a log.
const ORDINARY: [&str; 4] = [
    "2024-05-01T10:00:00.123Z INFO  [http] GET /health 200 in 3 ms",
    "INFO:app:request 17 served",
    r#"{"level":"info","msg":"request served","status":200}"#,
    "listening on port 8080",
];

fn corpus() -> Option<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "a test's own switch, not a setting of the program")]
    let folder = std::env::var_os("HOMEOSTAT_CORPUS");
    if folder.is_none() {
        println!("skipped: HOMEOSTAT_CORPUS is not set");
    }
    folder.map(PathBuf::from)
}

static RULES: LazyLock<Arc<RuleSet>> = LazyLock::new(RuleSet::builtin);
static SCANNER: LazyLock<Scanner> = LazyLock::new(|| Scanner::new(Arc::clone(&RULES)));

fn join<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<Record> {
    let mut joiner = Joiner::new(Limits::default());
    let mut records = Vec::new();
    for line in lines {
        joiner.push(line, SCANNER.is_candidate(line.as_bytes()), None, &mut records);
    }
    joiner.flush(&mut records);
    // What no rule hits goes no further.
    records.retain(|it| RULES.detect(&Clean::trusted(&it.text)).is_some());
    records
}

/// Whether the text comes out as one record between ordinary lines, and nothing else does.
fn is_whole(text: &str) -> Result<(), String> {
    for ordinary in ORDINARY {
        let lines = [ordinary, ordinary].into_iter().chain(text.lines()).chain([ordinary, ordinary]);
        let records = join(lines);
        let [record] = &records[..] else {
            return Err(format!("{} records before `{ordinary}`: {:#?}", records.len(), texts(&records)));
        };
        if trimmed(&record.text) != trimmed(text) {
            return Err(format!("before `{ordinary}`:\n{}", record.text));
        }
    }
    Ok(())
}

fn texts(records: &[Record]) -> Vec<&str> {
    records.iter().map(|it| it.text.as_str()).collect()
}

/// Without blanks at the ends of lines and blank lines at the ends.
fn trimmed(text: &str) -> String {
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n").trim_matches('\n').to_owned()
}

/// Our own samples: name, variant, text. `tests/fixtures/generate/run` makes them with real programs.
fn samples() -> Vec<(String, String, String)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/traces");
    let mut samples = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
        let [runtime, bug, variant] = stem.splitn(3, '.').collect::<Vec<_>>()[..] else { panic!("{stem}") };
        let text = fs::read_to_string(&path).unwrap();
        // A terminal's colours are taken off before anything else sees a line.
        let text = text.lines().map(|it| plain(it).into_owned() + "\n").collect();
        samples.push((format!("{runtime}.{bug}"), variant.to_owned(), text));
    }
    samples.sort();
    samples
}

#[test]
fn own_samples_are_one_record_each() {
    let mut wrong = 0;
    for (name, variant, text) in samples() {
        if let Err(why) = is_whole(&text) {
            wrong += 1;
            println!("{name}.{variant}: {}", why.chars().take(700).collect::<String>());
        }
    }
    assert_eq!(wrong, 0);
}

/// What stands in a sample, on one line: runtime, thread, and of each exception, root first, its type, its message, how many of its
/// frames are the service's own, and the first of those.
fn reading(text: &str) -> String {
    let found = Fingerprinter::builtin().fingerprint(&Clean::trusted(trimmed(text)));
    let Some(trace) = &found.trace else { return format!("message {}", found.title.as_str()) };
    let mut line = trace.runtime.name().to_owned();
    if let Some(thread) = &trace.thread {
        line.push_str(&format!(" [{thread}]"));
    }
    for exception in &trace.exceptions {
        let own: Vec<_> = exception.frames.iter().filter(|it| it.in_app).collect();
        let message: String = exception.message.replace('\n', "/").chars().take(60).collect();
        line.push_str(&format!(" | {}: {message} {}/{}", exception.kind, own.len(), exception.frames.len()));
        if let Some(frame) = own.first() {
            let file = frame.file.as_deref().unwrap_or("").rsplit(['/', '\\']).next().unwrap_or("");
            line.push_str(&format!(" {}@{file}:{}", frame.function, frame.line.unwrap_or(0)));
        }
    }
    line
}

/// `tests/fixtures/readings.txt` says what is read from the first variant of each sample. It is looked through by people when it
/// changes: with `HOMEOSTAT_WRITE_READINGS` it is written anew.
#[test]
fn own_samples_are_read_right() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/readings.txt");
    let mut readings: BTreeMap<String, String> = BTreeMap::new();
    for (name, _, text) in samples() {
        readings.entry(name).or_insert_with(|| reading(&text));
    }
    let found: Vec<String> =
        readings.iter().map(|(name, it)| format!("{}: {it}", name.replace('.', " "))).collect();
    #[expect(clippy::disallowed_methods, reason = "a test's own switch, not a setting of the program")]
    if std::env::var_os("HOMEOSTAT_WRITE_READINGS").is_some() {
        fs::write(&path, found.join("\n") + "\n").unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap();
    let expected: Vec<&str> = expected.lines().collect();
    let wrong: Vec<_> = found.iter().filter(|it| !expected.contains(&it.as_str())).collect();
    assert!(wrong.is_empty(), "not as it was: {wrong:#?}");
    assert_eq!(found.len(), expected.len());
}

fn files(folder: &str) -> Option<Vec<(String, String)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(corpus()?.join(folder)).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|it| it == "txt") {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            files.push((name, String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned()));
        }
    }
    files.sort();
    Some(files)
}

fn lines_of(file: &str) -> Option<Vec<serde_json::Value>> {
    let text = fs::read_to_string(corpus()?.join(file)).unwrap();
    Some(text.lines().map(|it| serde_json::from_str(it).unwrap()).collect())
}

#[test]
fn pitfalls_of_other_shippers_are_one_record_each() {
    let Some(files) = files("records/pitfalls") else { return };
    let wrong: Vec<_> =
        files.iter().filter_map(|(name, text)| is_whole(text).err().map(|it| (name, it))).collect();
    for (name, why) in &wrong {
        println!("{name}: {why}");
    }
    println!("pitfalls: {}/{} whole", files.len() - wrong.len(), files.len());
    assert!(wrong.is_empty());
}

#[test]
fn texts_with_exceptions_are_one_record_each() {
    let Some(files) = files("records/detect-exceptions") else { return };
    let mut wrong = 0;
    let mut n_texts = 0;
    for (name, text) in &files {
        // No trace; and two files that are one text.
        if name == "ARBITRARY_TEXT" || name == "JAVA_EXC_PART2" {
            continue;
        }
        let part = files.iter().find(|it| name == "JAVA_EXC_PART1" && it.0 == "JAVA_EXC_PART2");
        let text = format!("{}{}", text, part.map_or("", |it| &it.1));
        n_texts += 1;
        if let Err(why) = is_whole(&text) {
            wrong += 1;
            println!("{name}: {why}");
        }
    }
    println!("detect-exceptions: {}/{n_texts} whole", n_texts - wrong);
    assert_eq!(wrong, 0);
}

#[test]
fn crashes_are_one_record_each() {
    let Some(files) = files("records/clusterfuzz") else { return };
    let mut wrong = 0;
    for (name, text) in &files {
        let lines = [ORDINARY[0]].into_iter().chain(text.lines()).chain([ORDINARY[0]]);
        let records = join(lines);
        if records.len() != 1 {
            wrong += 1;
            let heads: Vec<&str> = records.iter().map(|it| it.text.lines().next().unwrap_or("")).collect();
            println!("{name}: {} records {heads:#?}", records.len());
        }
    }
    println!("clusterfuzz: {}/{} whole", files.len() - wrong, files.len());
    assert!(files.len() - wrong >= 98);
}

#[test]
fn traces_are_whole_and_one_label_is_one_identity() {
    let Some(traces) = lines_of("traces/traces.jsonl") else { return };
    let fingerprinter = Fingerprinter::builtin();
    let mut wrong = 0;
    let mut rows = Vec::new();
    for trace in &traces {
        let label = format!("{}/{}", trace["lang"].as_str().unwrap(), trace["bug"].as_str().unwrap());
        let text = trace["trace"].as_str().unwrap();
        if let Err(why) = is_whole(text) {
            wrong += 1;
            println!("{label}: {}", why.chars().take(600).collect::<String>());
        }
        rows.push((label, fingerprinter.fingerprint(&Clean::trusted(trimmed(text))).levels.identity));
    }
    // One after another on one stream, without anything between.
    let all: Vec<&str> = traces.iter().map(|it| it["trace"].as_str().unwrap()).collect();
    let n_together = join(all.iter().flat_map(|it| it.lines()))
        .iter()
        .filter(|it| all.iter().any(|text| trimmed(text) == trimmed(&it.text)))
        .count();
    println!("assembly: {}/{} between lines, {n_together} back to back", rows.len() - wrong, rows.len());
    let (precision, recall) = pairwise(&rows);
    println!("pairwise precision {precision:.4} recall {recall:.4}");
    assert!(wrong * 100 <= rows.len());
    assert!(n_together * 100 >= rows.len() * 99);
    assert!(precision >= 0.995 && recall >= 0.995);
}

/// Precision and recall over pairs of traces that share a label or an identity.
fn pairwise<T: PartialEq + std::fmt::Debug>(rows: &[(String, T)]) -> (f64, f64) {
    let (mut both, mut label_only, mut identity_only) = (0_u32, 0_u32, 0_u32);
    let mut split = BTreeSet::new();
    let mut merged = BTreeSet::new();
    for (place, one) in rows.iter().enumerate() {
        for other in &rows[place + 1..] {
            match (one.0 == other.0, one.1 == other.1) {
                (true, true) => both += 1,
                (true, false) => {
                    label_only += 1;
                    split.insert(&one.0);
                }
                (false, true) => {
                    identity_only += 1;
                    merged.insert((&one.0, &other.0));
                }
                (false, false) => {}
            }
        }
    }
    println!("split: {split:?}\nmerged: {merged:?}");
    (f64::from(both) / f64::from(both + identity_only), f64::from(both) / f64::from(both + label_only))
}

#[test]
fn two_bugs_of_java_tests_are_two_identities() {
    let Some(traces) = lines_of("traces/java-tests.jsonl") else { return };
    let fingerprinter = Fingerprinter::builtin();
    let mut bugs: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut whole = 0;
    for trace in &traces {
        let text = trace["trace"].as_str().unwrap();
        whole += usize::from(is_whole(text).is_ok());
        let identity = fingerprinter.fingerprint(&Clean::trusted(text)).levels.identity.full();
        bugs.entry(identity).or_default().insert(format!("{}-{}", trace["project"], trace["bug"]));
    }
    let mixed: Vec<_> = bugs.values().filter(|it| it.len() > 1).collect();
    println!(
        "java-tests: {} identities, {} with two bugs: {mixed:?}; whole {whole}/{}",
        bugs.len(),
        mixed.len(),
        traces.len()
    );
    assert!(mixed.len() * 100 <= bugs.len() * 3);
}

#[test]
fn messages_group_as_their_templates_do() {
    let Some(folder) = corpus() else { return };
    let fingerprinter = Fingerprinter::builtin();
    let mut sums = (0.0, 0.0, 0.0);
    let mut entries: Vec<_> =
        fs::read_dir(folder.join("loghub")).unwrap().map(|it| it.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        let text = fs::read_to_string(&path).unwrap();
        let mut truth: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        let mut found: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        let mut n_lines = 0;
        for (place, line) in text.lines().enumerate() {
            let (template, content) = line.split_once('\t').unwrap();
            truth.entry(template).or_default().push(place);
            let identity = fingerprinter.fingerprint(&Clean::trusted(content)).levels.identity.full();
            found.entry(identity).or_default().push(place);
            n_lines += 1;
        }
        let groups: BTreeSet<&Vec<usize>> = found.values().collect();
        let right: Vec<&Vec<usize>> = truth.values().filter(|it| groups.contains(it)).collect();
        let accuracy = right.iter().map(|it| it.len()).sum::<usize>() as f64 / f64::from(n_lines);
        let precision = right.len() as f64 / found.len() as f64;
        let recall = right.len() as f64 / truth.len() as f64;
        let f1 = if right.is_empty() { 0.0 } else { 2.0 * precision * recall / (precision + recall) };
        println!("{:10} GA {accuracy:.3} FGA {f1:.3}", path.file_stem().unwrap().to_string_lossy());
        sums = (sums.0 + accuracy, sums.1 + f1, sums.2 + 1.0);
    }
    let (accuracy, f1) = (sums.0 / sums.2, sums.1 / sums.2);
    println!("mean       GA {accuracy:.3} FGA {f1:.3}");
    assert!(accuracy >= 0.94 && f1 >= 0.95);
}
