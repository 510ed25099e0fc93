//! Aliases: merging and unmerging by a person, and ids of a new version of the algorithm.

#![expect(clippy::unwrap_used, reason = "stories are functions, not `#[test]`s themselves")]

use std::sync::Arc;

use futures_util::future::join_all;
use homeostat::base::id::{AliasId, IssueId};
use homeostat::base::redact::Clean;
use homeostat::model::decision::Decision;
use homeostat::model::fingerprint::Fingerprint;
use homeostat::model::issue::{IssueEvent, IssueState};
use homeostat::model::job::{JobState, NewJob};
use homeostat::model::occurrence::{OccurrenceGroup, Sample};
use homeostat::model::trace::Runtime;
use homeostat::store::types::{AliasWhy, CommittedGroup, IssueFilter, IssueTemplate, JobFilter};
use homeostat::store::{Store, StoreError};

use super::given::{Db, at, batch, commit_one, entry, fingerprint, group, levels, stories};

stories! {
    merged_issues_count_as_one_and_unmerged_ones_apart,
    an_alias_leads_on_over_what_its_issue_is_merged_into,
    what_must_not_be_merged_is_refused,
    a_merged_issue_gets_no_work,
    records_say_by_which_fingerprint_they_came,
    an_id_of_a_new_version_counts_for_the_issue_of_the_old,
    what_a_person_took_back_stays_so,
    merges_beside_commits_lose_no_count,
    merges_at_the_same_time_make_no_ring,
    templates_are_told_and_suggestions_dismissed,
}

async fn commit(db: &Db, number: u8, count: u64, second: i64) -> CommittedGroup {
    commit_one(&*db.store, OccurrenceGroup { count, ..group(number, second) }, second).await
}

async fn count(db: &Db, issue: IssueId) -> u64 {
    db.store.issue(issue).await.unwrap().count
}

async fn alias(store: &dyn Store, number: u8) -> Option<AliasId> {
    store.alias_in_force("shop", &fingerprint(number)).await.unwrap()
}

async fn brief(db: &Db, number: u8) -> Option<IssueId> {
    db.store.issue_brief("shop", &fingerprint(number)).await.unwrap().map(|it| it.id)
}

fn told(error: &StoreError) -> String {
    assert!(matches!(error, StoreError::Refused { .. }) && !error.is_transient(), "{error:?}");
    error.to_string()
}

