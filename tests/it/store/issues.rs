//! Issues: lists, searches, events by people, the overview and the audit chain.

#![expect(clippy::unwrap_used, reason = "stories are functions, not `#[test]`s themselves")]

use homeostat::base::id::IssueId;
use homeostat::base::redact::Clean;
use homeostat::model::cursor::{Gap, StreamKey};
use homeostat::model::detection::Action;
use homeostat::model::issue::{Issue, IssueEvent, IssueState};
use homeostat::model::job::NewJob;
use homeostat::model::occurrence::{CommitBatch, OccurrenceGroup};
use homeostat::store::types::{AuditEntry, IssueFilter, Overview, SpendTotals};

use super::given::{Db, at, batch, commit_one, entry, fingerprint, group, stories};

stories! {
    issues_are_listed_newest_first_and_filtered,
    issues_are_found_by_the_start_of_their_id_or_identity,
    an_event_moves_the_issue_and_is_told,
    a_fix_asked_for_by_a_person_is_queued_with_its_event,
    a_timeline_grows,
    a_missing_issue_is_said_to_be_missing,
    the_overview_counts,
    the_audit_chain_shows_what_was_changed,
    an_audit_chain_cut_off_at_its_end_shows,
}

async fn issues_are_listed_newest_first_and_filtered(db: Db) {
    let mut groups: Vec<OccurrenceGroup> = (1..=4).map(|number| group(number, i64::from(number))).collect();
    groups[1].service = "cart".to_owned();
    groups[2].action = Action::Count;
    groups[3].title = Clean::trusted("100% BÖSE_x \\ path");
    let receipt = db.store.commit(batch(groups), at(10)).await.unwrap();
    let ids: Vec<IssueId> = receipt.groups.iter().map(|it| it.issue).collect();
    let muted = IssueEvent::Muted { until: None };
    db.store.apply_issue_event(ids[1], muted, vec![], entry(11, "ada", "muted")).await.unwrap();

    let all = IssueFilter { with_counted: true, ..IssueFilter::default() };
    let text = |text: &str| IssueFilter { text: Some(text.to_owned()), ..IssueFilter::default() };
    let state = |state: &str| IssueFilter { state: Some(state.to_owned()), ..IssueFilter::default() };
    let cases: Vec<(IssueFilter, Vec<usize>)> = vec![
        (all.clone(), vec![3, 2, 1, 0]),
        (IssueFilter::default(), vec![3, 1, 0]),
        (IssueFilter { limit: 2, offset: 1, ..all.clone() }, vec![2, 1]),
        (IssueFilter { service: Some("cart".to_owned()), ..all.clone() }, vec![1]),
        (state("muted"), vec![1]),
        (state("open"), vec![3, 0]),
        (state("resolved"), vec![]),
        (text("valueerror"), vec![1, 0]),
        (text("böse_X"), vec![3]),
        (text("0% b"), vec![3]),
        (text("%"), vec![3]),
        (text("_"), vec![3]),
        (text("\\"), vec![3]),
        (text("order 2"), vec![1]),
        (IssueFilter { service: Some("shop".to_owned()), ..text("order") }, vec![0]),
    ];
    for (filter, expected) in cases {
        let listed: Vec<_> = db.store.issues(&filter).await.unwrap().iter().map(|it| it.id).collect();
        let expected: Vec<_> = expected.into_iter().map(|idx| ids[idx]).collect();
        assert_eq!(listed, expected, "{filter:?}");
    }
}

async fn issues_are_found_by_the_start_of_their_id_or_identity(db: Db) {
    let ids: Vec<IssueId> = {
        let receipt = db.store.commit(batch(vec![group(1, 1), group(2, 2)]), at(3)).await.unwrap();
        receipt.groups.iter().map(|it| it.issue).collect()
    };
    let id = ids[0].to_string();
    let cases: Vec<(String, Vec<IssueId>)> = vec![
        (id.clone(), vec![ids[0]]),
        (id.to_uppercase(), vec![ids[0]]),
        (id.replace('-', ""), vec![ids[0]]),
        // Both were made in the same minute.
        (id[..8].to_owned(), vec![ids[1], ids[0]]),
        ("01a0".to_owned(), vec![ids[0]]),
        ("h1:02A0a0".to_owned(), vec![ids[1]]),
        (fingerprint(2).full(), vec![ids[1]]),
        (fingerprint(2).short(), vec![ids[1]]),
        (format!("h1:{}", &id[..8]), vec![]),
        ("02a".to_owned(), vec![]),
        ("".to_owned(), vec![]),
        ("h1:".to_owned(), vec![]),
        ("zzzz".to_owned(), vec![]),
        ("a".repeat(65), vec![]),
        ("ä".repeat(40), vec![]),
    ];
    for (prefix, expected) in cases {
        let found: Vec<_> = db.store.find_issues(&prefix).await.unwrap().iter().map(|it| it.id).collect();
        assert_eq!(found, expected, "{prefix}");
    }
}

