//! Aliases: fingerprints whose occurrences count for the issue of another one.
//!
//! A commit asks once for all its fingerprints, whatever they are. An alias leads to an issue, and from there on over what that one is
//! merged into: what was merged into an issue goes with it and comes back with it. What people do with aliases stands in `merges`.

use std::collections::HashMap;

use super::stories::{self, own_entry};
use crate::base::clock::Timestamp;
use crate::base::id::{AliasId, IssueId};
use crate::model::fingerprint::Fingerprint;
use crate::store::fault::Fault;
use crate::store::session::Session;
use crate::store::statement::{Sql, batch, statements};
use crate::store::types::{Alias, AliasWhy, MAX_ALIASES};
use crate::store::value::{Row, Value, args, hex_id, hex_of, json_rows, saturated};

macro_rules! columns {
    () => {
        "aliases.id, aliases.service, aliases.identity, aliases.issue_id, aliases.why, aliases.made_by, aliases.made_at, \
         aliases.count, aliases.ended_by, aliases.ended_at, own.id as own_id, own.title as own_title"
    };
}

statements! {
    // `union` without `all`: a ring would end.
    RESOLVE = batch!(
        "-- resolve_aliases
with recursive way (ordinal, alias_id, why, first, issue_id) as (
  select r.ordinal, aliases.id, aliases.why, aliases.issue_id, aliases.issue_id from ",
        [service text, identity bytes],
        " join aliases on aliases.service = r.service and aliases.identity = r.identity and aliases.ended_at is null
  union
  select way.ordinal, way.alias_id, way.why, way.first, issues.merged_into from way
  join issues on issues.id = way.issue_id where issues.merged_into is not null
)
select way.ordinal, way.alias_id, issues.identity, way.why <> 'new_version' or way.first <> issues.id as is_merged
from way join issues on issues.id = way.issue_id where issues.merged_into is null"
    );
    // Of fingerprints that neither have an issue nor ever had an alias: a person who took one back is not overruled.
    BY_FORMER = batch!(
        "-- issues_by_former
select r.ordinal, coalesce(
  (select issues.id from issues where issues.service = r.service and issues.identity = r.former),
  (select aliases.issue_id from aliases
   where aliases.service = r.service and aliases.identity = r.former and aliases.ended_at is null)
) as issue_id from ",
        [service text, identity bytes, former bytes],
        " where not exists (select 1 from issues where issues.service = r.service and issues.identity = r.identity)
  and not exists (select 1 from aliases where aliases.service = r.service and aliases.identity = r.identity)"
    );
    ADD = batch!(
        "-- add_aliases
insert into aliases (id, service, identity, issue_id, why, made_by, made_at, count)
select r.id, r.service, r.identity, r.issue_id, r.why, r.made_by, $2, 0 from ",
        [id uuid, service text, identity bytes, issue_id uuid, why text, made_by text],
        " where true order by r.ordinal on conflict (service, identity) where ended_at is null do nothing returning id"
    );
    COUNT = batch!(
        "-- count_by_aliases
update aliases set count = aliases.count + r.count from ",
        [id uuid, count int],
        " where aliases.id = r.id"
    );
    OF_ISSUE = Sql::both(concat!(
        "-- aliases\nselect ", columns!(), " from aliases
left join issues own on own.service = aliases.service and own.identity = aliases.identity
where aliases.issue_id = $1 order by aliases.made_at desc, aliases.id desc limit $2"
    ));
    ONE = Sql::both(concat!(
        "-- alias\nselect ", columns!(), " from aliases
left join issues own on own.service = aliases.service and own.identity = aliases.identity where aliases.id = $1"
    ));
    IN_FORCE = Sql::both(
        "-- alias_in_force
select id from aliases where service = $1 and identity = $2 and ended_at is null"
    );
}

/// Where the occurrences of a fingerprint count that has an alias.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Resolved {
    pub(super) alias: AliasId,
    /// The identity of the issue they count for.
    pub(super) identity: Fingerprint,
    /// Whether a person said so; otherwise it is the issue's own fingerprint, by a new version.
    pub(super) is_merged: bool,
}

/// A fingerprint of a service, and what its occurrences had by the version before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen<'a> {
    pub(super) service: &'a str,
    pub(super) identity: Fingerprint,
    pub(super) former: Option<Fingerprint>,
}

#[derive(serde::Serialize)]
struct SeenRow<'a> {
    service: &'a str,
    identity: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    former: Option<String>,
}

impl<'a> SeenRow<'a> {
    fn of(seen: &Seen<'a>) -> Self {
        let Seen { service, identity, former } = *seen;
        Self { service, identity: hex_of(identity), former: former.map(hex_of) }
    }
}

/// A new alias.
#[derive(Debug, serde::Serialize)]
pub(super) struct AliasRow<'a> {
    id: String,
    service: &'a str,
    identity: String,
    issue_id: String,
    why: &'static str,
    made_by: &'a str,
}

impl<'a> AliasRow<'a> {
    pub(super) fn new(
        service: &'a str,
        identity: Fingerprint,
        issue: IssueId,
        why: AliasWhy,
        made_by: &'a str,
    ) -> Self {
        Self {
            id: hex_id(AliasId::new().uuid()),
            service,
            identity: hex_of(identity),
            issue_id: hex_id(issue.uuid()),
            why: why.name(),
            made_by,
        }
    }
}

