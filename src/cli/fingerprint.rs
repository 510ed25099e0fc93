//! `homeostat fingerprint`: records in, their fingerprints out.

use std::io::{BufRead, Read};
use std::path::Path;

use anyhow::{Context as _, anyhow};
use serde::Serialize;
use serde_json::Value;

use super::args::{FingerprintArgs, Global};
use super::exit::Failure;
use super::explain::Reader;
use super::print;
use crate::model::trace::{Frame, Runtime};
use crate::watch::fingerprint::Fingerprinted;

/// Output of `homeostat fingerprint`: others script against it.
#[derive(Debug, Serialize)]
pub(super) struct FingerprintRow {
    identity: String,
    exact: String,
    place: Option<String>,
    template: String,
    runtime: &'static str,
    #[serde(rename = "type")]
    kind: Option<String>,
    frames: Vec<FrameRow>,
}

#[derive(Debug, Serialize)]
struct FrameRow {
    /// As people call it: of a Go function without the path of its package.
    function: String,
    /// What the function's file belongs to: a package, a library.
    module: Option<String>,
    file: Option<String>,
    in_app: bool,
}

impl FingerprintRow {
    pub(super) fn new(fingerprinted: &Fingerprinted) -> Self {
        let root = fingerprinted.trace.as_ref().and_then(|trace| trace.root());
        let frames = root.map(|root| root.frames.as_slice()).unwrap_or_default();
        let frames = frames.iter().map(|frame| FrameRow::new(frame, fingerprinted.runtime));
        Self {
            identity: fingerprinted.levels.identity.full(),
            exact: fingerprinted.levels.exact.full(),
            place: fingerprinted.levels.place.map(|place| place.full()),
            template: fingerprinted.levels.template.clone(),
            runtime: fingerprinted.runtime.name(),
            kind: root.map(|root| root.kind.clone()),
            frames: frames.collect(),
        }
    }
}

impl FrameRow {
    fn new(frame: &Frame, runtime: Runtime) -> Self {
        let (module, function) =
            if runtime == Runtime::Go { package(&frame.function) } else { (None, frame.function.as_str()) };
        Self {
            function: function.to_owned(),
            module: frame.module.clone().or_else(|| module.map(str::to_owned)),
            file: frame.file.clone(),
            in_app: frame.in_app,
        }
    }
}

/// The import path of a Go function's package, and the function with no more than the package's last name:
/// `example.org/shop/cart`, `cart.(*Cart).Add`. A slash in a type argument belongs to no path.
fn package(function: &str) -> (Option<&str>, &str) {
    let head = function.find(['(', '[']).map_or(function, |at| &function[..at]);
    let short = head.rfind('/').map_or(0, |at| at + 1);
    let end = head[short..].find('.').map(|at| short + at);
    (end.map(|end| &function[..end]), &function[short..])
}

/// Lines without a record that are told one by one.
const MAX_TOLD: usize = 20;

/// Prints one JSON line per record. The text is redacted first, as it is in the daemon: so the ids are the same. A line
/// that holds no record is told, the others are printed all the same, and the exit code says that something is missing.
pub(super) fn fingerprint(global: &Global, args: &FingerprintArgs) -> Result<(), Failure> {
    let Reader { redactor, fingerprinter, .. } = Reader::new(global, args.service.as_deref())?;
    let row = |text: &str| FingerprintRow::new(&fingerprinter.fingerprint(&redactor.redact(text)));
    let Some(field) = &args.jsonl else {
        let text = read(&args.file)?;
        print::json(&row(text.trim_end_matches(['\n', '\r'])));
        return Ok(());
    };
    let mut input = open(&args.file)?;
    let mut line = Vec::new();
    let mut n_wrong = 0;
    for n_line in 1.. {
        line.clear();
        let n_read = input.read_until(b'\n', &mut line).context("failed to read the input")?;
        if n_read == 0 {
            break;
        }
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        match text_of(&line, field) {
            Ok(text) => print::json(&row(text.trim_end_matches(['\n', '\r']))),
            Err(what) => {
                n_wrong += 1;
                if n_wrong <= MAX_TOLD {
                    print::note(format!("error: line {n_line} of `{}`: {what}", args.file.display()));
                }
            }
        }
    }
    match n_wrong {
        0 => Ok(()),
        n => Err(Failure::Failed(anyhow!("{n} lines of `{}` hold no record", args.file.display()))),
    }
}

/// The text in a field of a line of JSON, or what is wrong with the line.
fn text_of(line: &[u8], field: &str) -> Result<String, String> {
    let value: Value = serde_json::from_slice(line).map_err(|error| format!("no JSON: {error}"))?;
    let text = value.get(field).and_then(Value::as_str);
    text.map(str::to_owned).ok_or_else(|| format!("no text in the field `{field}`"))
}

fn open(file: &Path) -> Result<Box<dyn BufRead>, Failure> {
    if file == Path::new("-") {
        return Ok(Box::new(std::io::stdin().lock()));
    }
    let opened = std::fs::File::open(file).with_context(|| format!("failed to open `{}`", file.display()))?;
    Ok(Box::new(std::io::BufReader::with_capacity(1 << 16, opened)))
}

pub(super) fn read(file: &Path) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    open(file)?.read_to_end(&mut bytes).with_context(|| format!("failed to read `{}`", file.display()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::package;

    #[test]
    fn go_functions_are_told_by_package_and_name() {
        #[track_caller]
        fn check(function: &str, module: &str, name: &str) {
            assert_eq!(package(function), (Some(module), name));
        }
        check("example.org/shop/cart.(*Cart).Add", "example.org/shop/cart", "cart.(*Cart).Add");
        check("main.run", "main", "main.run");
        check("a.b/c.Map[go.shape.*example.org/x.T].Get", "a.b/c", "c.Map[go.shape.*example.org/x.T].Get");
        assert_eq!(package("panic"), (None, "panic"));
    }
}
