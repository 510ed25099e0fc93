//! Issues: finding them, and moving their states.

use std::collections::HashMap;

use crate::base::clock::Timestamp;
use crate::base::id::IssueId;
use crate::model::detection::{Action, Severity};
use crate::model::fingerprint::{Fingerprint, Levels};
use crate::model::issue::{Issue, IssueState};
use crate::model::trace::Runtime;
use crate::store::fault::Fault;
use crate::store::session::Session;
use crate::store::statement::{Sql, batch, for_update, statements};
use crate::store::types::{DEFAULT_LIMIT, IssueBrief, IssueFilter};
use crate::store::value::{Row, args, hex_id, json_rows, wrong};

macro_rules! columns {
    () => {
        "id, service, identity, exact, place, template, preimage, title, rule, severity, action, runtime, state, muted_until, \
         merged_into, count, first_seen, last_seen, updated_at"
    };
}

statements! {
    BRIEF = Sql::both(
        "-- issue_brief
with recursive way (issue_id) as (
  select issue_id from aliases where service = $1 and identity = $2 and ended_at is null
  union select issues.merged_into from way join issues on issues.id = way.issue_id where issues.merged_into is not null
)
select id, state, muted_until, merged_into, state_since, last_seen, last_acted_at from issues
where merged_into is null and (id in (select issue_id from way) or service = $1 and identity = $2)"
    );
    ONE = Sql::both(concat!("-- issue\nselect ", columns!(), " from issues where id = $1"));
    // A text that was folded by us is compared with folded titles: the databases' own folding differs beyond ASCII.
    LIST = Sql::both(concat!(
        "-- issues\nselect ", columns!(), " from issues
where (service = $1 or $1 is null)
  and case when merged_into is not null then $2 = 'merged'
    else case when state = 'muted' and muted_until <= $7 then 'open' else state end = $2 or $2 is null end
  and ($3 or action = 'issue')
  and (title_folded like $4 escape '\\' or $4 is null)
order by last_seen desc, id desc limit $5 offset $6"
    ));
    FIND = Sql::both(concat!(
        "-- find_issues\nselect ", columns!(), " from issues
where id between $1 and $2 or identity between $3 and $4
  or id in (select issue_id from aliases where identity between $3 and $4 and why = 'new_version' and ended_at is null)
order by last_seen desc, id desc limit 10"
    ));
    STATES = Sql {
        sqlite: "-- issue_states
select id, state, muted_until, merged_into from issues where id in (select unhex(value) from json_each($1))",
        postgres: "-- issue_states
select id, state, muted_until, merged_into from issues
where id in (select value::uuid from jsonb_array_elements_text($1::jsonb) as each(value))
order by id for update",
    };
    SET_STATES = batch!(
        "-- set_issue_states
update issues set state = r.state, muted_until = r.muted_until, updated_at = $2,
  state_since = case when issues.state = r.state then issues.state_since else $2 end,
  last_acted_at = case when r.is_acted = 1 then $2 else issues.last_acted_at end
from ",
        [id uuid, state text, muted_until int, is_acted int],
        " where issues.id = r.id"
    );
    LOCK = for_update!("-- lock_issue\nselect ", columns!(), " from issues where id = $1");
}

fn issue_of(row: &Row) -> Result<Issue, Fault> {
    Ok(Issue {
        id: IssueId::from_uuid(row.get("id")?),
        service: row.text("service")?,
        levels: Levels {
            exact: row.fingerprint("exact")?,
            identity: row.fingerprint("identity")?,
            place: row.fingerprint_or_none("place")?,
            template: row.text("template")?,
        },
        preimage: row.text("preimage")?,
        title: row.text("title")?,
        rule: row.text("rule")?,
        severity: row.named("severity", Severity::from_name)?,
        action: row.named("action", action_from_name)?,
        runtime: row.named("runtime", Runtime::from_name)?,
        state: state_of(row)?,
        count: row.count("count")?,
        first_seen: row.time("first_seen")?,
        last_seen: row.time("last_seen")?,
        updated_at: row.time("updated_at")?,
    })
}

/// The state in the columns `state`, `muted_until` and `merged_into`.
pub(super) fn state_of(row: &Row) -> Result<IssueState, Fault> {
    if let Some(into) = row.get::<Option<_>>("merged_into")? {
        return Ok(IssueState::Merged { into: IssueId::from_uuid(into) });
    }
    let muted_until = row.time_or_none("muted_until")?;
    row.named("state", |name| IssueState::from_name(name, muted_until))
}

pub(super) const fn action_name(action: Action) -> &'static str {
    match action {
        Action::Count => "count",
        Action::Issue => "issue",
    }
}

fn action_from_name(name: &str) -> Option<Action> {
    [Action::Count, Action::Issue].into_iter().find(|action| action_name(*action) == name)
}

/// A new state for an issue.
#[derive(Debug, Clone, Copy)]
pub(super) struct Move {
    pub(super) issue: IssueId,
    pub(super) to: IssueState,
    /// Whether a ticket or fix job was queued for it now.
    pub(super) is_acted: bool,
}

#[derive(serde::Serialize)]
struct MoveRow {
    id: String,
    state: &'static str,
    muted_until: Option<i64>,
    is_acted: u8,
}

/// Writes new states.
pub(super) async fn set_states(session: &mut Session, moves: &[Move], now: Timestamp) -> Result<(), Fault> {
    if moves.is_empty() {
        return Ok(());
    }
    let rows: Vec<MoveRow> = moves
        .iter()
        .map(|it| MoveRow {
            id: hex_id(it.issue.uuid()),
            state: it.to.name(),
            muted_until: it.to.muted_until().map(Timestamp::as_microsecond),
            is_acted: u8::from(it.is_acted),
        })
        .collect();
    session.run(&SET_STATES, vec![json_rows(&rows)?, now.into()]).await?;
    Ok(())
}