/// Adds aliases, but for those of fingerprints that have one; how many.
pub(super) async fn add(
    session: &mut Session,
    aliases: &[AliasRow<'_>],
    now: Timestamp,
) -> Result<usize, Fault> {
    Ok(session.all(&ADD, vec![json_rows(aliases)?, now.into()]).await?.len())
}

/// Where occurrences count, for each fingerprint that has an alias, by its place in `seen`. Makes an alias where the issue is known by the
/// version before.
pub(super) async fn resolve(
    session: &mut Session,
    seen: &[Seen<'_>],
    now: Timestamp,
) -> Result<HashMap<usize, Resolved>, Fault> {
    if seen.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<SeenRow<'_>> = seen.iter().map(SeenRow::of).collect();
    let rows = json_rows(&rows)?;
    let resolved = look_up(session, rows.clone()).await?;
    let new: Vec<Seen<'_>> =
        (0..).zip(seen).filter(|(place, _)| !resolved.contains_key(place)).map(|it| *it.1).collect();
    if !follow_former(session, &new, now).await? {
        return Ok(resolved);
    }
    look_up(session, rows).await
}

async fn look_up(session: &mut Session, rows: Value) -> Result<HashMap<usize, Resolved>, Fault> {
    let rows = session.all(&RESOLVE, vec![rows]).await?;
    let resolved = |row: &Row| {
        let ordinal: usize = row.count("ordinal")?;
        let resolved = Resolved {
            alias: AliasId::from_uuid(row.get("alias_id")?),
            identity: row.fingerprint("identity")?,
            is_merged: row.get("is_merged")?,
        };
        Ok((ordinal - 1, resolved))
    };
    rows.iter().map(resolved).collect()
}

/// Makes aliases of fingerprints whose issues are known by the version before; whether there are any.
async fn follow_former(session: &mut Session, new: &[Seen<'_>], now: Timestamp) -> Result<bool, Fault> {
    let new: Vec<&Seen<'_>> = new.iter().filter(|it| it.former.is_some()).collect();
    if new.is_empty() {
        return Ok(false);
    }
    let rows: Vec<SeenRow<'_>> = new.iter().map(|it| SeenRow::of(it)).collect();
    let mut aliases = Vec::new();
    let mut entries = Vec::new();
    for row in session.all(&BY_FORMER, vec![json_rows(&rows)?]).await? {
        let ordinal: usize = row.count("ordinal")?;
        let (Some(issue), Some(seen)) = (row.get("issue_id")?, new.get(ordinal - 1)) else { continue };
        let issue = IssueId::from_uuid(issue);
        aliases.push(AliasRow::new(seen.service, seen.identity, issue, AliasWhy::NewVersion, "homeostat"));
        entries.push((issue, own_entry(now, "new version of the fingerprint", &seen.identity.to_string())));
    }
    if aliases.is_empty() {
        return Ok(false);
    }
    let n_added = add(session, &aliases, now).await?;
    // Where another process was first, it has told.
    if n_added == aliases.len() {
        stories::add_all(session, &entries).await?;
    }
    Ok(true)
}

#[derive(serde::Serialize)]
struct CountRow {
    id: String,
    count: i64,
}

/// Adds to what was counted by aliases.
pub(super) async fn add_counts(session: &mut Session, counts: &[(AliasId, u64)]) -> Result<(), Fault> {
    if counts.is_empty() {
        return Ok(());
    }
    let mut by_alias: HashMap<AliasId, i64> = HashMap::new();
    for (alias, count) in counts {
        let sum = by_alias.entry(*alias).or_default();
        *sum = sum.saturating_add(saturated(*count));
    }
    let rows: Vec<CountRow> =
        by_alias.into_iter().map(|(alias, count)| CountRow { id: hex_id(alias.uuid()), count }).collect();
    session.run(&COUNT, vec![json_rows(&rows)?]).await?;
    Ok(())
}

/// Those that count, or counted, for an issue.
pub(super) async fn of_issue(session: &mut Session, issue: IssueId) -> Result<Vec<Alias>, Fault> {
    session.all(&OF_ISSUE, args![issue, MAX_ALIASES]).await?.iter().map(alias_of).collect()
}

fn alias_of(row: &Row) -> Result<Alias, Fault> {
    let ended_by: Option<String> = row.get("ended_by")?;
    let own = row.get::<Option<_>>("own_id")?.map(IssueId::from_uuid);
    let title: Option<String> = row.get("own_title")?;
    Ok(Alias {
        id: AliasId::from_uuid(row.get("id")?),
        service: row.text("service")?,
        identity: row.fingerprint("identity")?,
        issue: IssueId::from_uuid(row.get("issue_id")?),
        why: row.named("why", AliasWhy::from_name)?,
        made_by: row.text("made_by")?,
        made_at: row.time("made_at")?,
        count: row.count("count")?,
        ended: ended_by.zip(row.time_or_none("ended_at")?),
        own: own.zip(title),
    })
}

pub(super) async fn one(session: &mut Session, id: AliasId) -> Result<Alias, Fault> {
    let row = session.first(&ONE, args![id]).await?;
    alias_of(&row.ok_or_else(|| Fault::not_found("alias", id))?)
}

/// The alias that is in force for a fingerprint.
pub(in crate::store) async fn in_force(
    session: &mut Session,
    service: &str,
    identity: Fingerprint,
) -> Result<Option<AliasId>, Fault> {
    let row = session.first(&IN_FORCE, args![service, identity]).await?;
    row.map(|row| Ok(AliasId::from_uuid(row.get("id")?))).transpose()
}
