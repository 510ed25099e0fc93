//! One stream of a container, as it comes over the engine's API: messages to lines, past what is known already, in blocks onto its lane.

use std::time::Duration;

use bytes::Bytes;
use tracing::warn;

use crate::base::metrics;
use crate::watch::source::docker::lines::{Joiner, Line};
use crate::watch::source::docker::log_plan::time;
use crate::watch::source::lane::{Block, DockerPlace, Lane, Loss, Parcel, Places, ReaderGone};
use crate::watch::source::pace::Pace;

const NOWHERE: DockerPlace = DockerPlace { nanos: 0, n_at_nanos: 0 };

/// The line that came last of both streams.
#[derive(Debug, Clone, Copy)]
pub(super) struct Newest {
    pub(super) is_stderr: bool,
    pub(super) place: DockerPlace,
}

/// What an answer repeats of a stream.
#[derive(Debug, Clone, Copy)]
pub(super) enum Skip {
    /// All up to this place.
    To(DockerPlace),
    /// The same; the line of the place has to be there.
    ToOwn(DockerPlace),
    /// All of both streams up to the line of this place, which has to be there.
    ToNewest(DockerPlace),
    /// All up to such a line of the other stream.
    ToOther,
}

/// One stream of a container.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) lane: Lane,
    pub(super) joiner: Joiner,
    pub(super) is_terminal: bool,
    /// Of the last line taken; everything up to it was sent or is in `text`.
    pub(super) place: DockerPlace,
    /// The last line of the present answer, new or not.
    pub(super) seen: DockerPlace,
    /// What the present answer repeats.
    pub(super) skip: Option<Skip>,
    pub(super) text: Vec<u8>,
    pub(super) places: Vec<DockerPlace>,
    /// What came before `text` and is not there any more.
    pub(super) loss: Option<Loss>,
    /// Lines taken so far.
    pub(super) n_lines: u64,
    pub(super) pace: Pace,
}

impl Reading {
    pub(super) fn new((lane, place): (Lane, DockerPlace), is_terminal: bool) -> Self {
        Self {
            lane,
            joiner: Joiner::new(is_terminal),
            is_terminal,
            place,
            seen: NOWHERE,
            skip: None,
            text: Vec::new(),
            places: Vec::new(),
            loss: None,
            n_lines: 0,
            pace: Pace::new(),
        }
    }

    /// An answer begins: what was left open of the last one comes again.
    pub(super) fn begin(&mut self) {
        self.joiner = Joiner::new(self.is_terminal);
        self.seen = NOWHERE;
        self.skip = Some(Skip::To(self.place));
    }

    pub(super) fn take(&mut self, message: &[u8]) {
        let n_cut_before = self.joiner.n_cut_bytes;
        match self.joiner.push(message) {
            Some((before, own)) => {
                for line in [before, own].into_iter().flatten() {
                    self.add(&line);
                }
            }
            None => metrics::odd_message("docker", "without a time"),
        }
        metrics::cut_bytes("docker", self.joiner.n_cut_bytes - n_cut_before);
    }

    pub(super) fn add(&mut self, line: &Line) {
        self.seen = self.seen.then(line.nanos);
        if !self.is_new(line.nanos) {
            return;
        }
        self.place = self.place.then(line.nanos);
        self.places.push(self.place);
        self.text.extend_from_slice(&line.text);
        self.text.push(b'\n');
        self.n_lines += 1;
    }

    /// Whether a line of this time comes after the place from which the answer was asked for. Once it is reached all that follows is new,
    /// whatever its time: a clock may be set back.
    fn is_new(&mut self, nanos: i64) -> bool {
        let skip = match &mut self.skip {
            None => return true,
            Some(Skip::ToOther) => return false,
            Some(Skip::ToOwn(line) | Skip::ToNewest(line)) => {
                if nanos == line.nanos {
                    line.n_at_nanos -= 1;
                    if line.n_at_nanos == 0 {
                        self.skip = None;
                    }
                }
                return false;
            }
            Some(Skip::To(place)) => place,
        };
        if nanos < skip.nanos {
            return false;
        }
        let is_repeated = nanos == skip.nanos && skip.n_at_nanos > 0;
        if is_repeated {
            skip.n_at_nanos -= 1;
        }
        if !is_repeated && skip.n_at_nanos > 0 {
            // The engine has not even that line any more.
            let reason = "rotated away before it was read".to_owned();
            self.loss = Some(Loss { from: time(skip.nanos), to: time(nanos), reason, of_stream: None });
        }
        if !is_repeated || skip.n_at_nanos == 0 {
            self.skip = None;
        }
        !is_repeated
    }

    /// Whether nothing of the answer is new yet.
    pub(super) fn is_skipping_all(&self) -> bool {
        matches!(self.skip, Some(Skip::ToNewest(_) | Skip::ToOther))
    }

    /// How long it was silent, when nothing came at all for `silent` and the container's last line is of this time: what it wrote before
    /// would have come before that one.
    pub(super) fn silent(&self, newest: i64, silent: Duration) -> Duration {
        let behind = u64::try_from(newest.saturating_sub(self.place.nanos)).unwrap_or(0);
        silent.max(Duration::from_nanos(behind))
    }

    pub(super) async fn send(&mut self) -> Result<(), ReaderGone> {
        if self.places.is_empty() {
            return Ok(());
        }
        if let Some(loss) = self.loss.take() {
            warn!(
                from = loss.from,
                to = loss.to,
                "the log of a container was rotated away before it was read"
            );
            self.lane.send(Parcel::Loss(loss)).await?;
        }
        let text = Bytes::from(std::mem::take(&mut self.text));
        let places = Places::Docker(std::mem::take(&mut self.places));
        metrics::source_bytes("docker", text.len());
        self.pace.sent();
        self.lane.send(Parcel::Block(Block { text, places })).await
    }
}
