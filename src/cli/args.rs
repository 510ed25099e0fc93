//! The command line as typed. Every command has an example in its `--help`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Watch what running services log and heal what breaks.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true, max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 ok, 1 failure, 64 usage, 69 a needed service is away, 78 configuration."
)]
pub(super) struct Cli {
    #[command(flatten)]
    pub(super) global: Global,
    #[command(subcommand)]
    pub(super) command: Command,
}

/// Options of every command.
#[derive(Debug, Args)]
pub(super) struct Global {
    /// Config file [default: $HOMEOSTAT_CONFIG, else /etc/homeostat/homeostat.toml if it exists, else embedded defaults]
    #[arg(long, short, global = true, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run the daemon
    #[command(after_help = "Example: homeostat run --config /etc/homeostat/homeostat.toml")]
    Run,
    /// Check the config, the rules' own examples, and whether the services it names answer
    #[command(after_help = "Example: homeostat check --config homeostat.toml")]
    Check(CheckArgs),
    /// Find errors in files and print one record a line
    #[command(
        after_help = "Examples:\n  homeostat scan --summary /var/log/app.log\n  docker logs app 2>&1 | homeostat scan --json -"
    )]
    Scan(ScanArgs),
    /// Tell what other rules would have made of logs that are written already
    #[command(
        after_help = "Examples:\n  homeostat replay --since 2h --rules tried/ /var/log/app.log\n  homeostat replay --new-config new.toml --exit-code /var/log/*.log\n  homeostat replay --since 1d --rules tried/ --loki all"
    )]
    Replay(ReplayArgs),
    /// Show how a record is read, normalised and hashed
    #[command(
        after_help = "Examples:\n  homeostat explain trace.txt\n  homeostat explain --diff one.txt other.txt\n  homeostat explain --service shop trace.txt"
    )]
    Explain(ExplainArgs),
    /// Print the fingerprint of a record as JSON
    #[command(
        after_help = "Examples:\n  homeostat fingerprint trace.txt\n  homeostat fingerprint --jsonl trace traces.jsonl"
    )]
    Fingerprint(FingerprintArgs),
    /// Watch a small service break and be healed, on this machine
    #[command(after_help = "Example: homeostat demo --headless --json")]
    Demo(DemoArgs),
    /// Show what is watched, what is broken and what runs
    #[command(after_help = "Example: homeostat status --json")]
    Status(Output),
    /// List issues, show one, mute it or try again to fix it
    #[command(subcommand, after_help = "Example: homeostat issue list --state open")]
    Issue(IssueCommand),
    /// List jobs, show one or cancel it
    #[command(subcommand, after_help = "Example: homeostat job list --state dead")]
    Job(JobCommand),
    /// Show what models have cost, to be held against an invoice
    #[command(
        after_help = "Examples:\n  homeostat spend --by day --since 2026-11-01 --until 2026-11-30\n  homeostat spend --by model --json\n  homeostat spend --unsettled"
    )]
    Spend(SpendArgs),
    /// Stop all healing: no new job starts, running ones stop within seconds
    #[command(after_help = "Example: homeostat pause")]
    Pause(Output),
    /// Let healing go on
    #[command(after_help = "Example: homeostat resume")]
    Resume(Output),
}

/// How to print.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct Output {
    /// Print JSON, one value a line
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// Only the config and the rules; ask no service whether it answers
    #[arg(long)]
    pub(super) offline: bool,
    /// Also what each rule costs: measured on the lines of FILE, else on ordinary ones
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    pub(super) cost: Option<Option<PathBuf>>,
    #[command(flatten)]
    pub(super) output: Output,
}

#[derive(Debug, Args)]
pub(super) struct ScanArgs {
    /// Files to scan; `-` is standard input, `.gz` is unpacked
    #[arg(required = true, value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,
    /// Folder of rule files to use instead of the shipped rules
    #[arg(long, value_name = "DIR")]
    pub(super) rules: Option<PathBuf>,
    /// As logs of this service: with the config's rules, redaction and fingerprints for it
    #[arg(long, value_name = "NAME", conflicts_with = "rules")]
    pub(super) service: Option<String>,
    /// How the lines are wrapped
    #[arg(long, value_enum, default_value_t = FormatArg::Auto)]
    pub(super) format: FormatArg,
    /// Only totals: bytes, lines, records, issues, seconds, MB/s
    #[arg(long)]
    pub(super) summary: bool,
    #[command(flatten)]
    pub(super) output: Output,
}

