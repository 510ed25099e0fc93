//! Occurrences, cursors, gaps and deliveries: one transaction, exact counts.

#![expect(clippy::unwrap_used, reason = "stories are functions, not `#[test]`s themselves")]

use homeostat::base::id::SampleId;
use homeostat::base::redact::Clean;
use homeostat::model::cursor::{Cursor, Gap, StreamKey};
use homeostat::model::decision::Decision;
use homeostat::model::issue::{Issue, IssueEvent, IssueState};
use homeostat::model::job::{JobPayload, JobState, NewJob};
use homeostat::model::occurrence::{Around, CommitBatch, Delivery, OccurrenceGroup, Sample};
use homeostat::store::types::{
    CommitReceipt, CommittedGroup, IssueBrief, IssueDetail, JobFilter, TimelineEntry,
};

use super::given::{Db, at, batch, commit_one, entry, fingerprint, group, levels, sample, stories};

stories! {
    a_new_issue_is_stored_whole,
    counts_add_up_and_minutes_are_kept,
    the_first_three_samples_and_the_newest_seventeen_stay,
    lines_that_come_later_find_their_record,
    a_ticket_job_is_queued_once_per_issue,
    a_fix_job_moves_the_issue,
    a_muted_issue_gets_no_jobs_until_its_time_is_over,
    only_what_was_over_is_reopened,
    a_delivery_counts_once,
    groups_of_one_issue_in_one_batch_add_up,
    a_dropped_group_leaves_nothing,
    cursors_and_gaps_come_with_the_counts,
    a_commit_that_fails_leaves_nothing,
    odd_text_is_stored,
}

fn ticket(group: OccurrenceGroup) -> OccurrenceGroup {
    OccurrenceGroup {
        decision: Decision::Ticket { reason: "new" },
        jobs: vec![NewJob::open_ticket(false)],
        ..group
    }
}

fn reopen(group: OccurrenceGroup) -> OccurrenceGroup {
    OccurrenceGroup {
        decision: Decision::Reopen { reason: "is back" },
        jobs: vec![NewJob::report_reopened(true, group.first_seen)],
        ..group
    }
}

async fn a_new_issue_is_stored_whole(db: Db) {
    let receipt = db.store.commit(batch(vec![group(1, 10)]), at(11)).await.unwrap();
    let id = receipt.groups[0].issue;
    let committed = CommittedGroup {
        service: "shop".to_owned(),
        identity: fingerprint(1),
        issue: id,
        is_new: true,
        state: IssueState::Open,
        count: 1,
        n_jobs_queued: 0,
    };
    assert_eq!(receipt, CommitReceipt { groups: vec![committed], n_repeated_deliveries: 0 });
    let issue = Issue {
        id,
        service: "shop".to_owned(),
        levels: levels(1),
        preimage: "python\nValueError 1".to_owned(),
        title: "ValueError: order 1".to_owned(),
        rule: "python.traceback".to_owned(),
        severity: group(1, 10).severity,
        action: group(1, 10).action,
        runtime: group(1, 10).runtime,
        state: IssueState::Open,
        count: 1,
        first_seen: at(10),
        last_seen: at(10),
        updated_at: at(11),
    };
    assert_eq!(db.store.issue(id).await.unwrap(), issue);
    let detail = IssueDetail {
        issue,
        samples: vec![sample(10)],
        per_minute: vec![(at(0), 1)],
        timeline: vec![opened()],
        aliases: vec![],
    };
    assert_eq!(db.store.issue_detail(id).await.unwrap(), detail);
    let brief = IssueBrief {
        id,
        state: IssueState::Open,
        state_since: at(11),
        last_seen: at(10),
        last_acted_at: None,
    };
    assert_eq!(db.store.issue_brief("shop", &fingerprint(1)).await.unwrap(), Some(brief));
    assert_eq!(db.store.issue_brief("shop", &fingerprint(2)).await.unwrap(), None);
    assert_eq!(db.store.issue_brief("other", &fingerprint(1)).await.unwrap(), None);
}

fn own(second: i64, what: &str) -> TimelineEntry {
    TimelineEntry {
        at: at(second),
        actor: "homeostat".to_owned(),
        what: what.to_owned(),
        detail: String::new(),
    }
}

fn opened() -> TimelineEntry {
    TimelineEntry { detail: "ValueError: order 1".to_owned(), ..own(11, "issue opened") }
}

