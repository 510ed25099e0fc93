//! The watching half's one transaction: occurrences, cursors, gaps and the jobs they ask for.
//!
//! Few statements, each over all rows, so that a commit costs a handful of round trips however many errors came at once. Issues
//! that are known are counted on first, then new ones are made, both in the order of their keys: two processes that commit the same issues wait
//! for each other. Should they do so in a ring after all (an issue that is known to one only), the database ends it and one tries again.

use std::collections::BTreeMap;

use super::aliases::{self, Resolved, Seen};
use super::evidence::{self, Kept};
use super::issues::{self, Move, action_name, state_of};
use super::jobs::{self, Prepared, Queued};
use super::stories::{self, own_entry};
use super::streams;
use crate::base::clock::Timestamp;
use crate::base::id::IssueId;
use crate::model::decision::Decision;
use crate::model::fingerprint::Fingerprint;
use crate::model::issue::{IssueEvent, IssueState};
use crate::model::occurrence::{CommitBatch, OccurrenceGroup};
use crate::store::fault::Fault;
use crate::store::session::Session;
use crate::store::statement::{Sql, batch, statements};
use crate::store::types::{CommitReceipt, CommittedGroup, TimelineEntry};
use crate::store::value::{Row, hex_id, hex_of, json_rows, saturated, without_nul, wrong};

/// `$2` is now; in front of the update stands what finds the rows, and locks them in the order of their keys.
macro_rules! count_issues {
    ($lock:literal) => {
        batch!(
            "-- count_on_issues
with found as (
  select issues.id, r.count, r.first_seen, r.last_seen from ",
            [service text, identity bytes, count int, first_seen int, last_seen int],
            concat!(
                " join issues on issues.service = r.service and issues.identity = r.identity order by r.ordinal",
                $lock,
                "
)
update issues set
  count = issues.count + found.count,
  first_seen = case when found.first_seen < issues.first_seen then found.first_seen else issues.first_seen end,
  last_seen = case when found.last_seen > issues.last_seen then found.last_seen else issues.last_seen end,
  updated_at = $2
from found where issues.id = found.id
returning issues.id, issues.service, issues.identity, issues.state, issues.muted_until, issues.merged_into, issues.count"
            )
        )
    };
}

statements! {
    // Of issues that are known, which is nearly all of them, only what changes is sent.
    COUNT = Sql {
        sqlite: count_issues!("").sqlite,
        postgres: count_issues!(" for update of issues").postgres,
    };
    UPSERT_ISSUES = batch!(
        "-- upsert_issues
insert into issues (id, service, identity, exact, place, template, preimage, title, title_folded, rule, severity, action, runtime,
  state, state_since, count, first_seen, last_seen, updated_at)
select r.id, r.service, r.identity, r.exact, r.place, r.template, r.preimage, r.title, r.title_folded, r.rule, r.severity,
  r.action, r.runtime, 'open', $2, r.count, r.first_seen, r.last_seen, $2
from ",
        [
            id uuid, service text, identity bytes, exact bytes, place bytes, template text, preimage text, title text,
            title_folded text, rule text, severity text, action text, runtime text, count int, first_seen int, last_seen int,
        ],
        " where true order by r.ordinal
on conflict (service, identity) do update set
  count = issues.count + excluded.count,
  first_seen = case when excluded.first_seen < issues.first_seen then excluded.first_seen else issues.first_seen end,
  last_seen = case when excluded.last_seen > issues.last_seen then excluded.last_seen else issues.last_seen end,
  updated_at = excluded.updated_at
returning id, service, identity, state, muted_until, merged_into, count"
    );
}

/// All groups of one issue in a batch.
struct Merged<'a> {
    /// Its id, should it be new.
    id: IssueId,
    groups: Vec<Placed<'a>>,
}

/// What became of an issue in this commit.
struct Committed {
    id: IssueId,
    is_new: bool,
    count: u64,
    /// The state it was stored with.
    stored: IssueState,
    /// The state it was found in; a mute whose time is over is none.
    before: IssueState,
    state: IssueState,
    is_reopened: bool,
    queued: Queued,
}

