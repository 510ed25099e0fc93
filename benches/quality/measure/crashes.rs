//! Crash outputs of native programs, kernels and fuzzers: one record each, and whether its type and first frames are
//! those that a tool made for fuzzing takes. Its rules are its own, so agreement is a guide.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use homeostat::base::redact::Clean;
use homeostat::model::trace::Frame;
use homeostat::watch::fingerprint::{Fingerprinted, Fingerprinter};
use homeostat::watch::ingest::decode::Format;
use serde_json::Value;

use super::{Figure, Report, records, samples};

/// What the tool says of a file.
struct Expected {
    kind: String,
    frames: Vec<String>,
}

pub(crate) fn measure(folder: &Path, report: &mut Report) {
    let text = fs::read_to_string(folder.join("expected.jsonl")).unwrap();
    let expected: BTreeMap<String, Expected> = text.lines().map(expected).collect();
    let samples = samples::texts(folder);
    let (mut n_one, mut n_first, mut n_three, mut n_kind) = (0, 0, 0, 0);
    let fingerprinter = Fingerprinter::builtin();
    for sample in &samples {
        let (log, _) = records::between(&sample.lines, 0);
        let rows = records::scan(Format::Plain, &log);
        n_one += usize::from(rows.len() == 1);
        if rows.len() != 1 {
            let heads: Vec<&str> = rows.iter().map(|it| it.text.lines().next().unwrap_or("")).collect();
            report.notes.push(format!("clusterfuzz: {}: {} records {heads:#?}", sample.label, rows.len()));
        }
        let Some(expected) = expected.get(&sample.label) else { continue };
        // Of several the one with the stack.
        let found = rows.iter().map(|it| fingerprinter.fingerprint(&Clean::trusted(it.text.as_str())));
        let Some(found) = found.max_by_key(|it| own_frames(it).len()) else { continue };
        let own = own_frames(&found);
        let is_expected = |it: &Frame| expected.frames.iter().any(|name| is_same(it, name));
        let is_first = own.first().is_some_and(is_expected);
        n_first += usize::from(is_first);
        let are_three = !own.is_empty()
            && expected
                .frames
                .iter()
                .zip(own.iter().map(Some).chain([None; 3]))
                .all(|(name, it)| it.is_some_and(|it| is_same(it, name)));
        n_three += usize::from(are_three);
        let kind = found.trace.as_ref().and_then(|it| it.root()).map_or("", |it| it.kind.as_str());
        let is_kind = is_same_kind(kind, &expected.kind);
        n_kind += usize::from(is_kind);
        if !is_first {
            let names: Vec<&str> = own.iter().take(3).map(|it| it.function.as_str()).collect();
            report.notes.push(format!(
                "clusterfuzz: {}: own frames {names:?}, not {:?}",
                sample.label, expected.frames
            ));
        }
        if !is_kind {
            report
                .notes
                .push(format!("clusterfuzz: {}: type {kind:?}, not {:?}", sample.label, expected.kind));
        }
    }
    let n = samples.len();
    for (name, part) in
        [("one", n_one), ("first_frame", n_first), ("three_frames", n_three), ("type", n_kind)]
    {
        report.add("clusterfuzz", name, Figure::share(part, n));
    }
}

fn expected(line: &str) -> (String, Expected) {
    let value: Value = serde_json::from_str(line).unwrap();
    let text = |it: &Value| it.as_str().unwrap_or("").to_owned();
    let frames = value["top_frames"].as_array().unwrap().iter().map(text).collect();
    (
        text(&value["file"]).trim_end_matches(".txt").to_owned(),
        Expected { kind: text(&value["type"]), frames },
    )
}

/// The service's own frames of the root cause, innermost first.
fn own_frames(found: &Fingerprinted) -> Vec<Frame> {
    let root = found.trace.as_ref().and_then(|it| it.root());
    root.map(|it| it.frames.iter().filter(|it| it.in_app).cloned().collect()).unwrap_or_default()
}

/// The tool's names have neither arguments nor packages, and end after 80 characters.
fn is_same(frame: &Frame, name: &str) -> bool {
    let function = bare(&frame.function);
    let file = frame.file.as_deref().unwrap_or("").rsplit(['/', '\\']).next().unwrap_or("");
    let is_cut = name.len() >= 75 && bare(name).len() > 60;
    let package = function.rsplit('/').next().unwrap_or(&function);
    let is_name = |it: &str| it == bare(name) || it == name || is_cut && it.starts_with(&bare(name));
    // A condition that does not hold stands for its place.
    let place = name.rsplit_once(" in ").map_or(name, |it| it.1);
    let is_place = file == place || name.len() >= 75 && place.len() > 8 && file.starts_with(place);
    is_name(&function)
        || is_name(package)
        || (!file.is_empty() && is_place && (frame.function.is_empty() || place == name))
}

/// Without arguments, template arguments and what the compiler added.
fn bare(name: &str) -> String {
    let name = name.replace("(anonymous namespace)::", "").replace("operator()", "operator");
    let name = name.split(" [clone").next().unwrap_or("");
    let name = name.strip_prefix("void ").unwrap_or(name);
    // A method of Go's has its receiver in brackets.
    let end =
        name.match_indices('(').map(|it| it.0).find(|at| !name[..*at].ends_with('.')).unwrap_or(name.len());
    name[..end].trim().to_owned()
}

fn is_same_kind(kind: &str, expected: &str) -> bool {
    let letters =
        |it: &str| it.to_lowercase().chars().filter(char::is_ascii_alphanumeric).collect::<String>();
    let expected = letters(expected.lines().next().unwrap_or(""));
    let kind = letters(kind.rsplit(": ").next().unwrap_or(kind));
    !kind.is_empty() && (kind.contains(&expected) || expected.contains(&kind))
}