async fn counts_add_up_and_minutes_are_kept(db: Db) {
    let id = commit_one(&*db.store, group(1, 10), 11).await.issue;
    let storm = OccurrenceGroup { count: 41, first_seen: at(5), last_seen: at(130), ..group(1, 0) };
    let receipt = db.store.commit(batch(vec![storm, group(2, 131)]), at(131)).await.unwrap();
    let told: Vec<(bool, u64)> = receipt.groups.iter().map(|it| (it.is_new, it.count)).collect();
    assert_eq!(told, [(false, 42), (true, 1)]);
    assert_eq!(receipt.groups[0].issue, id);
    // An older line that is read late moves neither end the wrong way.
    commit_one(&*db.store, group(1, 60), 140).await;
    let detail = db.store.issue_detail(id).await.unwrap();
    assert_eq!((detail.issue.first_seen, detail.issue.last_seen), (at(5), at(130)));
    assert_eq!(detail.per_minute, [(at(0), 1), (at(60), 1), (at(120), 41)]);
    assert_eq!(detail.timeline, [opened()]);
}

async fn the_first_three_samples_and_the_newest_seventeen_stay(db: Db) {
    let id = commit_one(&*db.store, group(1, 0), 0).await.issue;
    for second in [1, 10] {
        let samples = (second..second + if second == 1 { 9 } else { 25 }).map(sample).collect();
        commit_one(&*db.store, OccurrenceGroup { samples, ..group(1, second) }, second).await;
    }
    let seconds: Vec<i64> = (18..35).rev().chain([2, 1, 0]).collect();
    let expected: Vec<_> = seconds.into_iter().map(sample).collect();
    assert_eq!(db.store.issue_detail(id).await.unwrap().samples, expected);
}

async fn lines_that_come_later_find_their_record(db: Db) {
    let (here, gone) = (SampleId::new(), SampleId::new());
    let around = |id, after: &str| Around { id: Some(id), after: Clean::trusted(after), ..sample(1).around };
    let samples = vec![Sample { around: around(here, "at once"), ..sample(1) }, sample(2)];
    let id = commit_one(&*db.store, OccurrenceGroup { samples, ..group(1, 1) }, 1).await.issue;
    let later = vec![around(here, "one"), around(gone, "of nobody"), around(here, "one\ntwo")];
    db.store.commit(CommitBatch { later, ..CommitBatch::default() }, at(2)).await.unwrap();
    let after = Around { id: None, ..around(here, "one\ntwo") };
    let expected = [sample(2), Sample { around: after, ..sample(1) }];
    assert_eq!(db.store.issue_detail(id).await.unwrap().samples, expected);
}

async fn a_ticket_job_is_queued_once_per_issue(db: Db) {
    let first = commit_one(&*db.store, ticket(group(1, 10)), 11).await;
    let second = commit_one(&*db.store, ticket(group(1, 20)), 21).await;
    assert_eq!((first.n_jobs_queued, second.n_jobs_queued), (1, 0));
    let jobs = db.store.jobs(&JobFilter::default()).await.unwrap();
    assert_eq!(jobs.len(), 1);
    assert_eq!(jobs[0].issue, Some(first.issue));
    assert_eq!(jobs[0].unique_key, format!("ticket:{}", first.issue));
    assert_eq!((jobs[0].state, jobs[0].run_at, jobs[0].created_at), (JobState::Queued, at(11), at(11)));
    let brief = db.store.issue_brief("shop", &fingerprint(1)).await.unwrap().unwrap();
    assert_eq!((brief.last_acted_at, brief.state), (Some(at(11)), IssueState::Open));
}

async fn a_fix_job_moves_the_issue(db: Db) {
    let id = commit_one(&*db.store, group(1, 10), 11).await.issue;
    let fix = OccurrenceGroup {
        decision: Decision::Fix { reason: "asked for" },
        jobs: vec![NewJob::fix(id, 0)],
        ..group(1, 20)
    };
    let committed = commit_one(&*db.store, fix, 21).await;
    assert_eq!((committed.state, committed.n_jobs_queued), (IssueState::Fixing, 1));
    let detail = db.store.issue_detail(id).await.unwrap();
    assert_eq!(detail.issue.state, IssueState::Fixing);
    assert_eq!(detail.timeline, [opened(), own(21, "fix queued")]);
    let brief = db.store.issue_brief("shop", &fingerprint(1)).await.unwrap().unwrap();
    assert_eq!((brief.state_since, brief.last_acted_at), (at(21), Some(at(21))));
}

async fn a_muted_issue_gets_no_jobs_until_its_time_is_over(db: Db) {
    let id = commit_one(&*db.store, group(1, 10), 11).await.issue;
    let until = Some(at(100));
    let event = IssueEvent::Muted { until };
    db.store.apply_issue_event(id, event, vec![], entry(20, "ada", "muted")).await.unwrap();
    let muted = commit_one(&*db.store, ticket(group(1, 99)), 99).await;
    assert_eq!((muted.state, muted.count, muted.n_jobs_queued), (IssueState::Muted { until }, 2, 0));
    let over = commit_one(&*db.store, ticket(group(1, 100)), 100).await;
    assert_eq!((over.state, over.count, over.n_jobs_queued), (IssueState::Open, 3, 1));
    let detail = db.store.issue_detail(id).await.unwrap();
    assert_eq!(detail.issue.state, IssueState::Open);
    assert_eq!(detail.timeline, [opened(), entry(20, "ada", "muted"), own(100, "mute ended")]);
}

