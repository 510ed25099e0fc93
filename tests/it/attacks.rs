//! Whoever writes a log line, a report, a file or a whole repository gains nothing: no byte out, no credential, no push past the policy, no
//! mention and no image in a ticket.
//!
//! Each row goes the whole way: from bytes of a log file through the watching half, a ticket and a proposal on a scripted GitHub, with real
//! containers in between. Rows of one module share a run, each is asserted by its name.

/// What the agent reads.
mod content;
/// The scene: every stage, a canary, what is left afterwards.
mod given;
/// Hostile log lines.
mod log;
/// What an agent that was talked into it does to its workspace.
mod planted;
/// The project that is attacked.
mod project;
/// Changes that may not be pushed.
mod pushed;
/// Rows, and what must hold.
mod row;
/// Hostile repositories.
mod tree;
/// What the agent says.
mod words;

use std::collections::BTreeSet;

use row::{Place, Row};

#[test]
fn there_are_enough_rows_of_every_kind() {
    let of_files = |rows: &[(Row, &str)]| rows.iter().map(|(row, _)| *row).collect::<Vec<_>>();
    let rows = [
        &[log::MESSAGE, content::OUTPUT][..],
        log::ROWS,
        words::ROWS,
        content::FILES,
        content::DONE,
        &of_files(tree::FILES),
        &of_files(tree::LINKS),
        planted::ROWS,
        planted::PATHS,
        &of_files(pushed::FILES),
    ]
    .concat();
    let names: BTreeSet<&str> = rows.iter().map(|row| row.name).collect();
    assert_eq!(names.len(), rows.len(), "every row has a name of its own");
    assert!(rows.len() >= 80, "{} rows", rows.len());
    for place in [Place::Log, Place::Report, Place::Content, Place::Repository] {
        let n = rows.iter().filter(|row| row.place == place).count();
        assert!(n >= 12, "{n} rows of {place:?}");
    }
}
