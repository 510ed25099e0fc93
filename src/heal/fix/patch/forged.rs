//! Tests that could show the issue's error, or tell a fix, without running the code.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use regex::Regex;

use crate::heal::policy::{Finding, Language, Lines, PatchLine, Place, Rules, put_together};

/// What the log says of the error.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told<'a> {
    pub(super) record: &'a str,
    pub(super) has_frames: bool,
}

/// Shortest message that is looked for.
const MIN_MESSAGE: usize = 8;

/// Looks at the tests that a patch adds lines to.
pub(super) fn examine(lines: &Lines<'_>, told: Told<'_>, findings: &mut Vec<Finding>) {
    let mut files: BTreeMap<&str, Vec<&PatchLine<'_>>> = BTreeMap::new();
    for line in lines.0.iter().filter(|line| line.is_test()) {
        files.entry(line.path).or_default().push(line);
    }
    let sources: BTreeSet<&str> =
        lines.0.iter().filter(|line| line.place == Place::Source).map(|line| line.path).collect();
    let rules = Rules::builtin();
    for lines in files.into_values() {
        let quoting = quotes_log(&lines, told);
        findings.extend(quoting.map(|line| rules.finding("tests.quotes_log", line.shown(), "")));
        let reading = reads_source(&lines, &sources);
        findings.extend(reading.map(|line| rules.finding("tests.reads_source", line.shown(), "")));
    }
}

/// The first line that writes out what the log says: a place of its trace, or its message where that is printed.
fn quotes_log<'l, 'a>(lines: &[&'l PatchLine<'a>], told: Told<'_>) -> Option<&'l PatchLine<'a>> {
    static PRINTS: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"\bprint\w*\s*\(|\bconsole\.\w+\(|\bstd(out|err)\b|\be?print(ln)?!|\bpanic!\(|\bfmt\.F?[Pp]rint|\bt\.(Log|Error|Fatal)f?\(|\bputs\b|\bwarn\b|\becho\b|\bSystem\.(out|err)\b|\bConsole\.|\bprintf\b|\berror_log\(|\blog(ger|ging)?\.\w+\(|\bfail\(|\bwrite\w*\(").expect("a constant pattern")
    });
    static THROWS: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"\b(raise|throw)\b|\bErrorf?\(|\berrors\.New\(|\bException\(")
            .expect("a constant pattern")
    });
    let places = places(told.record);
    let messages = messages(told);
    let says = |text: &str| {
        let is_shown = PRINTS.is_match(text) || (!told.has_frames && THROWS.is_match(text));
        self::places(text).iter().any(|place| places.contains(place))
            || (is_shown && messages.iter().any(|message| text.contains(message.as_str())))
    };
    let by_line = lines.iter().find(|line| says(line.text));
    by_line.or_else(|| says(&put_together(lines)).then(|| lines.first()).flatten()).copied()
}

/// Files with their lines, as traces name them.
fn places(text: &str) -> BTreeSet<(String, String)> {
    static PLACE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r#"([\w-]+\.(?:py|js|jsx|ts|tsx|mjs|cjs|go|rs|java|kt|scala|rb|php|cs|c|cc|cpp|ex|exs|sh))(?:", line |:line |:|\()(\d+)"#)
            .expect("a constant pattern")
    });
    PLACE.captures_iter(text).map(|found| (found[1].to_owned(), found[2].to_owned())).collect()
}

/// What the error says: behind its type, or, without a trace, the longest stretch that does not change.
fn messages(told: Told<'_>) -> Vec<String> {
    static TYPED: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?m)\b[A-Za-z_][\w.:]*(?:Error|Exception|Panic|Warning|Failure|Fault)\w*: *(\S.*)$")
            .expect("a constant pattern")
    });
    let mut messages: Vec<String> =
        TYPED.captures_iter(told.record).map(|found| found[1].trim().to_owned()).collect();
    if !told.has_frames {
        let first = told.record.lines().next().unwrap_or_default();
        let stretches = first.split(|c: char| c.is_ascii_digit() || "\"'`{}[]<>=|".contains(c));
        // The head of a line says when and who, not what.
        let longest = stretches.map(str::trim).max_by_key(|it| it.len()).unwrap_or_default();
        let bare = longest.rsplit(": ").next().unwrap_or_default();
        messages.extend([longest, bare].map(str::to_owned));
    }
    messages.retain(|message| message.len() >= MIN_MESSAGE);
    messages
}

/// The first line by which a test reaches for the text of the code that the patch changes.
fn reads_source<'l, 'a>(lines: &[&'l PatchLine<'a>], sources: &BTreeSet<&str>) -> Option<&'l PatchLine<'a>> {
    static READS: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"\bopen\(|\bread_(text|bytes|lines)\(|\.read\(|\.readlines?\(|\bread_?[Ff]ile(Sync)?\b|\breadAllLines\b|\bcreateReadStream\(|\bos\.(Open|ReadFile|Stat)\(|\bfs::(read|metadata|exists)|\bFile::open\(|\binclude_(str|bytes)!|\bFiles\.\w+\(|\bnew (File|FileReader|FileInputStream)\(|\bFile\.\w+[(? ]|\bIO\.(read|foreach)|\bfile_get_contents\(|\bf?open\(|\bfile(_exists|size|mtime)?\(|\b(cat|grep|sed|awk|diff|cmp|head|wc|md5sum|sha\d+sum)\b|\b(exists|isfile|is_file|getsize|stat|existsSync|accessSync|statSync|lstatSync|filecmp|getmtime)\(|\[\[? +!? ?-[efs] ").expect("a constant pattern")
    });
    static LOOKS_AROUND: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r#"\b\w+\.__file__\b|\brequire\.resolve\(|\bmodule\.__spec__|\bgit\b["', ]+(diff|status|log|show|grep|stash|ls-files)\b|["']git["']|(glob|Glob|rglob|walk|Walk|listdir|readdir|readdirSync|scandir|ReadDir|Dir\[)[^\n]*\.(py|js|ts|go|rs|java|kt|rb|php|cs)\b"#).expect("a constant pattern")
    });
    static IMPORT: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r#"^\s*(import|from|use|using|#include|export)\b|^\s*(source|\.)\s+[\w./$"]|\brequire(_relative)?\b\s*\(?\s*["']|\bfrom\s+["']|\bmock\(|\bimport\("#).expect("a constant pattern")
    });
    let reads = lines.iter().find(|line| READS.is_match(line.code) || line.code.contains(".__file__"))?;
    let names = |text: &str| {
        sources.iter().any(|path| {
            let name = path.rsplit('/').next().unwrap_or_default();
            let is_code = Language::of(path) != Language::Other;
            is_code
                && text
                    .match_indices(name)
                    .any(|(at, _)| !text[..at].ends_with(|c: char| c.is_alphanumeric() || "_-".contains(c)))
        })
    };
    let others: Vec<&PatchLine<'_>> =
        lines.iter().filter(|line| !IMPORT.is_match(line.code)).copied().collect();
    let by_line = others.iter().find(|line| LOOKS_AROUND.is_match(line.code) || names(line.code));
    by_line.or_else(|| names(&put_together(&others)).then_some(reads)).copied()
}