/// Service and identity of an issue.
type Key<'a> = (&'a str, Fingerprint);

/// A group, and the issue it counts for.
#[derive(Debug, Clone, Copy)]
struct Placed<'a> {
    group: &'a OccurrenceGroup,
    alias: Option<Resolved>,
}

impl<'a> Placed<'a> {
    fn key(&self) -> Key<'a> {
        (&self.group.service, self.alias.map_or(self.group.levels.identity, |it| it.identity))
    }

    /// Its own identity, where a person merged that with the one of the issue.
    fn merged_from(&self) -> Option<Fingerprint> {
        self.alias.filter(|it| it.is_merged).map(|_| self.group.levels.identity)
    }
}

pub(in crate::store) async fn commit(
    session: &mut Session,
    batch: &CommitBatch,
    now: Timestamp,
) -> Result<CommitReceipt, Fault> {
    session.counts = true;
    let (groups, n_repeated_deliveries) = groups_of(session, batch, now).await?;
    let groups = place(session, &groups, now).await?;
    let mut merged: BTreeMap<Key<'_>, Merged<'_>> = BTreeMap::new();
    for placed in &groups {
        let fresh = || Merged { id: IssueId::new(), groups: Vec::new() };
        merged.entry(placed.key()).or_insert_with(fresh).groups.push(*placed);
    }
    let mut issues = upsert_issues(session, &merged, now).await?;
    let by_aliases: Vec<_> = groups.iter().filter_map(|it| Some((it.alias?.alias, it.group.count))).collect();
    aliases::add_counts(session, &by_aliases).await?;
    let kept = groups.iter().filter_map(|it| {
        let issue = issues.get(&it.key())?.id;
        Some(Kept { issue, group: it.group, merged_from: it.merged_from() })
    });
    let kept: Vec<Kept<'_>> = kept.collect();
    evidence::add_minutes(session, &kept).await?;
    evidence::add_samples(session, &kept).await?;
    evidence::add_later_lines(session, &batch.later).await?;
    let n_jobs_queued = queue_jobs(session, &groups, &mut issues, now).await?;
    tell_stories(session, &merged, &issues, now).await?;
    streams::save_cursors(session, &batch.cursors, now).await?;
    streams::save_gaps(session, &batch.gaps).await?;
    let groups = receipts(&groups, &issues, &n_jobs_queued);
    Ok(CommitReceipt { groups, n_repeated_deliveries })
}

/// The groups to store: plain ones, then those of new deliveries; and how many deliveries were there already.
async fn groups_of<'a>(
    session: &mut Session,
    batch: &'a CommitBatch,
    now: Timestamp,
) -> Result<(Vec<&'a OccurrenceGroup>, u32), Fault> {
    let keys = batch.deliveries.iter().map(|delivery| delivery.key.as_str());
    let mut taken = streams::take_deliveries(session, keys, now).await?;
    let mut groups: Vec<&OccurrenceGroup> = batch.groups.iter().collect();
    let mut n_repeated = 0;
    for delivery in &batch.deliveries {
        // Taken out, so that the same key twice in one batch is a repetition too.
        if taken.remove(&without_nul(&delivery.key)) {
            groups.extend(&delivery.groups);
        } else {
            n_repeated += 1;
        }
    }
    groups.retain(|group| !matches!(group.decision, Decision::Drop { .. }));
    Ok((groups, n_repeated))
}

/// The groups with the issues they count for.
async fn place<'a>(
    session: &mut Session,
    groups: &[&'a OccurrenceGroup],
    now: Timestamp,
) -> Result<Vec<Placed<'a>>, Fault> {
    let seen = |group: &&'a OccurrenceGroup| Seen {
        service: &group.service,
        identity: group.levels.identity,
        former: group.former,
    };
    let seen: Vec<Seen<'_>> = groups.iter().map(seen).collect();
    let resolved = aliases::resolve(session, &seen, now).await?;
    let placed = groups.iter().enumerate();
    Ok(placed.map(|(place, group)| Placed { group, alias: resolved.get(&place).copied() }).collect())
}