async fn merged_issues_count_as_one_and_unmerged_ones_apart(db: Db) {
    let (one, other) = (commit(&db, 1, 3, 1).await.issue, commit(&db, 2, 5, 2).await.issue);
    let target = db.store.merge_issues(&[one], other, "ada", at(10)).await.unwrap();
    assert_eq!((target.id, target.count, target.state), (other, 5, IssueState::Open));
    let merged = db.store.issue(one).await.unwrap();
    assert_eq!((merged.count, merged.state), (3, IssueState::Merged { into: other }));
    assert_eq!(merged.levels, levels(1), "no id is rewritten");
    assert_eq!((brief(&db, 1).await, brief(&db, 2).await), (Some(other), Some(other)));

    // Both in one batch, one of them twice.
    let groups = vec![group(1, 11), OccurrenceGroup { count: 40, ..group(2, 12) }, group(1, 13)];
    let receipt = db.store.commit(batch(groups), at(14)).await.unwrap();
    let receipts: Vec<_> =
        receipt.groups.iter().map(|it| (it.identity, it.issue, it.is_new, it.count)).collect();
    let all = 5 + 42;
    assert_eq!(
        receipts,
        [
            (fingerprint(1), other, false, all),
            (fingerprint(2), other, false, all),
            (fingerprint(1), other, false, all)
        ]
    );
    assert_eq!((count(&db, one).await, count(&db, other).await), (3, all));
    let detail = db.store.issue_detail(other).await.unwrap();
    assert_eq!(detail.per_minute.iter().map(|(_, n)| n).sum::<u64>(), all);
    let alias = &detail.aliases[0];
    assert_eq!((alias.identity, alias.count, alias.why), (fingerprint(1), 2, AliasWhy::Merged));
    assert_eq!(alias.own, Some((one, "ValueError: order 1".to_owned())));
    assert_eq!((&*alias.made_by, alias.made_at, &alias.ended), ("ada", at(10), &None));

    let ended = db.store.unmerge(alias.id, "bob", at(20)).await.unwrap();
    assert_eq!(ended.ended, Some(("bob".to_owned(), at(20))));
    assert_eq!(db.store.issue(one).await.unwrap().state, IssueState::Open);
    assert_eq!(brief(&db, 1).await, Some(one));
    commit(&db, 1, 1, 21).await;
    commit(&db, 2, 1, 22).await;
    assert_eq!((count(&db, one).await, count(&db, other).await), (4, all + 1));
    let aliases = db.store.issue_detail(other).await.unwrap().aliases;
    assert_eq!(aliases, std::slice::from_ref(&ended), "it stays as history");
    let again = db.store.unmerge(alias.id, "eve", at(23)).await.unwrap_err();
    assert_eq!(told(&again), "bob has taken the alias of h1:01a0a0a0a0a0 back at 2026-01-01 00:00 UTC");

    // And once more: a new alias beside the old one.
    db.store.merge_issues(&[one], other, "ada", at(30)).await.unwrap();
    commit(&db, 1, 1, 31).await;
    assert_eq!((count(&db, one).await, count(&db, other).await), (4, all + 2));
    let counts: Vec<_> =
        db.store.issue_detail(other).await.unwrap().aliases.iter().map(|it| it.count).collect();
    assert_eq!(counts, [1, 2]);

    let story = |entries: Vec<homeostat::store::types::TimelineEntry>| {
        entries.into_iter().map(|it| (it.actor, it.what)).collect::<Vec<_>>()
    };
    let own = |what: &str| ("homeostat".to_owned(), what.to_owned());
    let by = |who: &str, what: &str| (who.to_owned(), what.to_owned());
    let expected =
        [own("issue opened"), by("ada", "merged with"), by("bob", "unmerged"), by("ada", "merged with")];
    assert_eq!(story(db.store.issue_detail(other).await.unwrap().timeline), expected);
    let expected =
        [own("issue opened"), by("ada", "merged into"), by("bob", "unmerged"), by("ada", "merged into")];
    assert_eq!(story(db.store.issue_detail(one).await.unwrap().timeline), expected);
    let audit = db.store.audit_entries(10).await.unwrap();
    let audit: Vec<_> = audit.iter().map(|it| (&*it.actor, &*it.action)).collect();
    assert_eq!(audit, [("ada", "merge issue"), ("bob", "unmerge issue"), ("ada", "merge issue")]);
    assert!(db.store.verify_audit().await.unwrap());
}

async fn an_alias_leads_on_over_what_its_issue_is_merged_into(db: Db) {
    let mut ids = Vec::new();
    for number in 1..=3 {
        ids.push(commit(&db, number, 1, 1).await.issue);
    }
    db.store.merge_issues(&[ids[0]], ids[1], "ada", at(2)).await.unwrap();
    db.store.merge_issues(&[ids[1]], ids[2], "ada", at(3)).await.unwrap();
    for number in 1..=3 {
        assert_eq!(commit(&db, number, 1, 4).await.issue, ids[2]);
        assert_eq!(brief(&db, number).await, Some(ids[2]));
    }
    // What was merged into it comes back with it.
    let second = alias(&*db.store, 2).await.unwrap();
    db.store.unmerge(second, "ada", at(5)).await.unwrap();
    let issues = [
        commit(&db, 1, 1, 6).await.issue,
        commit(&db, 2, 1, 6).await.issue,
        commit(&db, 3, 1, 6).await.issue,
    ];
    assert_eq!(issues, [ids[1], ids[1], ids[2]]);
    assert_eq!([count(&db, ids[0]).await, count(&db, ids[1]).await, count(&db, ids[2]).await], [1, 3, 5]);
}