async fn an_event_moves_the_issue_and_is_told(db: Db) {
    let id = commit_one(&*db.store, group(1, 1), 2).await.issue;
    let before = db.store.issue(id).await.unwrap();
    let until = Some(at(500));
    let cases = [
        (IssueEvent::Muted { until }, IssueState::Muted { until }),
        (IssueEvent::FixQueued, IssueState::Muted { until }),
        (IssueEvent::Unmuted, IssueState::Open),
        (IssueEvent::ProposalOpened, IssueState::Proposed),
        (IssueEvent::ProposalMerged, IssueState::Landed),
    ];
    for (second, (event, state)) in (10..).zip(cases) {
        let changed =
            db.store.apply_issue_event(id, event, vec![], entry(second, "ada", "changed")).await.unwrap();
        assert_eq!(changed, Issue { state, updated_at: at(second), ..before.clone() });
        assert_eq!(db.store.issue(id).await.unwrap(), changed);
    }
    // A mute whose time is over counts as none.
    let mute = |until| IssueEvent::Muted { until: Some(at(until)) };
    db.store.apply_issue_event(id, mute(30), vec![], entry(20, "ada", "muted")).await.unwrap();
    let fixing = db.store.apply_issue_event(id, IssueEvent::FixQueued, vec![], entry(30, "ada", "fix")).await;
    assert_eq!(fixing.unwrap().state, IssueState::Fixing);
    let timeline = db.store.issue_detail(id).await.unwrap().timeline;
    assert_eq!(timeline.last(), Some(&entry(30, "ada", "fix")));
    assert_eq!(timeline.len(), 8);
    let newest = db.store.audit_entries(1).await.unwrap().remove(0);
    let expected = AuditEntry {
        seq: 7,
        at: at(30),
        actor: "ada".to_owned(),
        action: "fix".to_owned(),
        subject: format!("issue {id}"),
        detail: "fix in detail".to_owned(),
        hash: newest.hash.clone(),
    };
    assert_eq!(newest, expected);
    let brief = db.store.issue_brief("shop", &fingerprint(1)).await.unwrap().unwrap();
    assert_eq!((brief.state_since, brief.last_acted_at), (at(30), None));
}

async fn a_fix_asked_for_by_a_person_is_queued_with_its_event(db: Db) {
    let id = commit_one(&*db.store, group(1, 1), 2).await.issue;
    let jobs = vec![NewJob::fix(id, 0), NewJob::open_ticket(false)];
    let issue = db
        .store
        .apply_issue_event(id, IssueEvent::Unmuted, jobs.clone(), entry(3, "ada", "retry"))
        .await
        .unwrap();
    assert_eq!(issue.state, IssueState::Fixing);
    let queued = db.store.jobs(&homeostat::store::types::JobFilter::default()).await.unwrap();
    let mut keys: Vec<_> = queued.iter().map(|job| (job.issue, job.unique_key.clone())).collect();
    keys.sort();
    assert_eq!(keys, [(Some(id), format!("fix:{id}:0")), (Some(id), format!("ticket:{id}"))]);
    // The same again: keys are taken, nothing is queued, and nothing moves.
    let closed = IssueEvent::Resolved;
    db.store.apply_issue_event(id, closed, vec![], entry(4, "ada", "resolved")).await.unwrap();
    let again = db.store.apply_issue_event(id, IssueEvent::Unmuted, jobs, entry(5, "ada", "retry")).await;
    assert_eq!(again.unwrap().state, IssueState::Resolved);
}

async fn a_timeline_grows(db: Db) {
    let id = commit_one(&*db.store, group(1, 1), 2).await.issue;
    db.store.add_timeline(id, entry(9, "homeostat", "ticket opened")).await.unwrap();
    db.store.add_timeline(id, entry(5, "ada", "said something")).await.unwrap();
    let timeline = db.store.issue_detail(id).await.unwrap().timeline;
    assert_eq!(timeline[1..], [entry(5, "ada", "said something"), entry(9, "homeostat", "ticket opened")]);
}

