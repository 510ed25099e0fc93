//! `homeostat explain`: how a record comes to its fingerprint, and why two are one issue or two.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use super::args::{ExplainArgs, Global};
use super::exit::Failure;
use super::fingerprint::{FingerprintRow, read};
use super::print;
use super::run::settings;
use crate::base::redact::{Clean, Redactor};
use crate::daemon;
use crate::watch::fingerprint::{Diff, DiffPart, Explanation, Fingerprinter};
use crate::watch::join::{LineStep, Taken, steps};
use crate::watch::rules::RuleSet;

/// Characters of a line that are shown beside what became of it.
const MAX_SHOWN: usize = 100;

/// As whose records they are read.
pub(super) struct Reader {
    pub(super) redactor: Redactor,
    pub(super) fingerprinter: Fingerprinter,
    rules: Arc<RuleSet>,
}

impl Reader {
    /// As shipped, or as the config wants it for a service.
    pub(super) fn new(global: &Global, service: Option<&str>) -> Result<Self, Failure> {
        let Some(service) = service else {
            let (redactor, fingerprinter) = (Redactor::builtin(), Fingerprinter::builtin());
            return Ok(Self { redactor, fingerprinter, rules: RuleSet::builtin() });
        };
        let settings = settings(global)?;
        let own = settings.service_rules.get(service).map(|of| Arc::clone(&of.rules));
        Ok(Self {
            fingerprinter: daemon::fingerprinter(&settings).for_service(service),
            rules: own.unwrap_or(settings.rules),
            redactor: settings.redactor,
        })
    }

    fn record(&self, file: &Path) -> Result<Clean, Failure> {
        Ok(self.redactor.redact(read(file)?.trim_end_matches(['\n', '\r'])))
    }

    /// What the machines make of each line.
    fn lines(&self, record: &Clean) -> Vec<String> {
        let text = record.as_str();
        let steps = steps(text, |line| self.rules.detect(&Clean::trusted(line)).is_some());
        let told = text.lines().zip(steps).map(|(line, step)| {
            let LineStep { taken, machine, phase } = step;
            let taken = match taken {
                Taken::Begins => "begins",
                Taken::Belongs => "belongs",
                Taken::Waits => "waits",
                Taken::Ends => "ends",
                Taken::Passes => "passes",
            };
            let shown: String = line.chars().take(MAX_SHOWN).collect();
            format!("line      {taken:<8} {:<22} {shown}", format!("{machine} {phase}"))
        });
        told.collect()
    }

    /// The rule that says the most of a record.
    fn rule(&self, record: &Clean) -> String {
        match self.rules.detect(record) {
            Some(found) => format!("{} ({})", found.rule, found.severity),
            None => "none: the daemon would not count it".to_owned(),
        }
    }
}

/// Shows every step from a record's text to its fingerprint, or two records side by side.
pub(super) fn explain(global: &Global, args: &ExplainArgs) -> Result<(), Failure> {
    let reader = Reader::new(global, args.service.as_deref())?;
    if let Some([a, b]) = args.diff.as_deref() {
        let explain = |file: &Path| Ok::<_, Failure>(reader.fingerprinter.explain(&reader.record(file)?));
        diff(&explain(a)?, &explain(b)?, args.output.json);
        return Ok(());
    }
    let record = reader.record(&args.file)?;
    let explanation = reader.fingerprinter.explain(&record);
    if args.output.json {
        print::json(&FingerprintRow::new(&explanation.fingerprinted));
    } else {
        print::line(format!("rule      {}", reader.rule(&record)));
        reader.lines(&record).iter().for_each(print::line);
        print::line(explanation.to_string().trim_end());
    }
    Ok(())
}

fn diff(a: &Explanation, b: &Explanation, as_json: bool) {
    let diff = a.diff(b);
    if as_json {
        print::json(&json!({
            "same": diff.is_same(),
            "a": FingerprintRow::new(&a.fingerprinted),
            "b": FingerprintRow::new(&b.fingerprinted),
            "hashed": parts(&diff),
        }));
    } else {
        print::line(diff.to_string());
    }
}

fn parts(diff: &Diff<'_>) -> Vec<Value> {
    let part = |part: DiffPart<'_>| match part {
        DiffPart::Both(text) => json!({ "in": "both", "text": text }),
        DiffPart::OnlyA(text) => json!({ "in": "a", "text": text }),
        DiffPart::OnlyB(text) => json!({ "in": "b", "text": text }),
    };
    diff.parts().into_iter().map(part).collect()
}
