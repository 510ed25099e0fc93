//! The strict scripted GitHub refuses what the real one refuses, and answers in its shapes.
//!
//! Its requests are made by hand here, not by the client it is there to test.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

use serde_json::{Value, json};

use crate::support::git::Repository;
use crate::support::github::{Fault, GitHub, TOKEN, Token};

/// Name of the repository in every test here.
const NAME: &str = "acme/shop";
/// A token that may read, and write nothing but issues and comments.
const READER: &str = "ghp_reader";

struct Given {
    github: GitHub,
    repository: Repository,
    http: reqwest::Client,
}

async fn given() -> Given {
    let repository = Repository::create(NAME, &[("README", "shop\n")]);
    repository.commit("feature", "change", &[("a", "b\n")]);
    let github = GitHub::start(&repository, NAME).await;
    let reader = Token { login: "reader".to_owned(), may_write: false, sees: vec![NAME.to_owned()] };
    github.state().tokens.insert(READER.to_owned(), reader);
    let http = reqwest::Client::builder().user_agent("test").build().unwrap();
    Given { github, repository, http }
}

impl Given {
    fn url(&self, path: &str) -> String {
        format!("{}/api/v3{path}", self.github.url)
    }

    async fn get(&self, path: &str) -> (u16, Value, reqwest::header::HeaderMap) {
        read(self.http.get(self.url(path)).bearer_auth(TOKEN)).await
    }

    async fn post(&self, token: &str, path: &str, body: &Value) -> (u16, Value) {
        let (status, body, _) = read(self.http.post(self.url(path)).bearer_auth(token).json(body)).await;
        (status, body)
    }
}

async fn read(request: reqwest::RequestBuilder) -> (u16, Value, reqwest::header::HeaderMap) {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)), headers)
}

#[tokio::test]
async fn refuses_who_may_not() {
    let given = given().await;
    let url = given.url("/repos/acme/shop/issues");
    let (status, body, _) = read(given.http.get(&url)).await;
    assert_eq!((status, &body["message"]), (401, &json!("Requires authentication")));
    let (status, body, _) = read(given.http.get(&url).bearer_auth("ghp_wrong")).await;
    assert_eq!((status, &body["message"]), (401, &json!("Bad credentials")));
    let bare = reqwest::Client::new();
    let (status, ..) = read(bare.get(&url).bearer_auth(TOKEN)).await;
    assert_eq!(status, 403, "without a User-Agent");
    for path in ["/repos/acme/other", "/repos/other/shop", "/nothing"] {
        let (status, body, _) = given.get(path).await;
        assert_eq!((status, &body["message"]), (404, &json!("Not Found")), "{path}");
    }
    let pull = json!({"title": "t", "head": "feature", "base": "main"});
    let (status, body) = given.post(READER, "/repos/acme/shop/pulls", &pull).await;
    assert_eq!(status, 403, "{body}");
}

#[tokio::test]
async fn tolerates_accept_but_not_the_version() {
    let given = given().await;
    let url = given.url("/repos/acme/shop");
    let ask = |name: &'static str, value: &'static str| {
        read(given.http.get(&url).bearer_auth(TOKEN).header(name, value))
    };
    assert_eq!(ask("accept", "text/plain").await.0, 200);
    assert_eq!(ask("x-github-api-version", "2022-11-28").await.0, 200);
    assert_eq!(ask("x-github-api-version", "1999-01-01").await.0, 400);
}

#[tokio::test]
async fn refuses_wrong_issues_and_comments() {
    let given = given().await;
    let long = "x".repeat(65_537);
    let missing = |field: &str| json!(format!("Invalid request.\n\n\"{field}\" wasn't supplied."));
    let cases = [
        (json!({"body": "b"}), missing("title")),
        (json!({"title": " "}), json!("Validation Failed")),
        (json!({"title": 1}), json!("Invalid request.\n\nFor 'properties/title', value is not a string.")),
        (json!({"title": "t".repeat(257)}), json!("Validation Failed")),
        (json!({"title": "t", "body": long}), json!("Validation Failed")),
    ];
    for (body, message) in cases {
        let (status, answer) = given.post(TOKEN, "/repos/acme/shop/issues", &body).await;
        assert_eq!((status, &answer["message"]), (422, &message), "{body}");
    }
    let (_, answer) =
        given.post(TOKEN, "/repos/acme/shop/issues", &json!({"title": "t", "body": long})).await;
    let expected = json!([{"resource": "Issue", "code": "custom", "field": "body",
        "message": "body is too long (maximum is 65536 characters)"}]);
    assert_eq!(answer["errors"], expected);
    let url = given.url("/repos/acme/shop/issues");
    let (status, answer, _) = read(given.http.post(url).bearer_auth(TOKEN).body("{")).await;
    assert_eq!((status, &answer["message"]), (400, &json!("Problems parsing JSON")));
    let (status, _) = given.post(TOKEN, "/repos/acme/shop/issues/1/comments", &json!({"body": "b"})).await;
    assert_eq!(status, 404, "a comment on an issue that is not there");
    given.post(TOKEN, "/repos/acme/shop/issues", &json!({"title": "t"})).await;
    let (status, _) = given.post(TOKEN, "/repos/acme/shop/issues/1/comments", &json!({})).await;
    assert_eq!(status, 422, "a comment without a body");
    given.github.state().only().has_issues = false;
    assert_eq!(given.get("/repos/acme/shop/issues").await.0, 410);
}