/// Refuses to act on an issue whose occurrences count for another one.
pub(super) fn refuse_merged(id: IssueId, state: IssueState) -> Result<(), Fault> {
    match state.merged_into() {
        Some(into) => Err(Fault::refused(format!("issue {id} is merged into {into}: act on that one"))),
        None => Ok(()),
    }
}

/// The states of these issues, held until the end of the transaction.
pub(super) async fn lock_states(
    session: &mut Session,
    ids: impl IntoIterator<Item = IssueId>,
) -> Result<HashMap<IssueId, IssueState>, Fault> {
    let ids: Vec<String> = ids.into_iter().map(|id| hex_id(id.uuid())).collect();
    let rows = session.all(&STATES, vec![json_rows(&ids)?]).await?;
    rows.iter().map(|row| Ok((IssueId::from_uuid(row.get("id")?), state_of(row)?))).collect()
}

/// The issue, held until the end of the transaction.
pub(super) async fn lock(session: &mut Session, id: IssueId) -> Result<Issue, Fault> {
    let row = session.first(&LOCK, args![id]).await?;
    issue_of(&row.ok_or_else(|| Fault::not_found("issue", id))?)
}

pub(in crate::store) async fn one(session: &mut Session, id: IssueId) -> Result<Issue, Fault> {
    let row = session.first(&ONE, args![id]).await?;
    issue_of(&row.ok_or_else(|| Fault::not_found("issue", id))?)
}

pub(in crate::store) async fn brief(
    session: &mut Session,
    service: &str,
    identity: Fingerprint,
) -> Result<Option<IssueBrief>, Fault> {
    let row = session.first(&BRIEF, args![service, identity]).await?;
    row.map(|row| {
        Ok(IssueBrief {
            id: IssueId::from_uuid(row.get("id")?),
            state: state_of(&row)?,
            state_since: row.time("state_since")?,
            last_seen: row.time("last_seen")?,
            last_acted_at: row.time_or_none("last_acted_at")?,
        })
    })
    .transpose()
}

pub(in crate::store) async fn list(session: &mut Session, filter: &IssueFilter) -> Result<Vec<Issue>, Fault> {
    let pattern = filter.text.as_deref().map(like_pattern);
    let limit = if filter.limit == 0 { DEFAULT_LIMIT } else { filter.limit };
    let values = args![
        filter.service.clone(),
        filter.state.clone(),
        filter.with_counted,
        pattern,
        limit,
        filter.offset,
        filter.at
    ];
    let issues = session.all(&LIST, values).await?.iter().map(issue_of).collect::<Result<Vec<_>, _>>()?;
    let as_it_counts =
        |issue: Issue| Issue { state: filter.at.map_or(issue.state, |at| issue.state.at(at)), ..issue };
    Ok(issues.into_iter().map(as_it_counts).collect())
}

/// What a folded title is matched with to contain `text`.
fn like_pattern(text: &str) -> String {
    let escaped = text.to_lowercase().replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    format!("%{escaped}%")
}

pub(in crate::store) async fn find(session: &mut Session, prefix: &str) -> Result<Vec<Issue>, Fault> {
    let (is_fingerprint, digits) = digits_of(prefix);
    if digits.len() < 4 {
        return Ok(Vec::new());
    }
    // Of an id there are 32 digits: a longer prefix can only be that of an identity.
    let (Some(first), Some(mut last)) = (padded(&digits, '0'), padded(&digits, 'f')) else {
        return Ok(Vec::new());
    };
    let (first_id, last_id) = if digits.len() <= 32 && !is_fingerprint {
        (id_of(&first)?, id_of(&last)?)
    } else {
        (uuid::Uuid::max(), uuid::Uuid::nil())
    };
    // Behind the hash stands the version, if it is not the first.
    last.push(u8::MAX);
    let rows = session.all(&FIND, args![first_id, last_id, first, last]).await?;
    rows.iter().map(issue_of).collect()
}

/// The digits of what a person calls an issue by, and whether it can only be a fingerprint.
fn digits_of(prefix: &str) -> (bool, String) {
    let version = prefix.strip_prefix('h').and_then(|it| it.split_once(':'));
    let version = version.filter(|(version, _)| version.parse::<u8>().is_ok());
    let digits = version.map_or(prefix, |(_, digits)| digits);
    (version.is_some(), digits.replace('-', "").to_lowercase())
}

/// The 32 bytes whose hex digits are `digits` and then `digit` to the end; `None` if there are too many, or others.
fn padded(digits: &str, digit: char) -> Option<Vec<u8>> {
    let missing = 64_usize.checked_sub(digits.len())?;
    hex::decode(format!("{digits}{}", digit.to_string().repeat(missing))).ok()
}

fn id_of(bytes: &[u8]) -> Result<uuid::Uuid, Fault> {
    uuid::Uuid::from_slice(&bytes[..16]).map_err(|_| wrong("id", hex::encode(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_padded_on_both_sides() {
        let mut first = vec![0; 32];
        let mut last = vec![0xff; 32];
        (first[0], first[1], first[2]) = (0xab, 0xcd, 0xe0);
        (last[0], last[1], last[2]) = (0xab, 0xcd, 0xef);
        assert_eq!(padded("abcde", '0'), Some(first));
        assert_eq!(padded("abcde", 'f'), Some(last));
        assert_eq!(padded("xyz", '0'), None);
        assert_eq!(padded(&"a".repeat(65), '0'), None);
    }

    #[test]
    fn signs_in_a_search_mean_themselves() {
        assert_eq!(like_pattern("50%_Ä\\"), "%50\\%\\_ä\\\\%");
    }
}