async fn what_must_not_be_merged_is_refused(db: Db) {
    let mut ids = Vec::new();
    for number in 1..=4 {
        ids.push(commit(&db, number, 1, 1).await.issue);
    }
    let elsewhere = OccurrenceGroup { service: "cart".to_owned(), ..group(1, 1) };
    let elsewhere = commit_one(&*db.store, elsewhere, 1).await.issue;
    let storm = OccurrenceGroup { rule: "storm".to_owned(), ..group(9, 1) };
    let storm = commit_one(&*db.store, storm, 1).await.issue;
    let refused = async |sources: &[IssueId], target| {
        let error = db.store.merge_issues(sources, target, "ada", at(2)).await.unwrap_err();
        told(&error)
    };
    let itself = refused(&[ids[0]], ids[0]).await;
    assert_eq!(itself, format!("issue {} cannot be merged into itself", ids[0]));
    let words = "only issues of one service can be merged: these are of `cart` and `shop`";
    assert_eq!(refused(&[elsewhere], ids[0]).await, words);
    for (source, target) in [(storm, ids[0]), (ids[0], storm)] {
        assert!(refused(&[source], target).await.contains("stands for many errors"), "{source} {target}");
    }
    let fix = db.store.enqueue(NewJob::fix(ids[1], 0), at(2)).await.unwrap();
    let words = refused(&[ids[0], ids[1]], ids[2]).await;
    assert_eq!(
        words,
        format!("a fix of issue {} is queued: cancel job {fix} or let it end before merging", ids[1])
    );
    assert_eq!(db.store.issue(ids[0]).await.unwrap().state, IssueState::Open, "all of them or none");
    db.store.cancel_job(fix, "ada", at(3)).await.unwrap();
    db.store.merge_issues(&[ids[0], ids[1]], ids[2], "ada", at(4)).await.unwrap();
    assert!(refused(&[ids[3]], ids[0]).await.contains("is itself merged: merge into"));
    assert!(refused(&[ids[0]], ids[3]).await.contains("already"));
    // The same again changes nothing.
    db.store.merge_issues(&[ids[0]], ids[2], "ada", at(5)).await.unwrap();
    assert_eq!(db.store.issue_detail(ids[2]).await.unwrap().aliases.len(), 2);
    let nobody = db.store.merge_issues(&[IssueId::new()], ids[2], "ada", at(6)).await.unwrap_err();
    assert!(matches!(nobody, StoreError::NotFound { what: "issue", .. }), "{nobody:?}");
    let nobody = db.store.unmerge(AliasId::new(), "ada", at(6)).await.unwrap_err();
    assert!(matches!(nobody, StoreError::NotFound { what: "alias", .. }), "{nobody:?}");
}