async fn only_what_was_over_is_reopened(db: Db) {
    let id = commit_one(&*db.store, group(1, 10), 11).await.issue;
    let early = commit_one(&*db.store, reopen(group(1, 12)), 12).await;
    assert_eq!((early.state, early.n_jobs_queued), (IssueState::Open, 0));
    db.store.apply_issue_event(id, IssueEvent::Resolved, vec![], entry(20, "ada", "resolved")).await.unwrap();
    let back =
        db.store.commit(batch(vec![reopen(group(1, 30)), reopen(group(1, 31))]), at(31)).await.unwrap();
    let told: Vec<_> = back.groups.iter().map(|it| (it.state, it.n_jobs_queued, it.count)).collect();
    assert_eq!(told, [(IssueState::Open, 1, 4), (IssueState::Open, 0, 4)]);
    let again = commit_one(&*db.store, reopen(group(1, 32)), 32).await;
    assert_eq!((again.state, again.n_jobs_queued), (IssueState::Open, 0));
    let timeline = db.store.issue_detail(id).await.unwrap().timeline;
    assert_eq!(timeline, [opened(), entry(20, "ada", "resolved"), own(31, "issue reopened")]);
    let jobs = db.store.jobs(&JobFilter::default()).await.unwrap();
    let payloads: Vec<_> = jobs.into_iter().map(|job| job.payload).collect();
    assert_eq!(payloads, [JobPayload::ReportReopened { then_fix: true }]);
}

async fn a_delivery_counts_once(db: Db) {
    let delivery = |key: &str, number| Delivery { key: key.to_owned(), groups: vec![group(number, 10)] };
    let deliveries = vec![delivery("am:1", 1), delivery("am:2", 1), delivery("am:1", 1)];
    let first = CommitBatch { groups: vec![group(2, 10)], deliveries, ..CommitBatch::default() };
    let receipt = db.store.commit(first, at(11)).await.unwrap();
    let told: Vec<_> = receipt.groups.iter().map(|it| (it.identity, it.is_new, it.count)).collect();
    assert_eq!(told, [(fingerprint(2), true, 1), (fingerprint(1), true, 2), (fingerprint(1), false, 2)]);
    assert_eq!(receipt.n_repeated_deliveries, 1);
    let again =
        CommitBatch { deliveries: vec![delivery("am:2", 1), delivery("am:3", 3)], ..CommitBatch::default() };
    let receipt = db.store.commit(again, at(20)).await.unwrap();
    let told: Vec<_> = receipt.groups.iter().map(|it| (it.identity, it.is_new, it.count)).collect();
    assert_eq!(told, [(fingerprint(3), true, 1)]);
    assert_eq!(receipt.n_repeated_deliveries, 1);
}

async fn groups_of_one_issue_in_one_batch_add_up(db: Db) {
    let other_service = OccurrenceGroup { service: "cart".to_owned(), ..group(1, 15) };
    let groups = vec![ticket(group(1, 70)), other_service, ticket(group(1, 10))];
    let receipt = db.store.commit(batch(groups), at(71)).await.unwrap();
    let told: Vec<_> = receipt.groups.iter().map(|it| (it.is_new, it.count, it.n_jobs_queued)).collect();
    assert_eq!(told, [(true, 2, 1), (true, 1, 0), (false, 2, 0)]);
    let detail = db.store.issue_detail(receipt.groups[0].issue).await.unwrap();
    assert_eq!((detail.issue.first_seen, detail.issue.last_seen), (at(10), at(70)));
    assert_eq!(detail.per_minute, [(at(0), 1), (at(60), 1)]);
    assert_eq!(detail.samples, [sample(10), sample(70)]);
}

async fn a_dropped_group_leaves_nothing(db: Db) {
    let dropped = OccurrenceGroup { decision: Decision::Drop { reason: "ignored" }, ..ticket(group(1, 1)) };
    let dropped = OccurrenceGroup { decision: Decision::Drop { reason: "ignored" }, ..dropped };
    let receipt = db.store.commit(batch(vec![dropped]), at(2)).await.unwrap();
    assert_eq!(receipt, CommitReceipt::default());
    assert_eq!(db.store.issue_brief("shop", &fingerprint(1)).await.unwrap(), None);
    assert_eq!(db.store.jobs(&JobFilter::default()).await.unwrap(), []);
    assert_eq!(db.store.commit(CommitBatch::default(), at(3)).await.unwrap(), CommitReceipt::default());
}

