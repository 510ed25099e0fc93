//! Tickets and proposals: what homeostat has at trackers and forges.

use crate::base::clock::Timestamp;
use crate::base::id::{AttemptId, IssueId, ProposalId, TicketId};
use crate::model::proposal::{Proposal, ProposalState};
use crate::model::ticket::Ticket;
use crate::store::fault::Fault;
use crate::store::session::Session;
use crate::store::statement::{Sql, statements};
use crate::store::value::{Row, args, wrong};

macro_rules! proposal_columns {
    () => {
        "id, issue_id, attempt_id, forge, key, url, branch, base_branch, head, files, title, body, is_draft, state, opened_at"
    };
}

statements! {
    SAVE_TICKET = Sql::both(
        "-- save_ticket
insert into tickets (id, issue_id, tracker, key, url, opened_at) values ($1, $2, $3, $4, $5, $6)
on conflict (issue_id, tracker) do nothing"
    );
    KEPT_TICKET = Sql::both(
        "-- kept_ticket
select id, issue_id, tracker, key, url, opened_at from tickets where issue_id = $1 and tracker = $2"
    );
    // After a change of tracker in the config there may be two: the later one is in use.
    TICKET = Sql::both(
        "-- ticket
select id, issue_id, tracker, key, url, opened_at from tickets where issue_id = $1 order by opened_at desc, id desc limit 1"
    );
    SAVE = Sql::both(concat!(
        "-- save_proposal\ninsert into proposals (", proposal_columns!(), ", updated_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $15)
on conflict (attempt_id) do nothing"
    ));
    KEPT = Sql::both(concat!(
        "-- kept_proposal\nselect ", proposal_columns!(), " from proposals where attempt_id = $1"
    ));
    ONE = Sql::both(concat!("-- proposal\nselect ", proposal_columns!(), " from proposals where id = $1"));
    OF_ISSUE = Sql::both(concat!(
        "-- proposals\nselect ", proposal_columns!(), " from proposals where issue_id = $1 order by opened_at, id"
    ));
    SET_STATE = Sql::both(
        "-- set_proposal_state\nupdate proposals set state = $2, updated_at = $3 where id = $1"
    );
}

fn ticket_of(row: &Row) -> Result<Ticket, Fault> {
    Ok(Ticket {
        id: TicketId::from_uuid(row.get("id")?),
        issue: IssueId::from_uuid(row.get("issue_id")?),
        tracker: row.text("tracker")?,
        key: row.text("key")?,
        url: row.text("url")?,
        opened_at: row.time("opened_at")?,
    })
}

pub(in crate::store) async fn save_ticket(session: &mut Session, ticket: &Ticket) -> Result<Ticket, Fault> {
    let Ticket { id, issue, tracker, key, url, opened_at } = ticket;
    session.run(&SAVE_TICKET, args![*id, *issue, tracker, key, url, *opened_at]).await?;
    ticket_of(&session.one(&KEPT_TICKET, args![*issue, tracker]).await?)
}

pub(in crate::store) async fn ticket(session: &mut Session, issue: IssueId) -> Result<Option<Ticket>, Fault> {
    session.first(&TICKET, args![issue]).await?.as_ref().map(ticket_of).transpose()
}

fn proposal_of(row: &Row) -> Result<Proposal, Fault> {
    let files = row.text("files")?;
    Ok(Proposal {
        id: ProposalId::from_uuid(row.get("id")?),
        issue: IssueId::from_uuid(row.get("issue_id")?),
        attempt: AttemptId::from_uuid(row.get("attempt_id")?),
        forge: row.text("forge")?,
        key: row.text("key")?,
        url: row.text("url")?,
        branch: row.text("branch")?,
        base_branch: row.text("base_branch")?,
        head: row.text("head")?,
        files: serde_json::from_str(&files).map_err(|_| wrong("files", files))?,
        title: row.text("title")?,
        body: row.text("body")?,
        is_draft: row.get("is_draft")?,
        state: row.named("state", ProposalState::from_name)?,
        opened_at: row.time("opened_at")?,
    })
}

pub(in crate::store) async fn save(session: &mut Session, proposal: &Proposal) -> Result<Proposal, Fault> {
    let files = serde_json::to_string(&proposal.files)
        .map_err(|error| Fault::Row(format!("failed to write file names as JSON: {error}")))?;
    let values = args![
        proposal.id,
        proposal.issue,
        proposal.attempt,
        &proposal.forge,
        &proposal.key,
        &proposal.url,
        &proposal.branch,
        &proposal.base_branch,
        &proposal.head,
        files,
        &proposal.title,
        &proposal.body,
        proposal.is_draft,
        proposal.state.name(),
        proposal.opened_at,
    ];
    session.run(&SAVE, values).await?;
    proposal_of(&session.one(&KEPT, args![proposal.attempt]).await?)
}

pub(in crate::store) async fn set_state(
    session: &mut Session,
    id: ProposalId,
    state: ProposalState,
    now: Timestamp,
) -> Result<(), Fault> {
    match session.run(&SET_STATE, args![id, state.name(), now]).await? {
        0 => Err(Fault::not_found("proposal", id)),
        _ => Ok(()),
    }
}

pub(in crate::store) async fn one(session: &mut Session, id: ProposalId) -> Result<Proposal, Fault> {
    let row = session.first(&ONE, args![id]).await?;
    proposal_of(&row.ok_or_else(|| Fault::not_found("proposal", id))?)
}

pub(in crate::store) async fn of_issue(
    session: &mut Session,
    issue: IssueId,
) -> Result<Vec<Proposal>, Fault> {
    session.all(&OF_ISSUE, args![issue]).await?.iter().map(proposal_of).collect()
}