async fn a_merged_issue_gets_no_work(db: Db) {
    let ticket = |number, second| OccurrenceGroup {
        decision: Decision::Ticket { reason: "new" },
        jobs: vec![NewJob::open_ticket(false)],
        ..group(number, second)
    };
    let one = commit_one(&*db.store, ticket(1, 1), 1).await.issue;
    let other = commit(&db, 2, 1, 1).await.issue;
    db.store.merge_issues(&[one], other, "ada", at(2)).await.unwrap();
    let of = async |issue| {
        let filter = JobFilter { issue: Some(issue), ..JobFilter::default() };
        let jobs = db.store.jobs(&filter).await.unwrap();
        jobs.into_iter().map(|job| (job.id, job.state)).collect::<Vec<_>>()
    };
    let cancelled = of(one).await;
    assert_eq!(cancelled[0].1, JobState::Cancelled, "its ticket had not been opened yet");

    // A watcher that has not heard of it asks for a ticket of the one: the other gets it.
    let committed = commit_one(&*db.store, ticket(1, 3), 3).await;
    assert_eq!((committed.issue, committed.n_jobs_queued), (other, 1));
    assert_eq!((of(one).await.len(), of(other).await.len()), (1, 1));

    let words = format!("issue {one} is merged into {other}: act on that one");
    let muted = IssueEvent::Muted { until: None };
    let refusals = [
        db.store.apply_issue_event(one, muted, vec![], entry(4, "ada", "muted")).await.unwrap_err(),
        db.store.enqueue(NewJob::fix(one, 0), at(4)).await.unwrap_err(),
        db.store.requeue_job(cancelled[0].0, "ada", at(4)).await.unwrap_err(),
    ];
    for refusal in refusals {
        assert_eq!(told(&refusal), words);
    }
    // It is in no list but its own.
    let listed = async |state: Option<&str>| {
        let filter = IssueFilter { state: state.map(str::to_owned), ..IssueFilter::default() };
        db.store.issues(&filter).await.unwrap().iter().map(|it| it.id).collect::<Vec<_>>()
    };
    assert_eq!(listed(None).await, [other]);
    assert_eq!((listed(Some("open")).await, listed(Some("merged")).await), (vec![other], vec![one]));
    let overview = db.store.overview(at(5)).await.unwrap();
    assert_eq!(overview.issues_by_state, [("merged".to_owned(), 1), ("open".to_owned(), 1)]);
    assert_eq!(overview.n_occurrences, 3);

    // It comes back as what it was.
    let id = alias(&*db.store, 1).await.unwrap();
    db.store.unmerge(id, "ada", at(6)).await.unwrap();
    db.store.apply_issue_event(one, muted, vec![], entry(7, "ada", "muted")).await.unwrap();
    db.store.merge_issues(&[one], other, "ada", at(8)).await.unwrap();
    let id = alias(&*db.store, 1).await.unwrap();
    db.store.unmerge(id, "ada", at(9)).await.unwrap();
    assert_eq!(db.store.issue(one).await.unwrap().state, IssueState::Muted { until: None });
}

async fn records_say_by_which_fingerprint_they_came(db: Db) {
    let (one, other) = (commit(&db, 1, 1, 1).await.issue, commit(&db, 2, 1, 2).await.issue);
    db.store.merge_issues(&[one], other, "ada", at(3)).await.unwrap();
    for second in 10..40 {
        commit(&db, 1, 1, second).await;
    }
    let detail = db.store.issue_detail(other).await.unwrap();
    let merged = detail.samples.iter().filter(|it| it.merged_from == Some(fingerprint(1))).count();
    assert_eq!((detail.samples.len(), merged), (20, 19));
    let own: &Sample = detail.own_sample().unwrap();
    assert_eq!((own.at, own.merged_from), (at(2), None), "the first records stay");
}

/// An occurrence as a daemon with version 2 sees it; `of` is what version 1 made of it.
fn seen_by_next(number: u8, of: u8, second: i64) -> OccurrenceGroup {
    let mut group = group(of, second);
    group.levels.identity = next(number);
    OccurrenceGroup { former: Some(fingerprint(of)), ..group }
}

fn next(number: u8) -> Fingerprint {
    Fingerprint::of_version(2, [number; 32])
}

