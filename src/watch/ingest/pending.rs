//! What is found but not committed yet, coalesced per issue.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::pipeline::Found;
use super::sampler::Sampler;
use super::stream::{Report, Source};
use crate::base::clock::Timestamp;
use crate::base::metrics;
use crate::base::redact::Clean;
use crate::model::cursor::{Cursor, Gap, StreamKey};
use crate::model::decision::Decision;
use crate::model::detection::{Action, Severity};
use crate::model::fingerprint::{Fingerprint, Levels};
use crate::model::occurrence::{Around, CommitBatch, OccurrenceGroup, Sample};
use crate::model::service::Service;
use crate::model::trace::Runtime;
use crate::store::types::IssueBrief;
use crate::watch::fingerprint::{Fingerprinted, Fingerprinter};
use crate::watch::source::lane::Settled;
use crate::watch::triage::{self, Facts, Known, STORM_TITLE, StormWindow, Triaged};

/// Key of an issue.
pub(super) type IssueKey = (String, Fingerprint);

/// What is known when the first occurrence of an issue comes into a batch.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Answer {
    pub(super) triaged: Triaged,
    /// See [`OccurrenceGroup`].
    pub(super) former: Option<Fingerprint>,
}

/// Issues whose names are remembered.
const MAX_NAMED: usize = 1000;

/// One batch in the making.
#[derive(Debug)]
pub(super) struct Pending {
    sampler: Sampler,
    fingerprinter: Fingerprinter,
    /// Of issues that came before: fingerprints and title, made of the text that came first. Only a new issue needs them.
    named: HashMap<IssueKey, Fingerprinted>,
    groups: HashMap<IssueKey, OccurrenceGroup>,
    /// Keys that triage has put into their services' storm issues.
    in_storms: HashSet<IssueKey>,
    /// Keys in the order in which they came, so that a batch is the same on every run.
    order: Vec<IssueKey>,
    cursors: HashMap<StreamKey, Cursor>,
    gaps: Vec<Gap>,
    /// Lines that came behind records which are committed.
    later: Vec<Around>,
    /// Sources to be told when all this is committed.
    settled: Vec<Settled>,
    /// One of the cursors is the first of its stream.
    has_start: bool,
}

impl Pending {
    /// Nothing yet; of each issue one text is kept in so much time.
    pub(super) fn new(every: Duration, fingerprinter: Fingerprinter) -> Self {
        Self {
            sampler: Sampler::new(every),
            fingerprinter,
            named: HashMap::new(),
            groups: HashMap::new(),
            in_storms: HashSet::new(),
            order: Vec::new(),
            cursors: HashMap::new(),
            gaps: Vec::new(),
            later: Vec::new(),
            settled: Vec::new(),
            has_start: false,
        }
    }

    /// Whether there is nothing to commit and nobody to tell.
    pub(super) fn is_empty(&self) -> bool {
        self.has_no_rows() && self.settled.is_empty()
    }

    /// Whether there is nothing to commit.
    pub(super) fn has_no_rows(&self) -> bool {
        self.groups.is_empty() && self.cursors.is_empty() && self.gaps.is_empty() && self.later.is_empty()
    }

    /// Tells the sources that wait. To be called when the batch, and all before it, is committed.
    pub(super) fn settle(settled: Vec<Settled>) {
        for Settled(told) in settled {
            // A source that has gone has nothing to wait for.
            let _ = told.send(());
        }
    }

    /// The sources that wait for the batch.
    pub(super) fn take_settled(&mut self) -> Vec<Settled> {
        std::mem::take(&mut self.settled)
    }

    pub(super) fn n_groups(&self) -> usize {
        self.groups.len()
    }

    /// Whether the batch brings something people wait for: a ticket, a fix, a notice, a gap.
    pub(super) fn is_urgent(&self) -> bool {
        !self.gaps.is_empty() || self.groups.values().any(|group| !group.jobs.is_empty())
    }

    /// Whether it is more than cursors that moved.
    pub(super) fn is_awaited(&self) -> bool {
        !self.groups.is_empty() || !self.settled.is_empty() || self.has_start
    }

    /// Whether triage was asked for this issue.
    pub(super) fn has(&self, key: &IssueKey) -> bool {
        self.groups.contains_key(key) || self.in_storms.contains(key)
    }

    /// Whether a cursor of this stream waits to be committed.
    pub(super) fn has_cursor(&self, stream: &StreamKey) -> bool {
        self.cursors.contains_key(stream)
    }

