//! Who changed what: rows chained by blake3, so that one that was changed or taken out later shows.
//!
//! The hash of a row covers the hash before it and all its fields, each with its length in front, so that no text can be moved from
//! one field to the next. The head of the chain stands in `meta` too: rows cut off at the end show as well.

use crate::base::clock::Timestamp;
use crate::store::fault::Fault;
use crate::store::session::Session;
use crate::store::statement::{Sql, for_update, statements};
use crate::store::types::{AuditEntry, DEFAULT_LIMIT};
use crate::store::value::{Row, args, without_nul, wrong};

statements! {
    HEAD = for_update!("-- audit_head\nselect value from meta where key = 'audit_head'");
    SET_HEAD = Sql::both("-- set_audit_head\nupdate meta set value = $1 where key = 'audit_head'");
    APPEND = Sql::both(
        "-- append_audit
insert into audit (seq, at, actor, action, subject, detail, hash) values ($1, $2, $3, $4, $5, $6, $7)"
    );
    NEWEST = Sql::both(
        "-- audit_entries
select seq, at, actor, action, subject, detail, hash from audit order by seq desc limit $1"
    );
    AFTER = Sql::both(
        "-- audit_after
select seq, at, actor, action, subject, detail, hash from audit where seq > $1 order by seq limit 1000"
    );
    READ_HEAD = Sql::both("-- read_audit_head\nselect value from meta where key = 'audit_head'");
}

/// The last row: its number and its hash (none before the first).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Head {
    seq: i64,
    hash: Vec<u8>,
}

impl Head {
    fn read(row: &Row) -> Result<Self, Fault> {
        let text = row.text("value")?;
        let broken = || wrong("audit_head", &text);
        let (seq, hash) = text.split_once(':').ok_or_else(broken)?;
        Ok(Self { seq: seq.parse().map_err(|_| broken())?, hash: hex::decode(hash).map_err(|_| broken())? })
    }

    fn text(&self) -> String {
        format!("{}:{}", self.seq, hex::encode(&self.hash))
    }
}

fn hash(before: &[u8], entry: &AuditEntry) -> Vec<u8> {
    let mut hasher = blake3::Hasher::new();
    let (seq, at) = (entry.seq.to_le_bytes(), entry.at.as_microsecond().to_le_bytes());
    let AuditEntry { actor, action, subject, detail, seq: _, at: _, hash: _ } = entry;
    let fields: [&[u8]; 7] =
        [before, &seq, &at, actor.as_bytes(), action.as_bytes(), subject.as_bytes(), detail.as_bytes()];
    for field in fields {
        hasher.update(&(field.len() as u64).to_le_bytes());
        hasher.update(field);
    }
    hasher.finalize().as_bytes().to_vec()
}

/// Appends a row. Call it last in a transaction: it holds the head of the chain, for which all others wait.
pub(in crate::store) async fn append(
    session: &mut Session,
    actor: &str,
    action: &str,
    subject: &str,
    detail: &str,
    now: Timestamp,
) -> Result<(), Fault> {
    let head = Head::read(&session.one(&HEAD, args![]).await?)?;
    let mut entry = AuditEntry {
        seq: head.seq + 1,
        at: now,
        actor: without_nul(actor),
        action: without_nul(action),
        subject: without_nul(subject),
        detail: without_nul(detail),
        hash: String::new(),
    };
    let hash = hash(&head.hash, &entry);
    entry.hash = hex::encode(&hash);
    let head = Head { seq: entry.seq, hash: hash.clone() };
    session
        .run(
            &APPEND,
            args![entry.seq, entry.at, entry.actor, entry.action, entry.subject, entry.detail, hash],
        )
        .await?;
    session.run(&SET_HEAD, args![head.text()]).await?;
    Ok(())
}

fn entry_of(row: &Row) -> Result<AuditEntry, Fault> {
    Ok(AuditEntry {
        seq: row.get("seq")?,
        at: row.time("at")?,
        actor: row.text("actor")?,
        action: row.text("action")?,
        subject: row.text("subject")?,
        detail: row.text("detail")?,
        hash: hex::encode(row.get::<Vec<u8>>("hash")?),
    })
}

pub(in crate::store) async fn entries(session: &mut Session, limit: u32) -> Result<Vec<AuditEntry>, Fault> {
    let limit = if limit == 0 { DEFAULT_LIMIT } else { limit };
    session.all(&NEWEST, args![limit]).await?.iter().map(entry_of).collect()
}

/// Whether the chain is whole, from its first row to its head.
pub(in crate::store) async fn verify(session: &mut Session) -> Result<bool, Fault> {
    let mut head = Head::default();
    loop {
        let rows = session.all(&AFTER, args![head.seq]).await?;
        if rows.is_empty() {
            return Ok(head == Head::read(&session.one(&READ_HEAD, args![]).await?)?);
        }
        for row in &rows {
            let entry = entry_of(row)?;
            let hash = hash(&head.hash, &entry);
            if entry.seq != head.seq + 1 || entry.hash != hex::encode(&hash) {
                return Ok(false);
            }
            head = Head { seq: entry.seq, hash };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_moves_between_fields_changes_the_hash() {
        let entry = |actor: &str, action: &str| AuditEntry {
            seq: 1,
            at: Timestamp::UNIX_EPOCH,
            actor: actor.to_owned(),
            action: action.to_owned(),
            subject: String::new(),
            detail: String::new(),
            hash: String::new(),
        };
        let known = hash(&[], &entry("ada", "mute"));
        assert_eq!(hash(&[], &entry("ada", "mute")), known);
        assert_ne!(hash(&[], &entry("adam", "ute")), known);
        assert_ne!(hash(&[0], &entry("ada", "mute")), known);
        assert_ne!(hash(&[], &AuditEntry { seq: 2, ..entry("ada", "mute") }), known);
    }
}