async fn an_id_of_a_new_version_counts_for_the_issue_of_the_old(db: Db) {
    let one = commit(&db, 1, 7, 1).await.issue;
    let committed = commit_one(&*db.store, seen_by_next(21, 1, 10), 10).await;
    assert_eq!((committed.issue, committed.is_new, committed.count), (one, false, 8));
    assert_eq!(committed.identity, next(21));
    // Known from now on, without being asked for by the old one; so is what both versions wrote at once.
    let without = OccurrenceGroup { former: None, ..seen_by_next(21, 1, 11) };
    let receipt = db.store.commit(batch(vec![without, group(1, 11)]), at(11)).await.unwrap();
    assert_eq!(
        receipt.groups.iter().map(|it| (it.issue, it.count)).collect::<Vec<_>>(),
        [(one, 10), (one, 10)]
    );
    // What the new version tells apart stays where it was: the old one made one issue of it.
    assert_eq!(commit_one(&*db.store, seen_by_next(22, 1, 12), 12).await.issue, one);
    let brief = db.store.issue_brief("shop", &next(21)).await.unwrap().unwrap();
    assert_eq!(brief.id, one);
    let detail = db.store.issue_detail(one).await.unwrap();
    let aliases: Vec<_> =
        detail.aliases.iter().map(|it| (it.identity, it.why, it.count, &*it.made_by)).collect();
    let expected =
        [(next(22), AliasWhy::NewVersion, 1, "homeostat"), (next(21), AliasWhy::NewVersion, 2, "homeostat")];
    assert_eq!(aliases, expected);
    assert!(
        detail.samples.iter().all(|it| it.merged_from.is_none()),
        "it is the issue's own by another name"
    );
    let story: Vec<_> = detail.timeline.iter().map(|it| it.what.as_str()).collect();
    let version = "new version of the fingerprint";
    assert_eq!(story, ["issue opened", version, version]);

    // What neither knows is new, and one more version finds it by the second's id.
    let fresh = commit_one(&*db.store, seen_by_next(23, 9, 13), 13).await;
    assert!(fresh.is_new);
    let mut third = seen_by_next(0, 0, 14);
    (third.levels.identity, third.former) = (Fingerprint::of_version(3, [1; 32]), Some(next(21)));
    assert_eq!(commit_one(&*db.store, third, 14).await.issue, one);
    // People find it by any of its names.
    for name in [fingerprint(1).full(), next(21).full(), next(22).to_string(), "h3:0101".to_owned()] {
        let found = db.store.find_issues(&name).await.unwrap();
        assert_eq!(found.iter().map(|it| it.id).collect::<Vec<_>>(), [one], "{name}");
    }
    assert_eq!(db.store.find_issues(&next(23).full()).await.unwrap()[0].id, fresh.issue);
    assert_eq!(db.store.overview(at(20)).await.unwrap().n_occurrences, 7 + 1 + 2 + 1 + 1 + 1);

    // Merged by a person, the new ids go along.
    let other = commit(&db, 2, 1, 30).await.issue;
    db.store.merge_issues(&[one], other, "ada", at(31)).await.unwrap();
    let committed = commit_one(&*db.store, seen_by_next(21, 1, 32), 32).await;
    assert_eq!(committed.issue, other);
    assert_eq!(commit_one(&*db.store, seen_by_next(24, 1, 33), 33).await.issue, other, "a new one too");
    let samples = db.store.issue_detail(other).await.unwrap().samples;
    let merged: Vec<_> = samples.iter().map(|it| it.merged_from).collect();
    assert_eq!(merged, [Some(next(24)), Some(next(21)), None]);
    db.store.unmerge(alias(&*db.store, 1).await.unwrap(), "ada", at(34)).await.unwrap();
    assert_eq!(commit_one(&*db.store, seen_by_next(24, 1, 35), 35).await.issue, one, "and come back");
}

async fn what_a_person_took_back_stays_so(db: Db) {
    let one = commit(&db, 1, 1, 1).await.issue;
    commit_one(&*db.store, seen_by_next(21, 1, 2), 2).await;
    let id = db.store.alias_in_force("shop", &next(21)).await.unwrap().unwrap();
    db.store.unmerge(id, "ada", at(3)).await.unwrap();
    let apart = commit_one(&*db.store, seen_by_next(21, 1, 4), 4).await;
    assert!(apart.is_new && apart.issue != one);
    assert_eq!(commit_one(&*db.store, seen_by_next(21, 1, 5), 5).await.issue, apart.issue);
    assert_eq!((count(&db, one).await, count(&db, apart.issue).await), (2, 2));
}

