//! GitHub's shapes: every field that its OpenAPI description requires, so that a stricter reader finds them too.

use serde_json::{Map, Value, json};

use super::state::{Comment, Issue, Pull};

/// Adds `<name>_url` fields below `base`.
fn with_urls(value: &mut Value, base: &str, names: &[&str]) {
    let fields: &mut Map<String, Value> = value.as_object_mut().expect("an object");
    for name in names {
        fields.insert(format!("{name}_url"), json!(format!("{base}/{name}")));
    }
}

pub(super) fn account(url: &str, login: &str) -> Value {
    let mut account = json!({
        "login": login, "id": 1, "node_id": "U_1", "avatar_url": format!("{url}/avatars/1"), "gravatar_id": "",
        "url": format!("{url}/api/v3/users/{login}"), "html_url": format!("{url}/{login}"), "type": "User", "site_admin": false,
    });
    let names = [
        "followers",
        "following",
        "gists",
        "starred",
        "subscriptions",
        "organizations",
        "repos",
        "events",
        "received_events",
    ];
    with_urls(&mut account, &format!("{url}/api/v3/users/{login}"), &names);
    account
}

pub(super) fn repository(url: &str, name: &str) -> Value {
    let (owner, short) = name.split_once('/').expect("owner/name");
    let api = format!("{url}/api/v3/repos/{name}");
    let mut repository = json!({
        "id": 10, "node_id": "R_10", "name": short, "full_name": name, "license": null, "forks": 0,
        "owner": account(url, owner), "private": true, "html_url": format!("{url}/{name}"), "description": null,
        "fork": false, "url": api, "clone_url": format!("{url}/{name}.git"), "mirror_url": null, "homepage": null,
        "language": null, "forks_count": 0, "stargazers_count": 0, "watchers_count": 0, "size": 1,
        "default_branch": "main", "open_issues_count": 0, "has_issues": true, "has_projects": false, "has_wiki": false,
        "has_pages": false, "has_downloads": true, "has_discussions": false, "archived": false, "disabled": false,
        "pushed_at": "2026-01-01T00:00:00Z", "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
        "open_issues": 0, "watchers": 0, "network_count": 0, "subscribers_count": 0,
    });
    let names = [
        "archive",
        "assignees",
        "blobs",
        "branches",
        "collaborators",
        "comments",
        "commits",
        "compare",
        "contents",
        "contributors",
        "deployments",
        "downloads",
        "events",
        "forks",
        "git_commits",
        "git_refs",
        "git_tags",
        "git",
        "issue_comment",
        "issue_events",
        "issues",
        "keys",
        "labels",
        "languages",
        "merges",
        "milestones",
        "notifications",
        "pulls",
        "releases",
        "ssh",
        "stargazers",
        "statuses",
        "subscribers",
        "subscription",
        "tags",
        "teams",
        "trees",
        "hooks",
        "svn",
    ];
    with_urls(&mut repository, &api, &names);
    repository
}

pub(super) fn issue(url: &str, name: &str, issue: &Issue) -> Value {
    let api = format!("{url}/api/v3/repos/{name}/issues/{}", issue.number);
    let labels = issue.labels.iter().map(|label| {
        json!({"id": 5, "node_id": "L_5", "url": format!("{url}/api/v3/repos/{name}/labels/{label}"), "name": label,
               "description": null, "color": "ededed", "default": false})
    });
    let mut shaped = json!({
        "id": issue.id, "node_id": format!("I_{}", issue.id), "url": api,
        "repository_url": format!("{url}/api/v3/repos/{name}"),
        "html_url": format!("{url}/{name}/issues/{}", issue.number), "number": issue.number,
        "state": if issue.is_open { "open" } else { "closed" }, "state_reason": null, "title": issue.title,
        "body": issue.body, "user": account(url, &issue.author), "labels": labels.collect::<Vec<_>>(), "assignee": null,
        "assignees": [], "milestone": null, "locked": false, "active_lock_reason": null,
        "comments": issue.comments.len(), "closed_at": if issue.is_open { Value::Null } else { json!(format!("{:.0}", issue.updated_at)) },
        "created_at": format!("{:.0}", issue.created_at), "updated_at": format!("{:.0}", issue.updated_at),
        "author_association": "MEMBER",
    });
    with_urls(&mut shaped, &api, &["labels", "comments", "events"]);
    shaped
}