#[tokio::test]
async fn drops_the_labels_of_those_who_may_not_push() {
    let given = given().await;
    let issue = json!({"title": "t", "labels": ["homeostat"]});
    for (token, expected) in [(TOKEN, 1), (READER, 0)] {
        let (status, answer) = given.post(token, "/repos/acme/shop/issues", &issue).await;
        assert_eq!((status, answer["labels"].as_array().unwrap().len()), (201, expected));
    }
}

#[tokio::test]
async fn refuses_wrong_pull_requests() {
    let given = given().await;
    let path = "/repos/acme/shop/pulls";
    let right = json!({"title": "t", "head": "feature", "base": "main"});
    let with = |field: &str, value: Value| {
        let mut body = right.clone();
        body[field] = value;
        body
    };
    let field_error = |field: &str| json!([{"resource": "PullRequest", "field": field, "code": "invalid"}]);
    let said = |words: &str| json!([{"resource": "PullRequest", "code": "custom", "message": words}]);
    given.repository.commit("same", "nothing new", &[]);
    given.repository.git(&["update-ref", "refs/heads/same", "refs/heads/main"]);
    let cases = [
        (with("head", json!("nowhere")), field_error("head")),
        (with("base", json!("nowhere")), field_error("base")),
        (with("head", json!("same")), said("No commits between main and same")),
    ];
    for (body, errors) in cases {
        let (status, answer) = given.post(TOKEN, path, &body).await;
        assert_eq!((status, &answer["errors"]), (422, &errors), "{body}");
    }
    for field in ["title", "head", "base"] {
        let (status, answer) = given.post(TOKEN, path, &with(field, Value::Null)).await;
        let words = format!("Invalid request.\n\n\"{field}\" wasn't supplied.");
        assert_eq!((status, &answer["message"]), (422, &json!(words)));
    }
    let (status, _) = given.post(TOKEN, path, &with("body", json!("x".repeat(65_537)))).await;
    assert_eq!(status, 422, "a body that is too long");
    given.github.state().only().allows_drafts = false;
    let (status, answer) = given.post(TOKEN, path, &with("draft", json!(true))).await;
    assert_eq!(status, 422, "{answer}");
    let (status, answer) = given.post(TOKEN, path, &right).await;
    assert_eq!(
        (status, &answer["head"]["sha"]),
        (201, &json!(given.repository.git(&["rev-parse", "feature"])))
    );
    let (status, answer) = given.post(TOKEN, path, &right).await;
    assert_eq!((status, &answer["errors"]), (422, &said("A pull request already exists for acme:feature.")));
}

#[tokio::test]
async fn lists_by_pages_with_links() {
    let given = given().await;
    for n in 0..5 {
        given.github.state().plant_issue(NAME, &format!("issue {n}"), "b", &["homeostat"]);
    }
    given.github.state().plant_issue(NAME, "other", "b", &[]);
    let pull = json!({"title": "t", "head": "feature", "base": "main"});
    given.post(TOKEN, "/repos/acme/shop/pulls", &pull).await;
    let (_, all, headers) = given.get("/repos/acme/shop/issues?per_page=100").await;
    assert_eq!(all.as_array().unwrap().len(), 7, "a pull request is listed as an issue");
    assert!(all[0]["pull_request"].is_object() && headers.get("link").is_none());
    let (_, first, headers) = given.get("/repos/acme/shop/issues?labels=homeostat&per_page=2").await;
    assert_eq!(first.as_array().unwrap().len(), 2);
    let link = headers["link"].to_str().unwrap().to_owned();
    let base = given.url("/repos/acme/shop/issues?labels=homeostat&per_page=2&page=");
    assert_eq!(link, format!("<{base}2>; rel=\"next\", <{base}3>; rel=\"last\""));
    let (_, last, headers) = given.get("/repos/acme/shop/issues?labels=homeostat&per_page=2&page=3").await;
    assert_eq!(last.as_array().unwrap().len(), 1);
    assert!(headers["link"].to_str().unwrap().contains("rel=\"prev\""));
    let (_, none, _) = given.get("/repos/acme/shop/issues?since=2999-01-01T00:00:00Z").await;
    assert_eq!(none, json!([]));
    let (_, ours, _) = given.get("/repos/acme/shop/pulls?head=acme:feature&state=all").await;
    let (_, others, _) = given.get("/repos/acme/shop/pulls?head=acme:other&state=all").await;
    assert_eq!((ours.as_array().unwrap().len(), others.as_array().unwrap().len()), (1, 0));
}