async fn a_missing_issue_is_said_to_be_missing(db: Db) {
    let id = IssueId::new();
    let expected = format!("there is no issue `{id}`");
    assert_eq!(db.store.issue(id).await.unwrap_err().to_string(), expected);
    assert_eq!(db.store.issue_detail(id).await.unwrap_err().to_string(), expected);
    let told = entry(1, "ada", "said");
    assert_eq!(db.store.add_timeline(id, told.clone()).await.unwrap_err().to_string(), expected);
    let event = db.store.apply_issue_event(id, IssueEvent::Resolved, vec![], told).await;
    assert_eq!(event.unwrap_err().to_string(), expected);
    assert_eq!(db.store.audit_entries(0).await.unwrap(), []);
}

async fn the_overview_counts(db: Db) {
    assert_eq!(db.store.overview(at(0)).await.unwrap(), Overview::default());
    let mut groups: Vec<OccurrenceGroup> = (1..=4).map(|number| group(number, 1)).collect();
    groups[0].jobs = vec![NewJob::open_ticket(false)];
    groups[3].action = Action::Count;
    groups[3].count = 7;
    let gap = Gap {
        stream: StreamKey("file:a".to_owned()),
        service: "shop".to_owned(),
        noticed_at: at(1),
        from: String::new(),
        to: String::new(),
        reason: "r".to_owned(),
    };
    let receipt = db.store.commit(CommitBatch { gaps: vec![gap], ..batch(groups) }, at(2)).await.unwrap();
    let mute = |until| IssueEvent::Muted { until };
    for (idx, until) in [(1, Some(at(50))), (2, None)] {
        let id = receipt.groups[idx].issue;
        db.store.apply_issue_event(id, mute(until), vec![], entry(3, "ada", "muted")).await.unwrap();
    }
    db.store.set_paused(true, "ada", at(4)).await.unwrap();
    let counted = |name: &str, n| (name.to_owned(), n);
    let expected = Overview {
        issues_by_state: vec![counted("muted", 2), counted("open", 1)],
        jobs: vec![("ticket".to_owned(), "queued".to_owned(), 1)],
        n_occurrences: 10,
        n_gaps: 1,
        spend_today: SpendTotals::default(),
        spend_month: SpendTotals::default(),
        is_paused: true,
    };
    assert_eq!(db.store.overview(at(49)).await.unwrap(), expected);
    let later = vec![counted("muted", 1), counted("open", 2)];
    assert_eq!(db.store.overview(at(50)).await.unwrap().issues_by_state, later);
}

async fn the_audit_chain_shows_what_was_changed(db: Db) {
    assert!(db.store.verify_audit().await.unwrap());
    for second in 1..=5 {
        db.store.audit("ada", "mute", "issue 1", "because\0", at(second)).await.unwrap();
    }
    assert!(db.store.verify_audit().await.unwrap());
    let entries = db.store.audit_entries(2).await.unwrap();
    let told: Vec<_> = entries.iter().map(|it| (it.seq, it.at, it.detail.as_str())).collect();
    assert_eq!(told, [(5, at(5), "because\u{fffd}"), (4, at(4), "because\u{fffd}")]);
    assert_eq!(entries[0].hash.len(), 64);

    let tampered = [
        ("update audit set actor = 'eve' where seq = 3", "update audit set actor = 'ada' where seq = 3"),
        ("update audit set at = at + 1 where seq = 5", "update audit set at = at - 1 where seq = 5"),
        ("update audit set seq = 9 where seq = 4", "update audit set seq = 4 where seq = 9"),
    ];
    for (change, undo) in tampered {
        assert_eq!(db.execute(change).await, 1);
        assert!(!db.store.verify_audit().await.unwrap(), "{change}");
        assert_eq!(db.execute(undo).await, 1);
        assert!(db.store.verify_audit().await.unwrap(), "{undo}");
    }
    assert_eq!(db.execute("delete from audit where seq = 2").await, 1);
    assert!(!db.store.verify_audit().await.unwrap());
}

async fn an_audit_chain_cut_off_at_its_end_shows(db: Db) {
    for second in 1..=3 {
        db.store.audit("ada", "mute", "issue 1", "", at(second)).await.unwrap();
    }
    assert_eq!(db.execute("delete from audit where seq = 3").await, 1);
    assert!(!db.store.verify_audit().await.unwrap());
}