    /// Takes cursor and loss of a report; its findings come one by one through [`Pending::add`].
    pub(super) fn note(&mut self, report: &mut Report, now: Timestamp) {
        self.settled.append(&mut report.settled);
        report.later.drain(..).for_each(|around| self.note_later(around));
        self.has_start |= report.is_start;
        for (stream, cursor) in report.source.streams().zip(&mut report.cursors) {
            if let Some(cursor) = cursor.take() {
                self.cursors.insert(stream.clone(), cursor);
            }
        }
        if let Some(loss) = report.loss.take() {
            metrics::gap(report.source.stream.source());
            self.gaps.push(Gap {
                stream: report.source.of_loss(&loss),
                service: report.source.service.name.clone(),
                noticed_at: now,
                from: loss.from,
                to: loss.to,
                reason: loss.reason,
            });
        }
    }

    /// Takes lines that came behind a record: it is in the batch, or is committed, or was not kept.
    fn note_later(&mut self, later: Around) {
        let mut samples = self.groups.values_mut().flat_map(|group| &mut group.samples);
        match samples.find(|sample| sample.around.id == later.id) {
            Some(sample) => sample.around.after = later.after,
            None => self.later.push(later),
        }
    }

    /// Adds an occurrence to the group of its issue, or of its service's storm issue where triage says so; the group is made with
    /// `answer` if it is not there.
    pub(super) fn add(
        &mut self,
        key: IssueKey,
        source: &Source,
        found: Found,
        answer: Option<Answer>,
        now: Timestamp,
    ) {
        let at = found.at.unwrap_or(now);
        let (triaged, former) = answer.map_or((None, None), |it| (Some(it.triaged), it.former));
        let begins_in_storm =
            triaged.as_ref().is_some_and(|it| matches!(it.decision, Decision::Storm { .. }));
        let is_storm = begins_in_storm || self.in_storms.contains(&key);
        let key = if is_storm {
            let storm = storm_key(&source.service.name);
            self.in_storms.insert(key);
            storm
        } else {
            key
        };
        if let Some(group) = self.groups.get_mut(&key) {
            group.count += 1;
            group.first_seen = group.first_seen.min(at);
            group.last_seen = group.last_seen.max(at);
            if self.sampler.keeps(&key, found.around.is_some(), now) {
                group.samples.push(sample(source, found.text, found.around, at));
            }
            group.jobs.extend(triaged.into_iter().flat_map(|it| it.jobs));
            return;
        }
        let Triaged { decision, jobs } =
            triaged.unwrap_or(Triaged { decision: Decision::Count { reason: "known" }, jobs: Vec::new() });
        if let Decision::Drop { reason } = decision {
            metrics::occurrences(decision.name(), 1);
            metrics::dropped(reason, 1);
            return;
        }
        let fingerprinted =
            self.named((source.service.name.clone(), found.identity.fingerprint), &found.text);
        let is_kept = self.sampler.keeps(&key, found.around.is_some(), now);
        let samples = is_kept.then(|| sample(source, found.text, found.around, at));
        let mut group = OccurrenceGroup {
            service: source.service.name.clone(),
            levels: fingerprinted.levels,
            former,
            preimage: fingerprinted.preimage,
            title: fingerprinted.title,
            rule: found.detection.rule.to_string(),
            severity: found.detection.severity,
            action: found.detection.action,
            runtime: fingerprinted.runtime,
            count: 1,
            first_seen: at,
            last_seen: at,
            samples: samples.into_iter().collect(),
            decision,
            jobs,
        };
        if is_storm {
            become_storm(&mut group);
        }
        self.order.push(key.clone());
        self.groups.insert(key, group);
    }

    /// Fingerprints and title of an issue of which this is a text.
    fn named(&mut self, key: IssueKey, text: &Clean) -> Fingerprinted {
        if let Some(named) = self.named.get(&key) {
            return named.clone();
        }
        let fingerprinter = self.fingerprinter.for_service(&key.0);
        let named = Fingerprinted { trace: None, ..fingerprinter.fingerprint(text) };
        if self.named.len() >= MAX_NAMED {
            self.named.clear();
        }
        self.named.insert(key, named.clone());
        named
    }