/// A pull request in the list of issues.
pub(super) fn issue_of_pull(url: &str, name: &str, pull: &Pull) -> Value {
    let twin = Issue {
        id: pull.id,
        number: pull.number,
        title: pull.title.clone(),
        body: pull.body.clone(),
        labels: Vec::new(),
        is_open: pull.is_open,
        author: pull.author.clone(),
        created_at: pull.at,
        updated_at: pull.at,
        comments: Vec::new(),
    };
    let mut shaped = issue(url, name, &twin);
    let html = format!("{url}/{name}/pull/{}", pull.number);
    shaped["html_url"] = json!(html);
    shaped["pull_request"] = json!({
        "url": format!("{url}/api/v3/repos/{name}/pulls/{}", pull.number), "html_url": html,
        "diff_url": format!("{html}.diff"), "patch_url": format!("{html}.patch"),
    });
    shaped
}

pub(super) fn comment(url: &str, name: &str, number: u64, comment: &Comment) -> Value {
    let at = format!("{:.0}", comment.at);
    json!({
        "id": comment.id, "node_id": format!("IC_{}", comment.id),
        "url": format!("{url}/api/v3/repos/{name}/issues/comments/{}", comment.id),
        "html_url": format!("{url}/{name}/issues/{number}#issuecomment-{}", comment.id), "body": comment.body,
        "user": account(url, &comment.author), "created_at": at, "updated_at": at,
        "issue_url": format!("{url}/api/v3/repos/{name}/issues/{number}"), "author_association": "MEMBER",
    })
}

/// A pull request as a list shows it.
pub(super) fn pull_in_list(url: &str, name: &str, pull: &Pull) -> Value {
    let (owner, _) = name.split_once('/').expect("owner/name");
    let api = format!("{url}/api/v3/repos/{name}/pulls/{}", pull.number);
    let html = format!("{url}/{name}/pull/{}", pull.number);
    let side = |branch: &str, sha: &str| {
        json!({"label": format!("{owner}:{branch}"), "ref": branch, "sha": sha, "user": account(url, owner),
               "repo": repository(url, name)})
    };
    let link = |path: &str| json!({"href": format!("{api}/{path}")});
    let at = format!("{:.0}", pull.at);
    let mut shaped = json!({
        "url": api, "id": pull.id, "node_id": format!("PR_{}", pull.id), "html_url": html,
        "diff_url": format!("{html}.diff"), "patch_url": format!("{html}.patch"), "number": pull.number,
        "state": if pull.is_open { "open" } else { "closed" }, "locked": false, "title": pull.title, "body": pull.body,
        "user": account(url, &pull.author), "labels": [], "milestone": null, "created_at": at, "updated_at": at,
        "closed_at": null, "merged_at": null, "merge_commit_sha": null, "assignee": null, "assignees": [],
        "requested_reviewers": [], "requested_teams": [], "draft": pull.is_draft,
        "head": side(&pull.head, &pull.head_sha), "base": side(&pull.base, &pull.base_sha),
        "author_association": "MEMBER", "auto_merge": null,
        "_links": {
            "comments": link("comments"), "commits": link("commits"), "statuses": link("statuses"), "html": {"href": html},
            "issue": link("issue"), "review_comments": link("review_comments"), "review_comment": link("review_comment"),
            "self": {"href": api},
        },
    });
    let names = ["issue", "commits", "review_comments", "review_comment", "comments", "statuses"];
    with_urls(&mut shaped, &api, &names);
    shaped
}

/// A pull request alone, with what only that shows.
pub(super) fn pull(url: &str, name: &str, pull: &Pull) -> Value {
    let mut shaped = pull_in_list(url, name, pull);
    let more = json!({
        "merged": false, "mergeable": null, "rebaseable": null, "mergeable_state": "unknown", "merged_by": null,
        "comments": 0, "review_comments": 0, "maintainer_can_modify": false, "commits": 1, "additions": 1, "deletions": 1,
        "changed_files": 1,
    });
    let fields = shaped.as_object_mut().expect("an object");
    fields.extend(more.as_object().expect("an object").clone());
    shaped
}
