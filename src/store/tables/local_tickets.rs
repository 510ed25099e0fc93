//! The local tracker: tickets of those who have no other.

use crate::base::clock::Timestamp;
use crate::store::fault::Fault;
use crate::store::session::Session;
use crate::store::statement::{Sql, for_update, statements};
use crate::store::types::{LocalComment, LocalTicket};
use crate::store::value::{Row, args};

statements! {
    BY_MARKER = Sql::both("-- local_ticket_by_marker\nselect number from local_tickets where marker = $1");
    OPEN = Sql::both(
        "-- open_local_ticket
insert into local_tickets (marker, title, body, is_open, opened_at) values ($1, $2, $3, true, $4)
on conflict (marker) do nothing"
    );
    ONE = Sql::both(
        "-- local_ticket\nselect number, marker, title, body, is_open, opened_at from local_tickets where number = $1"
    );
    LOCK = for_update!("-- lock_local_ticket\nselect number from local_tickets where number = $1");
    COMMENT = Sql::both(
        "-- comment_local_ticket
insert into local_comments (number, seq, marker, at, body)
select $1, coalesce(max(seq), 0) + 1, $2, $3, $4 from local_comments where number = $1
on conflict (number, marker) do nothing"
    );
    COMMENTS = Sql::both(
        "-- local_comments\nselect marker, at, body from local_comments where number = $1 order by seq"
    );
}

pub(in crate::store) async fn open(
    session: &mut Session,
    marker: &str,
    title: &str,
    body: &str,
    now: Timestamp,
) -> Result<i64, Fault> {
    // Looked for first: an insert that finds one there would still use up a number.
    if let Some(row) = session.first(&BY_MARKER, args![marker]).await? {
        return row.get("number");
    }
    session.run(&OPEN, args![marker, title, body, now]).await?;
    session.one(&BY_MARKER, args![marker]).await?.get("number")
}

pub(in crate::store) async fn comment(
    session: &mut Session,
    number: i64,
    comment: &LocalComment,
) -> Result<(), Fault> {
    session.first(&LOCK, args![number]).await?.ok_or_else(|| Fault::not_found("local ticket", number))?;
    session.run(&COMMENT, args![number, &comment.marker, comment.at, &comment.body]).await?;
    Ok(())
}

pub(in crate::store) async fn one(session: &mut Session, number: i64) -> Result<LocalTicket, Fault> {
    let row = session.first(&ONE, args![number]).await?;
    let row = row.ok_or_else(|| Fault::not_found("local ticket", number))?;
    let comments = session.all(&COMMENTS, args![number]).await?;
    Ok(LocalTicket {
        number: row.get("number")?,
        marker: row.text("marker")?,
        title: row.text("title")?,
        body: row.text("body")?,
        is_open: row.get("is_open")?,
        opened_at: row.time("opened_at")?,
        comments: comments.iter().map(comment_of).collect::<Result<_, _>>()?,
    })
}

fn comment_of(row: &Row) -> Result<LocalComment, Fault> {
    Ok(LocalComment { marker: row.text("marker")?, at: row.time("at")?, body: row.text("body")? })
}
