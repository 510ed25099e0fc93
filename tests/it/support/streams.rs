//! What a source gives, line by line: a reader of lanes with nothing behind it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use homeostat::base::clock::Timestamp;
use homeostat::model::cursor::{Cursor, FilePlace};
use homeostat::watch::source::lane::{Block, Opening, Parcel, Places};
use tokio::sync::mpsc;

use super::wait::{PATIENCE, eventually};

/// What came from one stream, by the reader's own book-keeping.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Stream {
    pub(crate) lines: Vec<String>,
    /// The place after each line.
    pub(crate) cursors: Vec<Cursor>,
    /// Where the source said that reading begins.
    pub(crate) start: Option<Cursor>,
    /// Why lines were lost, each time.
    pub(crate) losses: Vec<String>,
    /// How often it was called quiet.
    pub(crate) n_quiets: usize,
    /// How often its writer was said to pause.
    pub(crate) n_pauses: usize,
    pub(crate) n_ends: usize,
    /// Name of the container, or path of the file.
    pub(crate) label: String,
    /// Of the engine's own lines: the last one has no line break yet, and how long its last part was.
    is_within_line: bool,
    last_part_len: usize,
}

/// Everything a source has sent, by stream key.
#[derive(Debug, Clone, Default)]
pub(crate) struct Streams(Arc<Mutex<BTreeMap<String, Stream>>>);

impl Streams {
    fn with<T>(&self, change: impl FnOnce(&mut BTreeMap<String, Stream>) -> T) -> T {
        change(&mut self.0.lock().expect("no test panics while it holds this"))
    }

    /// The stream with this key, empty if nothing came.
    pub(crate) fn get(&self, key: &str) -> Stream {
        self.with(|streams| streams.get(key).cloned()).unwrap_or_default()
    }

    /// Streams of what has this name.
    pub(crate) fn named(&self, label: &str) -> Vec<Stream> {
        self.with(|streams| streams.values().filter(|stream| stream.label == label).cloned().collect())
    }

    /// Waits for the stream's last line.
    pub(crate) async fn wait_for(&self, key: &str, last_line: &str) -> Stream {
        let what = format!("`{last_line}` as the last line of {key}");
        eventually(&what, PATIENCE, async || {
            let stream = self.get(key);
            // Told at once, with what is there, rather than waited for.
            assert_eq!(stream.losses, [""; 0], "{what}: {stream:?}");
            (stream.lines.last().map(String::as_str) == Some(last_line)).then_some(stream)
        })
        .await
    }
}

/// Grants every lane at the last place seen, else at the cursor given for it.
pub(crate) async fn answer(
    mut openings: mpsc::Receiver<Opening>,
    streams: Streams,
    mut cursors: HashMap<String, Cursor>,
) {
    while let Some(opening) = openings.recv().await {
        let keys: Vec<String> = opening.streams().map(|it| it.0.clone()).collect();
        let mut known = keys.iter().map(|key| {
            let known = streams.with(|streams| {
                let stream = streams.entry(key.clone()).or_default();
                stream.label.clone_from(&opening.origin.label);
                stream.cursors.last().cloned().or_else(|| stream.start.clone())
            });
            known.or_else(|| cursors.remove(key))
        });
        let (first, second) = (known.next().flatten(), known.next().flatten());
        drop(known);
        let mut last = [first.clone(), second.clone()].map(|it| place_of(it.as_ref()));
        let Some(mut parcels) = opening.grant_pair(first, second) else { continue };
        let streams = streams.clone();
        tokio::spawn(async move {
            while let Some(parcel) = parcels.recv().await {
                let taken = taken_of(parcel).await;
                streams.with(|streams| {
                    taken.into_iter().for_each(|parcel| match parcel {
                        Parcel::StartPair(starts) => {
                            last = starts.each_ref().map(|it| place_of(Some(it)));
                            for (key, start) in keys.iter().zip(starts) {
                                streams.entry(key.clone()).or_default().start = Some(start);
                            }
                        }
                        Parcel::Block(Block { text, places: Places::DockerFile { place, taken_to } }) => {
                            take_pair(streams, &keys, &mut last, &text, place, taken_to);
                        }
                        Parcel::End => {
                            for key in &keys {
                                streams.entry(key.clone()).or_default().n_ends += 1;
                            }
                        }
                        other @ (Parcel::Start(_)
                        | Parcel::Block(_)
                        | Parcel::Backlog(_)
                        | Parcel::Loss(_)
                        | Parcel::Quiet
                        | Parcel::Pause
                        | Parcel::Entries(_)
                        | Parcel::Read { .. }
                        | Parcel::Settle(_)) => take(streams.entry(keys[0].clone()).or_default(), other),
                    })
                });
            }
        });
    }
}