#[derive(Debug, Args)]
pub(super) struct ReplayArgs {
    /// Files to read, with what rotation made of them (`app.log.1`, `app.log.2.gz`)
    #[arg(required_unless_present = "loki", value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,
    /// Query of the config's `[[loki]]` to read too, by its name; `all` for all of them
    #[arg(long, value_name = "NAME", requires = "since")]
    pub(super) loki: Option<String>,
    /// Folder of rule files to try: a rule in it takes the place of that with its id, others are added
    #[arg(long, value_name = "DIR", conflicts_with = "new_config")]
    pub(super) rules: Option<PathBuf>,
    /// Config to try: its rules and its redaction
    #[arg(long, value_name = "FILE")]
    pub(super) new_config: Option<PathBuf>,
    /// Only what was logged since then, for example `2h`, where a line's time is known
    #[arg(long, value_name = "DURATION")]
    pub(super) since: Option<jiff::SignedDuration>,
    /// How the lines are wrapped
    #[arg(long, value_enum, default_value_t = FormatArg::Auto)]
    pub(super) format: FormatArg,
    /// End with 1 if any issue would be other
    #[arg(long)]
    pub(super) exit_code: bool,
    #[command(flatten)]
    pub(super) output: Output,
}

/// Wrapping of the lines of a file.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum FormatArg {
    Auto,
    Plain,
    DockerJson,
    Cri,
    Jsonl,
}

#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// File with one record; `-` is standard input
    #[arg(default_value = "-", value_name = "FILE")]
    pub(super) file: PathBuf,
    /// Show why two records are one issue, or two
    #[arg(long, num_args = 2, value_names = ["A", "B"], conflicts_with = "file")]
    pub(super) diff: Option<Vec<PathBuf>>,
    /// As records of this service: with the config's rules and fingerprints for it
    #[arg(long, value_name = "NAME")]
    pub(super) service: Option<String>,
    #[command(flatten)]
    pub(super) output: Output,
}

#[derive(Debug, Args)]
pub(super) struct FingerprintArgs {
    /// Every line is a JSON object with a record in FIELD [default: the whole input is one record]
    #[arg(long, value_name = "FIELD")]
    pub(super) jsonl: Option<String>,
    /// As records of this service: with the config's fingerprints for it
    #[arg(long, value_name = "NAME")]
    pub(super) service: Option<String>,
    /// File to read; `-` is standard input
    #[arg(default_value = "-", value_name = "FILE")]
    pub(super) file: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// Ask nothing, accept nothing, end when the loop has closed
    #[arg(long)]
    pub(super) headless: bool,
    /// Print the result as one JSON line at the end
    #[arg(long)]
    pub(super) json: bool,
    /// Address of the dashboard
    #[arg(long, default_value = "127.0.0.1:8686", value_name = "ADDR")]
    pub(super) listen: std::net::SocketAddr,
}

#[derive(Debug, Subcommand)]
pub(super) enum IssueCommand {
    /// List issues, last seen first
    #[command(after_help = "Example: homeostat issue list --service shop --state needs_person")]
    List(IssueListArgs),
    /// Show an issue with its story, trace, jobs and attempts
    #[command(after_help = "Example: homeostat issue show h1:3fa9c04e")]
    Show(IssueArgs),
    /// Count an issue but do nothing about it
    #[command(after_help = "Example: homeostat issue mute h1:3fa9c04e --for 24h")]
    Mute(MuteArgs),
    /// End the mute of an issue
    #[command(after_help = "Example: homeostat issue unmute h1:3fa9c04e")]
    Unmute(IssueArgs),
    /// Start another fix
    #[command(after_help = "Example: homeostat issue retry h1:3fa9c04e")]
    Retry(IssueArgs),
    /// Count an issue for another one from now on
    #[command(after_help = "Example: homeostat issue merge h1:3fa9c04e h1:77b1d2a0")]
    Merge(MergeArgs),
    /// Take a merge back: the issue counts for itself again
    #[command(after_help = "Example: homeostat issue unmerge h1:3fa9c04e")]
    Unmerge(IssueArgs),
    /// Show which issues look like this one; merge them into it or dismiss the suggestion
    #[command(after_help = "Example: homeostat issue suggestion h1:3fa9c04e --accept")]
    Suggestion(SuggestionArgs),
}