/// What is added to an issue that is known.
#[derive(serde::Serialize)]
struct CountRow<'a> {
    service: &'a str,
    identity: String,
    count: i64,
    first_seen: i64,
    last_seen: i64,
}

impl<'a> CountRow<'a> {
    fn of(merged: &Merged<'a>) -> Option<Self> {
        let (service, identity) = merged.groups.first()?.key();
        let groups = || merged.groups.iter().map(|it| it.group);
        Some(Self {
            service,
            identity: hex_of(identity),
            count: groups().map(|group| saturated(group.count)).fold(0, i64::saturating_add),
            first_seen: groups().map(|group| group.first_seen.as_microsecond()).min()?,
            last_seen: groups().map(|group| group.last_seen.as_microsecond()).max()?,
        })
    }
}

#[derive(serde::Serialize)]
struct IssueRow<'a> {
    id: String,
    #[serde(flatten)]
    counted: CountRow<'a>,
    exact: String,
    place: Option<String>,
    template: &'a str,
    preimage: &'a str,
    title: &'a str,
    title_folded: String,
    rule: &'a str,
    severity: &'static str,
    action: &'static str,
    runtime: &'static str,
}

impl<'a> IssueRow<'a> {
    /// The row of an issue that may be new: what it says is what its first group says.
    fn of(merged: &Merged<'a>) -> Option<Self> {
        let first = merged.groups.first()?.group;
        Some(Self {
            id: hex_id(merged.id.uuid()),
            counted: CountRow::of(merged)?,
            exact: hex_of(first.levels.exact),
            place: first.levels.place.map(hex_of),
            template: &first.levels.template,
            preimage: &first.preimage,
            title: first.title.as_str(),
            title_folded: first.title.as_str().to_lowercase(),
            rule: &first.rule,
            severity: first.severity.name(),
            action: action_name(first.action),
            runtime: first.runtime.name(),
        })
    }
}

/// Makes or finds the issues and adds to their counts.
async fn upsert_issues<'a>(
    session: &mut Session,
    merged: &BTreeMap<Key<'a>, Merged<'a>>,
    now: Timestamp,
) -> Result<BTreeMap<Key<'a>, Committed>, Fault> {
    let mut issues = BTreeMap::new();
    if merged.is_empty() {
        return Ok(issues);
    }
    let counts: Vec<CountRow<'_>> = merged.values().filter_map(CountRow::of).collect();
    for row in session.all(&COUNT, vec![json_rows(&counts)?, now.into()]).await? {
        let (key, committed) = committed(&row, merged, now)?;
        issues.insert(key, committed);
    }
    let new = merged.iter().filter(|(key, _)| !issues.contains_key(*key));
    let new: Vec<IssueRow<'_>> = new.filter_map(|(_, it)| IssueRow::of(it)).collect();
    if new.is_empty() {
        return Ok(issues);
    }
    for row in session.all(&UPSERT_ISSUES, vec![json_rows(&new)?, now.into()]).await? {
        let (key, committed) = committed(&row, merged, now)?;
        issues.insert(key, committed);
    }
    Ok(issues)
}

fn committed<'a>(
    row: &Row,
    merged: &BTreeMap<Key<'a>, Merged<'a>>,
    now: Timestamp,
) -> Result<(Key<'a>, Committed), Fault> {
    let (service, identity) = (row.text("service")?, row.fingerprint("identity")?);
    let (key, group) = merged
        .iter()
        .find(|((name, id), _)| *id == identity && without_nul(name) == service)
        .ok_or_else(|| wrong("identity", identity))?;
    let id = IssueId::from_uuid(row.get("id")?);
    let stored = state_of(row)?;
    // It was merged since the aliases were read: what counts for it is not its own any more.
    if stored.merged_into().is_some() {
        return Err(Fault::Overtaken);
    }
    let before = stored.at(now);
    let committed = Committed {
        id,
        is_new: id == group.id,
        count: row.count("count")?,
        stored,
        before,
        state: before,
        is_reopened: false,
        queued: Queued::default(),
    };
    Ok((*key, committed))
}

