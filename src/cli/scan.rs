//! `homeostat scan`: what the daemon would find in these files.

use std::sync::Arc;

use anyhow::anyhow;

use super::args::{FormatArg, Global, ScanArgs};
use super::exit::Failure;
use super::run::settings;
use super::{print, problems};
use crate::base::chain::Chain;
use crate::base::redact::Redactor;
use crate::daemon;
use crate::watch::ingest::decode::Format;
use crate::watch::ingest::files::{FileFound, Scan, ScanRow, Summary};
use crate::watch::ingest::pipeline::Pipeline;
use crate::watch::join::Limits;
use crate::watch::rules::RuleSet;

/// Prints one line per record, or only the totals with `--summary`. A file that cannot be read is told and the others are
/// scanned all the same; the exit code says that something is missing.
pub(super) fn scan(global: &Global, args: &ScanArgs) -> Result<(), Failure> {
    let mut scan = Scan::new(pipeline(global, args)?, format(args.format));
    let mut n_unread = 0;
    for file in &args.files {
        let name = file.display().to_string();
        let mut show = |found: FileFound<'_>| {
            if !args.summary {
                // JSON is the only form of a record: it is meant for `jq` and its like, with `--json` or without.
                print::json(&ScanRow::new(&name, found));
            }
        };
        if let Err(error) = scan.path(file, &mut show) {
            n_unread += 1;
            print::note(format!("error: failed to read `{name}`: {}", Chain(&error)));
        }
    }
    if args.summary {
        show_summary(&scan.summary(), args.output.json);
    }
    match n_unread {
        0 => Ok(()),
        n => Err(Failure::Failed(anyhow!("{n} of {} files could not be read", args.files.len()))),
    }
}

fn pipeline(global: &Global, args: &ScanArgs) -> Result<Pipeline, Failure> {
    if let Some(service) = &args.service {
        return Ok(daemon::pipeline(&settings(global)?).for_service(service));
    }
    let rules = match &args.rules {
        Some(folder) => Arc::new(RuleSet::load_dir(folder).map_err(problems::all_told)?),
        None => RuleSet::builtin(),
    };
    Ok(Pipeline::new(rules, Redactor::builtin(), Limits::default()))
}

/// The wrapping that was asked for; `None`: each file's own.
pub(super) const fn format(asked: FormatArg) -> Option<Format> {
    match asked {
        FormatArg::Auto => None,
        FormatArg::Plain => Some(Format::Plain),
        FormatArg::DockerJson => Some(Format::DockerJson),
        FormatArg::Cri => Some(Format::Cri),
        FormatArg::Jsonl => Some(Format::Jsonl),
    }
}

fn show_summary(summary: &Summary, as_json: bool) {
    if as_json {
        print::json(summary);
        return;
    }
    print::line(format!(
        "{} bytes, {} lines, {} records, {} issues, {:.3} seconds, {:.1} MB/s",
        summary.bytes, summary.lines, summary.records, summary.issues, summary.seconds, summary.mb_per_second
    ));
}
