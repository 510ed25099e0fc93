//! Finds out whether another daemon reads the same query of Loki for the same database: both would count its lines.
//!
//! A place that is another than this daemon has stored last was stored by somebody else. It is looked at once in a while; the lines are
//! counted all the same, since nobody can tell which of the two is meant to go.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tokio::time::Instant;

use crate::model::cursor::{Cursor, StreamKey};
use crate::store::Store;

const LOOK_EVERY: Duration = Duration::from_secs(60);

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Rivals {
    own: HashMap<StreamKey, Own>,
    /// Streams of which it was told.
    told: HashSet<StreamKey>,
}

/// What was stored last of a stream.
#[derive(Debug)]
struct Own {
    cursor: Cursor,
    looked_at: Instant,
}

impl Rivals {
    /// Looks at the streams whose places are about to be stored, those of them that are due; tells of each with a rival once, and gives
    /// those that it told of. A store that does not answer is asked another time.
    pub(super) async fn look(
        &mut self,
        store: &dyn Store,
        cursors: &[(StreamKey, Cursor)],
    ) -> Vec<StreamKey> {
        let mut told = Vec::new();
        for (stream, _) in cursors {
            let Some(own) = self.own.get_mut(stream).filter(|own| own.looked_at.elapsed() >= LOOK_EVERY)
            else {
                continue;
            };
            own.looked_at = Instant::now();
            let Ok(Some(stored)) = store.cursor(stream).await else { continue };
            if stored != own.cursor && self.told.insert(stream.clone()) {
                tracing::error!(
                    stream = stream.0,
                    "another daemon reads the same query for the same database: its lines are counted twice until one of them stops"
                );
                told.push(stream.clone());
            }
        }
        told
    }

    /// Notes what was stored.
    pub(super) fn note(&mut self, cursors: Vec<(StreamKey, Cursor)>) {
        for (stream, cursor) in cursors.into_iter().filter(|(stream, _)| stream.source() == "loki") {
            match self.own.get_mut(&stream) {
                Some(own) => own.cursor = cursor,
                None => drop(self.own.insert(stream, Own { cursor, looked_at: Instant::now() })),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::Timestamp;
    use crate::model::cursor::MixedPlace;
    use crate::model::occurrence::CommitBatch;
    use crate::store;

    #[tokio::test]
    async fn who_moves_the_same_place_is_found_out() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("a.db").display());
        let store = store::open(&store::Settings { url, max_connections: 1 }).await.unwrap();
        let key = |name: &str| StreamKey(name.to_owned());
        let at = |nanos: i64| {
            let place = MixedPlace::Loki { nanos, seen: vec![1] };
            Cursor::Mixed { place, ahead: Vec::new() }
        };
        let commit = async |stream: &StreamKey, nanos: i64| {
            let batch = CommitBatch { cursors: vec![(stream.clone(), at(nanos))], ..CommitBatch::default() };
            store.commit(batch, Timestamp::UNIX_EPOCH).await.unwrap();
        };
        let mut rivals = Rivals::default();
        let (shared, alone) = (key("loki:all"), key("loki:own"));
        let next = [(shared.clone(), at(9)), (alone.clone(), at(9)), (key("file:/a.log"), at(9))];
        for (stream, _) in &next {
            commit(stream, 1).await;
            rivals.note(vec![(stream.clone(), at(1))]);
        }
        commit(&shared, 2).await;
        commit(&key("file:/a.log"), 2).await;
        assert_eq!(rivals.look(&*store, &next).await, [], "it is not time yet");
        let make_due = |rivals: &mut Rivals| {
            rivals.own.values_mut().for_each(|own| own.looked_at = Instant::now() - LOOK_EVERY);
        };
        make_due(&mut rivals);
        assert_eq!(rivals.look(&*store, &next).await, [shared]);
        make_due(&mut rivals);
        assert_eq!(rivals.look(&*store, &next).await, [], "it is told once");
        store.close().await;
    }
}