    /// The batch; nothing is pending after it.
    pub(super) fn take(&mut self) -> CommitBatch {
        self.has_start = false;
        self.in_storms.clear();
        let keys = std::mem::take(&mut self.order);
        let mut groups = std::mem::take(&mut self.groups);
        let mut cursors: Vec<_> = self.cursors.drain().collect();
        cursors.sort_by(|a, b| a.0.cmp(&b.0));
        CommitBatch {
            groups: keys.iter().filter_map(|key| groups.remove(key)).collect(),
            cursors,
            gaps: std::mem::take(&mut self.gaps),
            later: std::mem::take(&mut self.later),
            deliveries: Vec::new(),
        }
    }
}

/// Triage's answer for a finding of a service; `brief` is what the store knows of its issue.
pub(super) fn decide(
    settings: &triage::Settings,
    brief: Option<IssueBrief>,
    service: &Service,
    found: &Found,
    now: Timestamp,
    storm: &mut StormWindow,
) -> Triaged {
    let known = brief.map(|brief| Known {
        state: brief.state,
        state_since: brief.state_since,
        is_acted_on: brief.last_acted_at.is_some(),
    });
    let (action, course) = (found.detection.action, found.detection.course);
    let facts = Facts { action, course, service, known, now };
    triage::decide(settings, facts, storm)
}

/// Counts what has been stored; a commit that is made again counts once.
pub(super) fn count_stored<'g>(groups: impl IntoIterator<Item = &'g OccurrenceGroup>) {
    for group in groups {
        metrics::occurrences(group.decision.name(), group.count);
    }
}

fn sample(source: &Source, text: Clean, around: Option<Box<Around>>, at: Timestamp) -> Sample {
    let revision = source.service.repository.as_ref().and_then(|it| it.revision.clone());
    let around = around.map(|it| *it).unwrap_or_default();
    Sample { at, text, origin: source.label.clone(), revision, around, merged_from: None }
}

/// Key of the storm issue of a service.
fn storm_key(service: &str) -> IssueKey {
    (service.to_owned(), storm_identity())
}

fn storm_identity() -> Fingerprint {
    Fingerprint::from_bytes(*blake3::hash(STORM_TITLE.as_bytes()).as_bytes())
}

/// Makes the group one of the service's storm issue; the record stays as evidence.
fn become_storm(group: &mut OccurrenceGroup) {
    let identity = storm_identity();
    group.levels = Levels { exact: identity, identity, place: None, template: STORM_TITLE.to_owned() };
    group.former = None;
    STORM_TITLE.clone_into(&mut group.preimage);
    group.title = Clean::trusted(format!("{STORM_TITLE} in {}", group.service));
    "storm".clone_into(&mut group.rule);
    group.severity = Severity::Critical;
    group.action = Action::Issue;
    group.runtime = Runtime::Message;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::job::NewJob;
    use crate::model::service::Route;
    use crate::watch::ingest::pipeline::Pipeline;

    #[test]
    fn of_a_storm_triage_is_asked_once_a_batch_and_people_are_told_once() {
        let service = Service { name: "shop".to_owned(), repository: None, route: Route::Ticket };
        let stream = StreamKey("file:/a.log".to_owned());
        let source = Source { stream, second: None, label: "a.log".to_owned(), service };
        let found = |text: &str| {
            let mut found = Vec::new();
            let pipeline = Pipeline::builtin();
            let mut state = pipeline.stream();
            pipeline.push(&mut state, text.as_bytes(), None, &mut found);
            pipeline.flush(&mut state, &mut found);
            found.remove(0)
        };
        let now = Timestamp::UNIX_EPOCH;
        let storm = |jobs| Some(Triaged { decision: Decision::Storm { reason: "too many" }, jobs });
        let mut pending = Pending::new(Duration::from_secs(60), Fingerprinter::builtin());
        let mut add = |text: &str, triaged: Option<Triaged>| {
            let (found, answer) = (found(text), triaged.map(|triaged| Answer { triaged, former: None }));
            let key = ("shop".to_owned(), found.identity.fingerprint);
            assert_eq!(pending.has(&key), answer.is_none(), "{text}");
            pending.add(key, &source, found, answer, now);
            (pending.n_groups(), pending.is_urgent())
        };
        assert_eq!(add("ERROR: no stock", storm(Vec::new())), (1, false));
        assert_eq!(add("ERROR: no money", storm(vec![NewJob::announce_storm(now)])), (1, true));
        assert_eq!(add("ERROR: no stock", None), (1, true));
        let batch = pending.take();
        assert_eq!((batch.groups[0].count, batch.groups[0].jobs.len()), (3, 1));
        assert!(!pending.has(&("shop".to_owned(), found("ERROR: no stock").identity.fingerprint)));
    }
}