/// Queues the jobs that the groups ask for and moves the states of their issues; how many jobs were queued for each group.
async fn queue_jobs<'a>(
    session: &mut Session,
    groups: &[Placed<'a>],
    issues: &mut BTreeMap<Key<'a>, Committed>,
    now: Timestamp,
) -> Result<Vec<u32>, Fault> {
    let mut asked: Vec<(usize, Prepared)> = Vec::new();
    for (group_idx, placed) in groups.iter().enumerate() {
        let group = placed.group;
        let Some(issue) = issues.get_mut(&placed.key()) else { continue };
        if matches!(issue.before, IssueState::Muted { .. }) {
            continue;
        }
        if matches!(group.decision, Decision::Reopen { .. }) {
            let reopened = issue.before.after(IssueEvent::SeenAgain);
            // It is not over any more: another process, or an earlier commit, was first, and people have been told.
            if issue.is_reopened || reopened == issue.before {
                continue;
            }
            (issue.state, issue.is_reopened) = (reopened, true);
        }
        for job in &group.jobs {
            asked.push((group_idx, jobs::prepare(job, Some(issue.id), now)?));
        }
    }
    let (group_idxs, prepared): (Vec<usize>, Vec<Prepared>) = asked.into_iter().unzip();
    let inserted = jobs::insert(session, &prepared, now).await?;
    let mut n_jobs_queued = vec![0; groups.len()];
    for (group_idx, job) in group_idxs.into_iter().zip(&prepared) {
        if !inserted.contains(&job.id) {
            continue;
        }
        n_jobs_queued[group_idx] += 1;
        if let Some(issue) = issues.get_mut(&groups[group_idx].key()) {
            issue.queued.add(job.kind);
        }
    }
    for issue in issues.values_mut() {
        if let Some(event) = issue.queued.event() {
            issue.state = issue.state.after(event);
        }
    }
    Ok(n_jobs_queued)
}

/// Writes the new states and what happened.
async fn tell_stories(
    session: &mut Session,
    merged: &BTreeMap<Key<'_>, Merged<'_>>,
    issues: &BTreeMap<Key<'_>, Committed>,
    now: Timestamp,
) -> Result<(), Fault> {
    let mut moves = Vec::new();
    let mut entries: Vec<(IssueId, TimelineEntry)> = Vec::new();
    for (key, issue) in issues {
        if issue.state != issue.stored || issue.queued.is_acted() {
            moves.push(Move { issue: issue.id, to: issue.state, is_acted: issue.queued.is_acted() });
        }
        if issue.is_new {
            let title =
                merged.get(key).and_then(|it| it.groups.first()).map_or("", |it| it.group.title.as_str());
            entries.push((issue.id, own_entry(now, "issue opened", title)));
        }
        if issue.before != issue.stored {
            entries.push((issue.id, own_entry(now, "mute ended", "")));
        }
        if issue.is_reopened {
            entries.push((issue.id, own_entry(now, "issue reopened", "")));
        }
        if issue.state == IssueState::Fixing && issue.before != IssueState::Fixing {
            entries.push((issue.id, own_entry(now, "fix queued", "")));
        }
    }
    issues::set_states(session, &moves, now).await?;
    stories::add_all(session, &entries).await?;
    Ok(())
}

fn receipts(
    groups: &[Placed<'_>],
    issues: &BTreeMap<Key<'_>, Committed>,
    n_jobs_queued: &[u32],
) -> Vec<CommittedGroup> {
    let mut told_new = std::collections::BTreeSet::new();
    let each = groups.iter().zip(n_jobs_queued);
    each.filter_map(|(placed, n_jobs_queued)| {
        let (key, group) = (placed.key(), placed.group);
        let issue = issues.get(&key)?;
        Some(CommittedGroup {
            service: group.service.clone(),
            identity: group.levels.identity,
            issue: issue.id,
            is_new: issue.is_new && told_new.insert(key),
            state: issue.state,
            count: issue.count,
            n_jobs_queued: *n_jobs_queued,
        })
    })
    .collect()
}