async fn cursors_and_gaps_come_with_the_counts(db: Db) {
    let stream = |name: &str| StreamKey(name.to_owned());
    let docker = Cursor::Docker { nanos: 1_767_225_600_123_456_789, n_at_nanos: 3, log: None };
    let file = |offset| Cursor::File {
        device: 1,
        inode: 2,
        prefix_hash: u64::MAX,
        prefix_len: 64,
        offset,
        before: u64::MAX,
    };
    let gap = |second| Gap {
        stream: stream("file:/var/log/a"),
        service: "shop".to_owned(),
        noticed_at: at(second),
        from: "10".to_owned(),
        to: "20".to_owned(),
        reason: "rotated away unread".to_owned(),
    };
    let first = CommitBatch {
        groups: vec![group(1, 1)],
        cursors: vec![
            (stream("docker:abc:stderr"), docker.clone()),
            (stream("file:/var/log/a"), file(10)),
            (stream("file:/var/log/a"), file(11)),
        ],
        gaps: vec![gap(1), gap(2)],
        ..CommitBatch::default()
    };
    db.store.commit(first, at(2)).await.unwrap();
    let second = CommitBatch {
        cursors: vec![(stream("file:/var/log/a"), file(30))],
        gaps: vec![gap(3)],
        ..CommitBatch::default()
    };
    db.store.commit(second, at(3)).await.unwrap();
    assert_eq!(db.store.cursor(&stream("docker:abc:stderr")).await.unwrap(), Some(docker));
    assert_eq!(db.store.cursor(&stream("file:/var/log/a")).await.unwrap(), Some(file(30)));
    assert_eq!(db.store.cursor(&stream("file:/var/log/b")).await.unwrap(), None);
    assert_eq!(db.store.gaps(2).await.unwrap(), [gap(3), gap(2)]);
    assert_eq!(db.store.gaps(0).await.unwrap(), [gap(3), gap(2), gap(1)]);
}

async fn a_commit_that_fails_leaves_nothing(db: Db) {
    let stranger = homeostat::base::id::IssueId::new();
    // The job names an issue that does not exist: the statement that queues it fails after the issues were written.
    let broken = OccurrenceGroup { jobs: vec![NewJob::fix(stranger, 0)], ..ticket(group(1, 1)) };
    let key = StreamKey("docker:abc:stdout".to_owned());
    let batch = CommitBatch {
        groups: vec![broken],
        cursors: vec![(key.clone(), Cursor::Docker { nanos: 1, n_at_nanos: 1, log: None })],
        deliveries: vec![Delivery { key: "am:1".to_owned(), groups: vec![group(2, 1)] }],
        ..CommitBatch::default()
    };
    let error = db.store.commit(batch, at(2)).await.unwrap_err();
    assert_eq!(error.to_string(), "failed to commit occurrences");
    assert!(!error.is_transient());
    for number in [1, 2] {
        assert_eq!(db.store.issue_brief("shop", &fingerprint(number)).await.unwrap(), None);
    }
    assert_eq!(db.store.cursor(&key).await.unwrap(), None);
    let overview = db.store.overview(at(3)).await.unwrap();
    assert_eq!((overview.n_occurrences, overview.jobs), (0, vec![]));
    let delivery = Delivery { key: "am:1".to_owned(), groups: vec![group(2, 1)] };
    let again = CommitBatch { deliveries: vec![delivery], ..CommitBatch::default() };
    assert_eq!(db.store.commit(again, at(4)).await.unwrap().n_repeated_deliveries, 0);
}

async fn odd_text_is_stored(db: Db) {
    let odd = "a\0b \u{1F600} \"quoted\" \\u0000 \u{1}\u{7f} \u{202e} '; drop table issues; --";
    let stored = odd.replace('\0', "\u{fffd}");
    let mut strange = group(1, 1);
    strange.service = odd.to_owned();
    strange.title = Clean::trusted(odd);
    strange.samples[0].text = Clean::trusted(odd);
    strange.count = u64::MAX;
    let id = commit_one(&*db.store, strange, 2).await.issue;
    let detail = db.store.issue_detail(id).await.unwrap();
    assert_eq!((&detail.issue.service, &detail.issue.title), (&stored, &stored));
    assert_eq!(detail.samples[0].text.as_str(), stored);
    assert_eq!(detail.issue.count, u64::try_from(i64::MAX).unwrap());
    assert_eq!(db.store.issue_brief(odd, &fingerprint(1)).await.unwrap().map(|it| it.id), Some(id));
}