#[tokio::test]
async fn limits_and_fails_on_demand() {
    let given = given().await;
    let issue = json!({"title": "t"});
    let path = "/repos/acme/shop/issues";
    let (_, _, headers) = given.get("/user").await;
    assert_eq!(headers["x-ratelimit-remaining"], "4999");
    given.github.fail(2, Fault::Before(502));
    given.github.fail(3, Fault::After(502));
    given.github.fail(4, Fault::PrimaryLimit { reset_in: 90 });
    given.github.fail(5, Fault::SecondaryLimit { status: 429, retry_after: Some(7) });
    given.github.fail(6, Fault::SecondaryLimit { status: 403, retry_after: None });
    assert_eq!(given.post(TOKEN, path, &issue).await.0, 502);
    assert_eq!(given.github.state().only().issues.len(), 0, "refused before its work");
    assert_eq!(given.post(TOKEN, path, &issue).await.0, 502);
    assert_eq!(given.github.state().only().issues.len(), 1, "failed after its work");
    let (status, _, headers) = given.get("/user").await;
    assert_eq!((status, headers["x-ratelimit-remaining"].to_str().unwrap()), (403, "0"));
    assert!(headers.contains_key("x-ratelimit-reset"));
    let (status, _, headers) = given.get("/user").await;
    assert_eq!((status, headers["retry-after"].to_str().unwrap()), (429, "7"));
    let (status, body, headers) = given.get("/user").await;
    assert!(status == 403 && body["message"].as_str().unwrap().contains("secondary rate limit"));
    assert!(!headers.contains_key("retry-after"));
    let seen = given.github.seen();
    assert_eq!(seen.iter().map(|it| it.status).collect::<Vec<_>>(), [200, 502, 502, 403, 429, 403]);
}

#[tokio::test]
async fn gives_git_to_tokens_that_see_it() {
    let given = given().await;
    let refs = |token: &'static str, name: &str, service: &str| {
        let url = format!("{}/{name}.git/info/refs?service={service}", given.github.url);
        let request = given.http.get(url).basic_auth("x-access-token", Some(token));
        async move { request.send().await.unwrap().status().as_u16() }
    };
    assert_eq!(refs(TOKEN, NAME, "git-upload-pack").await, 200);
    assert_eq!(refs(TOKEN, NAME, "git-receive-pack").await, 200);
    assert_eq!(refs(READER, NAME, "git-receive-pack").await, 403);
    assert_eq!(refs("ghp_wrong", NAME, "git-upload-pack").await, 401);
    assert_eq!(refs(TOKEN, "acme/other", "git-upload-pack").await, 404);
}

/// Fields that GitHub's OpenAPI description (api.github.com, 2022-11-28) requires in these answers.
const REQUIRED: [(&str, &str); 3] = [
    (
        "issue",
        "assignee closed_at comments comments_url events_url html_url id node_id labels labels_url milestone number repository_url state locked title url user created_at updated_at",
    ),
    ("comment", "id node_id html_url issue_url user url created_at updated_at"),
    (
        "pull",
        "_links assignee labels base body closed_at comments_url commits_url created_at diff_url head html_url id node_id issue_url merge_commit_sha merged_at milestone number patch_url review_comment_url review_comments_url statuses_url state locked title updated_at url user author_association auto_merge additions changed_files comments commits deletions mergeable mergeable_state merged maintainer_can_modify merged_by review_comments",
    ),
];

#[tokio::test]
async fn answers_in_githubs_shapes() {
    let given = given().await;
    let (_, issue) =
        given.post(TOKEN, "/repos/acme/shop/issues", &json!({"title": "t", "labels": ["l"]})).await;
    let path = "/repos/acme/shop/issues/1/comments";
    let (_, comment) = given.post(TOKEN, path, &json!({"body": "b"})).await;
    let pull = json!({"title": "t", "head": "feature", "base": "main"});
    let (_, pull) = given.post(TOKEN, "/repos/acme/shop/pulls", &pull).await;
    for ((name, required), answer) in REQUIRED.iter().zip([&issue, &comment, &pull]) {
        let missing: Vec<&str> = required.split(' ').filter(|field| answer.get(field).is_none()).collect();
        assert!(missing.is_empty(), "{name} lacks {missing:?}");
    }
    // A reader that was written against the real one and checks every type.
    serde_json::from_value::<octocrab::models::issues::Issue>(issue).unwrap();
    serde_json::from_value::<octocrab::models::issues::Comment>(comment).unwrap();
    serde_json::from_value::<octocrab::models::pulls::PullRequest>(pull).unwrap();
    let (_, repository, _) = given.get("/repos/acme/shop").await;
    serde_json::from_value::<octocrab::models::Repository>(repository).unwrap();
    let (_, user, _) = given.get("/user").await;
    serde_json::from_value::<octocrab::models::Author>(user).unwrap();
}