#[derive(Debug, Args)]
pub(super) struct MergeArgs {
    /// Id or fingerprint of the issue, or the start of one
    pub(super) issue: String,
    /// The issue it counts for from now on
    pub(super) into: String,
    #[command(flatten)]
    pub(super) output: Output,
}

#[derive(Debug, Args)]
pub(super) struct SuggestionArgs {
    /// Id or fingerprint of the issue, or the start of one
    pub(super) issue: String,
    /// Merge them all into this issue
    #[arg(long, conflicts_with = "dismiss")]
    pub(super) accept: bool,
    /// Never suggest them again
    #[arg(long)]
    pub(super) dismiss: bool,
    #[command(flatten)]
    pub(super) output: Output,
}

#[derive(Debug, Args)]
pub(super) struct IssueListArgs {
    /// Only this service
    #[arg(long)]
    pub(super) service: Option<String>,
    /// Only this state: open, fixing, proposed, landed, resolved, needs_person, muted, merged
    #[arg(long)]
    pub(super) state: Option<String>,
    /// With what is only counted, such as HTTP errors
    #[arg(long)]
    pub(super) all: bool,
    /// How many
    #[arg(long, default_value_t = 50)]
    pub(super) limit: u32,
    #[command(flatten)]
    pub(super) output: Output,
}

#[derive(Debug, Args)]
pub(super) struct IssueArgs {
    /// Id or fingerprint of the issue, or the start of one
    pub(super) issue: String,
    #[command(flatten)]
    pub(super) output: Output,
}

#[derive(Debug, Args)]
pub(super) struct MuteArgs {
    /// Id or fingerprint of the issue, or the start of one
    pub(super) issue: String,
    /// For how long, for example `24h` [default: until unmuted]
    #[arg(long = "for", value_name = "DURATION")]
    pub(super) duration: Option<jiff::SignedDuration>,
    #[command(flatten)]
    pub(super) output: Output,
}

#[derive(Debug, Subcommand)]
pub(super) enum JobCommand {
    /// List jobs, newest first
    #[command(after_help = "Example: homeostat job list --state dead --kind fix")]
    List(JobListArgs),
    /// Show a job and its steps
    #[command(after_help = "Example: homeostat job show 0190c2d4-7b1e-7cc0-a1b2-5f0e6c1d2e3f")]
    Show(JobArgs),
    /// Cancel a job; a running one stops within seconds
    #[command(after_help = "Example: homeostat job cancel 0190c2d4-7b1e-7cc0-a1b2-5f0e6c1d2e3f")]
    Cancel(JobArgs),
    /// Put a dead or cancelled job back into the queue
    #[command(after_help = "Example: homeostat job requeue 0190c2d4-7b1e-7cc0-a1b2-5f0e6c1d2e3f")]
    Requeue(JobArgs),
    /// Run the tool calls of a fix again, without the model, and tell where they give something else than its transcript says
    #[command(after_help = "Example: homeostat job replay 0190c2d4-7b1e-7cc0-a1b2-5f0e6c1d2e3f")]
    Replay(JobArgs),
}

#[derive(Debug, Args)]
pub(super) struct JobListArgs {
    /// Only this state: queued, running, done, dead, cancelled
    #[arg(long)]
    pub(super) state: Option<String>,
    /// Only this kind: ticket, fix, propose, land, announce
    #[arg(long)]
    pub(super) kind: Option<String>,
    /// How many
    #[arg(long, default_value_t = 50)]
    pub(super) limit: u32,
    #[command(flatten)]
    pub(super) output: Output,
}

#[derive(Debug, Args)]
pub(super) struct JobArgs {
    /// Id of the job
    pub(super) job: crate::base::id::JobId,
    #[command(flatten)]
    pub(super) output: Output,
}

#[derive(Debug, Args)]
pub(super) struct SpendArgs {
    /// What it is summed up by
    #[arg(long, value_enum, default_value_t = SpendByArg::Day)]
    pub(super) by: SpendByArg,
    /// First day, UTC [default: the first there is]
    #[arg(long, value_name = "DATE")]
    pub(super) since: Option<jiff::civil::Date>,
    /// Last day, UTC [default: today]
    #[arg(long, value_name = "DATE")]
    pub(super) until: Option<jiff::civil::Date>,
    /// List the calls whose usage is not known instead: cut off, or still under way
    #[arg(long, conflicts_with = "by")]
    pub(super) unsettled: bool,
    #[command(flatten)]
    pub(super) output: Output,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum SpendByArg {
    Day,
    Month,
    Service,
    Issue,
    Attempt,
    Model,
}