async fn merges_beside_commits_lose_no_count(db: Db) {
    const N_COMMITS: u64 = 20;
    let (one, other) = (commit(&db, 1, 1, 1).await.issue, commit(&db, 2, 1, 1).await.issue);
    let stores = [db.opened_again().await, db.opened_again().await];
    let watchers = (0..4_usize).map(|watcher| {
        let store = Arc::clone(&stores[watcher % 2]);
        tokio::spawn(async move {
            for _ in 0..N_COMMITS {
                let groups = vec![OccurrenceGroup { count: 3, ..group(1, 2) }, group(2, 2)];
                store.commit(batch(groups), at(2)).await.unwrap();
            }
        })
    });
    let person = tokio::spawn({
        let store = Arc::clone(&stores[0]);
        async move {
            for _ in 0..5 {
                store.merge_issues(&[one], other, "ada", at(3)).await.unwrap();
                let id = alias(&*store, 1).await.unwrap();
                store.unmerge(id, "ada", at(4)).await.unwrap();
            }
        }
    });
    for task in join_all(watchers.chain([person])).await {
        task.unwrap();
    }
    let (own, all) = (count(&db, one).await, db.store.overview(at(5)).await.unwrap().n_occurrences);
    assert_eq!(all, 2 + 4 * N_COMMITS * 4);
    let aliases = db.store.issue_detail(other).await.unwrap().aliases;
    let by_aliases: u64 = aliases.iter().map(|it| it.count).sum();
    assert_eq!((own + by_aliases, aliases.len()), (1 + 4 * N_COMMITS * 3, 5));
    assert_eq!(count(&db, other).await, 1 + 4 * N_COMMITS + by_aliases);
}

async fn merges_at_the_same_time_make_no_ring(db: Db) {
    let mut ids = Vec::new();
    for number in 1..=6 {
        ids.push(commit(&db, number, 1, 1).await.issue);
    }
    let merges = (0..ids.len()).map(|idx| {
        let (store, source, target) = (Arc::clone(&db.store), ids[idx], ids[(idx + 1) % ids.len()]);
        tokio::spawn(async move { store.merge_issues(&[source], target, "ada", at(2)).await })
    });
    let n_refused = join_all(merges).await.into_iter().filter(|it| it.as_ref().unwrap().is_err()).count();
    assert!(n_refused > 0, "one at least would close the ring");
    let before = db.store.overview(at(3)).await.unwrap().n_occurrences;
    for number in 1..=6 {
        commit(&db, number, 1, 4).await;
    }
    assert_eq!(db.store.overview(at(5)).await.unwrap().n_occurrences, before + 6);
}

async fn templates_are_told_and_suggestions_dismissed(db: Db) {
    let said = |number: u8, runtime, service: &str| OccurrenceGroup {
        service: service.to_owned(),
        runtime,
        title: Clean::trusted(format!("pool {number} is empty")),
        ..group(number, 1)
    };
    let message = Runtime::Message;
    let groups = vec![
        said(1, message, "shop"),
        said(2, message, "shop"),
        said(3, Runtime::Python, "shop"),
        said(4, message, "cart"),
    ];
    let receipt = db.store.commit(batch(groups), at(1)).await.unwrap();
    let ids: Vec<IssueId> = receipt.groups.iter().map(|it| it.issue).collect();
    db.store.merge_issues(&[ids[0]], ids[1], "ada", at(2)).await.unwrap();
    let template = |idx: usize, merged_into| IssueTemplate {
        id: ids[idx],
        template: format!("order <num> failed {}", idx + 1),
        title: format!("pool {} is empty", idx + 1),
        count: 1,
        merged_into,
    };
    let expected = [template(0, Some(ids[1])), template(1, None)];
    assert_eq!(db.store.issue_templates("shop", 10).await.unwrap(), expected);
    assert_eq!(db.store.issue_templates("shop", 1).await.unwrap(), expected[..1]);

    let is_dismissed =
        async |service| db.store.is_suggestion_dismissed(service, "pool <*> is empty").await.unwrap();
    assert!(!is_dismissed("shop").await);
    for second in [3, 4] {
        db.store.dismiss_suggestion("shop", "pool <*> is empty", "ada", at(second)).await.unwrap();
    }
    assert!(is_dismissed("shop").await && !is_dismissed("cart").await);
    assert_eq!(db.store.audit_entries(1).await.unwrap()[0].action, "dismiss suggestion");
}
