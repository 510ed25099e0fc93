//! What a source gives, line by line: a reader of lanes with nothing behind it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use homeostat::model::cursor::Cursor;
use homeostat::watch::source::lane::{Opening, Parcel};
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
    pub(crate) n_ends: usize,
    /// Name of the container, or path of the file.
    pub(crate) label: String,
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
        let key = opening.origin.stream.0.clone();
        let known = streams.with(|streams| {
            let stream = streams.entry(key.clone()).or_default();
            stream.label.clone_from(&opening.origin.label);
            stream.cursors.last().cloned().or_else(|| stream.start.clone())
        });
        let cursor = known.or_else(|| cursors.remove(&key));
        let Some(mut parcels) = opening.grant(cursor) else { continue };
        let streams = streams.clone();
        tokio::spawn(async move {
            while let Some(parcel) = parcels.recv().await {
                streams.with(|streams| take(streams.entry(key.clone()).or_default(), parcel));
            }
        });
    }
}

fn take(stream: &mut Stream, parcel: Parcel) {
    match parcel {
        Parcel::Start(cursor) => stream.start = Some(cursor),
        Parcel::Loss(loss) => stream.losses.push(loss.reason),
        // A file or a container has one writer.
        Parcel::Entries(_) | Parcel::Read { .. } | Parcel::Settle(_) => {}
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
