//! The few things there is one of: this installation's id, its first run, the pause switch.

use super::audit;
use crate::base::clock::Timestamp;
use crate::store::fault::Fault;
use crate::store::session::Session;
use crate::store::statement::{Sql, statements};
use crate::store::value::{args, wrong};

statements! {
    PING = Sql::both("-- ping\nselect 1 as answer");
    GET = Sql::both("-- meta\nselect value from meta where key = $1");
    SET_ONCE = Sql::both("-- set_meta_once\ninsert into meta (key, value) values ($1, $2) on conflict (key) do nothing");
    SET = Sql::both("-- set_meta\nupdate meta set value = $2 where key = $1");
}

pub(in crate::store) async fn ping(session: &mut Session) -> Result<(), Fault> {
    session.one(&PING, args![]).await?;
    Ok(())
}

/// The value of `key`; `fresh` if there was none. Of two that come at the same time both get the same.
async fn once(session: &mut Session, key: &'static str, fresh: String) -> Result<String, Fault> {
    if let Some(row) = session.first(&GET, args![key]).await? {
        return row.text("value");
    }
    session.run(&SET_ONCE, args![key, fresh]).await?;
    session.one(&GET, args![key]).await?.text("value")
}

pub(in crate::store) async fn instance_id(session: &mut Session) -> Result<String, Fault> {
    once(session, "instance_id", format!("{:016x}", fastrand::u64(..))).await
}

pub(in crate::store) async fn first_run_at(
    session: &mut Session,
    now: Timestamp,
) -> Result<Timestamp, Fault> {
    let text = once(session, "first_run_at", now.as_microsecond().to_string()).await?;
    let micros = text.parse().map_err(|_| wrong("first_run_at", &text))?;
    Timestamp::from_microsecond(micros).map_err(|_| wrong("first_run_at", &text))
}

pub(in crate::store) async fn is_paused(session: &mut Session) -> Result<bool, Fault> {
    Ok(session.one(&GET, args!["paused"]).await?.text("value")? == "true")
}

pub(in crate::store) async fn set_paused(
    session: &mut Session,
    is_paused: bool,
    actor: &str,
    now: Timestamp,
) -> Result<(), Fault> {
    session.run(&SET, args!["paused", is_paused.to_string()]).await?;
    // What was held back may run now.
    session.has_queued |= !is_paused;
    audit::append(session, actor, if is_paused { "pause" } else { "resume" }, "homeostat", "", now).await
}