fn place_of(cursor: Option<&Cursor>) -> (i64, u32) {
    match cursor {
        Some(&Cursor::Docker { nanos, n_at_nanos, .. }) => (nanos, n_at_nanos),
        Some(Cursor::File { .. } | Cursor::Mixed { .. }) | None => (0, 0),
    }
}

/// The blocks that are taken of a backlog; two at a time, so that what is left comes again.
async fn taken_of(parcel: Parcel) -> Vec<Parcel> {
    if let Parcel::Backlog(backlog) = parcel {
        let taken = tokio::task::spawn_blocking(|| backlog.take(2).map(Parcel::Block).collect());
        taken.await.expect("reading does not panic")
    } else {
        vec![parcel]
    }
}

/// Takes lines as the engine writes them, for both streams of a container.
fn take_pair(
    streams: &mut BTreeMap<String, Stream>,
    keys: &[String],
    last: &mut [(i64, u32); 2],
    text: &[u8],
    place: FilePlace,
    taken_to: [u64; 2],
) {
    let mut offset = place.offset;
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let begin = offset;
        offset += line.len() as u64;
        let Ok(json) = serde_json::from_slice::<serde_json::Value>(line) else { continue };
        let field = |name: &str| json[name].as_str().unwrap_or_default().to_owned();
        let idx = usize::from(field("stream") == "stderr");
        if begin < taken_to[idx] {
            continue;
        }
        let stream = streams.entry(keys[idx].clone()).or_default();
        let nanos: i64 = field("time")
            .parse::<Timestamp>()
            .map_or(0, |it| i64::try_from(it.as_nanosecond()).unwrap_or_default());
        let log = field("log");
        let goes_on = stream.is_within_line && (stream.last_part_len == 16 << 10 || last[idx].0 == nanos);
        if goes_on {
            if let Some(line) = stream.lines.last_mut() {
                line.push_str(log.trim_end_matches('\n'));
            }
            stream.cursors.pop();
        } else {
            stream.lines.push(log.trim_end_matches('\n').to_owned());
            last[idx] = (nanos, if last[idx].0 == nanos { last[idx].1 + 1 } else { 1 });
        }
        stream.last_part_len = log.len();
        stream.is_within_line = !log.ends_with('\n');
        let (nanos, n_at_nanos) = last[idx];
        let log = Some(FilePlace { offset, ..place });
        stream.cursors.push(Cursor::Docker { nanos, n_at_nanos, log });
    }
}

fn take(stream: &mut Stream, parcel: Parcel) {
    match parcel {
        Parcel::Start(cursor) => stream.start = Some(cursor),
        Parcel::Loss(loss) => stream.losses.push(loss.reason),
        // A file or a container has one writer.
        Parcel::Entries(_) | Parcel::Read { .. } | Parcel::Settle(_) => {}
        Parcel::StartPair(_) | Parcel::Backlog(_) => {}
        Parcel::Pause => stream.n_pauses += 1,
        Parcel::Quiet => stream.n_quiets += 1,
        Parcel::End => stream.n_ends += 1,
        Parcel::Block(block) => {
            let text = String::from_utf8_lossy(&block.text);
            for (line_idx, line) in text.lines().enumerate() {
                stream.lines.push(line.to_owned());
                stream.cursors.push(block.cursor_before(line_idx + 1));
            }
        }
    }
}
