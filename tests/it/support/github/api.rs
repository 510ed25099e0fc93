//! The endpoints: who may call them, what they refuse, what they do.

use std::path::Path;
use std::process::Command;

use homeostat::base::clock::{Clock, SystemClock, Timestamp};
use serde_json::{Value, json};

use super::answer::{Answer, answer, invalid, refuse};
use super::shape;
use super::state::{Comment, Hosted, Issue, Pull, State, Token};

const MAX_BODY_CHARS: usize = 65_536;
const MAX_TITLE_CHARS: usize = 256;

/// A request to the API.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) method: String,
    /// Below `/api/v3`, without the query.
    pub(super) path: String,
    pub(super) query: Vec<(String, String)>,
    pub(super) authorization: Option<String>,
    pub(super) has_user_agent: bool,
    pub(super) api_version: Option<String>,
    pub(super) body: Vec<u8>,
}

impl Call {
    fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body as an object.
    fn json(&self) -> Result<Value, Answer> {
        let value: Value =
            serde_json::from_slice(&self.body).map_err(|_| refuse(400, "Problems parsing JSON"))?;
        if value.is_object() { Ok(value) } else { Err(refuse(400, "Body should be a JSON object")) }
    }
}

/// Answers a request.
fn answer_call(state: &mut State, call: &Call) -> Result<Answer, Answer> {
    if !call.has_user_agent {
        return Err(refuse(
            403,
            "Request forbidden by administrative rules. Please make sure your request has a User-Agent header.",
        ));
    }
    if call.api_version.as_deref().is_some_and(|version| version != "2022-11-28" && version != "2026-03-10") {
        return Err(refuse(400, "The version of the API you asked for is not supported."));
    }
    let parts: Vec<&str> = call.path.trim_matches('/').split('/').collect();
    if let Some(answer) = super::app::answer_app(state, call, &parts) {
        return answer;
    }
    let token = authenticate(state, call)?;
    match (call.method.as_str(), &parts[..]) {
        ("GET", ["user"]) => Ok(answer(200, shape::account(&state.url, &token.login))),
        (_, ["repos", owner, name, rest @ ..]) => {
            let name = format!("{owner}/{name}");
            if !token.sees.contains(&name) || !state.repositories.contains_key(&name) {
                return Err(refuse(404, "Not Found"));
            }
            in_repository(state, call, &token, &name, rest)
        }
        _ => Err(refuse(404, "Not Found")),
    }
}

/// [`answer_call`] with refusals as answers, which they are.
pub(super) fn answer_all(state: &mut State, call: &Call) -> Answer {
    answer_call(state, call).unwrap_or_else(|refusal| refusal)
}

fn authenticate(state: &State, call: &Call) -> Result<Token, Answer> {
    let given = call.authorization.as_deref().ok_or_else(|| refuse(401, "Requires authentication"))?;
    let token = given.strip_prefix("Bearer ").or_else(|| given.strip_prefix("token "));
    let token = token.and_then(|token| state.tokens.get(token));
    token.cloned().ok_or_else(|| refuse(401, "Bad credentials"))
}

fn in_repository(
    state: &mut State,
    call: &Call,
    token: &Token,
    name: &str,
    rest: &[&str],
) -> Result<Answer, Answer> {
    let url = state.url.clone();
    let hosted = state.repositories.get_mut(name).expect("looked up before");
    match (call.method.as_str(), rest) {
        ("GET", []) => Ok(answer(200, shape::repository(&url, name))),
        (_, ["issues", ..]) if !hosted.has_issues => {
            Err(refuse(410, "Issues has been disabled in this repository."))
        }
        ("GET", ["issues"]) => list_issues(&url, name, hosted, call),
        ("POST", ["issues"]) => create_issue(state, call, token, name),
        ("GET", ["issues", number]) => {
            let issue = find(hosted, number)?;
            Ok(answer(200, shape::issue(&url, name, issue)))
        }
        ("PATCH", ["issues", number]) => change_issue(&url, name, hosted, call, token, number),
        ("GET", ["issues", number, "comments"]) => {
            let issue = find(hosted, number)?;
            let since = since(call)?;
            let kept = issue.comments.iter().filter(|it| since.is_none_or(|since| it.at >= since));
            let all = kept.map(|it| shape::comment(&url, name, issue.number, it)).collect();
            page(&url, call, all)
        }
        ("POST", ["issues", number, "comments"]) => create_comment(state, call, token, name, number),
        ("GET", ["pulls"]) => list_pulls(&url, name, hosted, call),
        ("POST", ["pulls"]) => create_pull(state, call, token, name),
        ("GET", ["pulls", number]) => {
            let pull = hosted.pulls.iter().find(|it| it.number.to_string() == *number);
            let pull = pull.ok_or_else(|| refuse(404, "Not Found"))?;
            Ok(answer(200, shape::pull(&url, name, pull)))
        }
        _ => Err(refuse(404, "Not Found")),
    }
}

fn find<'a>(hosted: &'a mut Hosted, number: &str) -> Result<&'a mut Issue, Answer> {
    let found = hosted.issues.iter_mut().find(|it| it.number.to_string() == number);
    found.ok_or_else(|| refuse(404, "Not Found"))
}

fn since(call: &Call) -> Result<Option<Timestamp>, Answer> {
    let Some(text) = call.query("since") else { return Ok(None) };
    text.parse().map(Some).map_err(|_| refuse(422, "Invalid since parameter"))
}

/// One page with its `Link` header: <https://docs.github.com/en/rest/using-the-rest-api/using-pagination-in-the-rest-api>.
fn page(url: &str, call: &Call, all: Vec<Value>) -> Result<Answer, Answer> {
    let number = |name: &str, default: usize| match call.query(name) {
        Some(text) => text.parse::<usize>().map_err(|_| refuse(422, "Invalid page")),
        None => Ok(default),
    };
    let per_page = number("per_page", 30)?.clamp(1, 100);
    let at = number("page", 1)?.max(1);
    let n_pages = all.len().div_ceil(per_page).max(1);
    let to = |page: usize, rel: &str| {
        let others = call.query.iter().filter(|(key, _)| key != "page");
        let query: String = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(others)
            .append_pair("page", &page.to_string())
            .finish();
        format!("<{url}/api/v3{}?{query}>; rel=\"{rel}\"", call.path)
    };
    let mut links = Vec::new();
    if at > 1 {
        links.extend([to(at - 1, "prev"), to(1, "first")]);
    }
    if at < n_pages {
        links.extend([to(at + 1, "next"), to(n_pages, "last")]);
    }
    let items: Vec<Value> = all.into_iter().skip((at - 1) * per_page).take(per_page).collect();
    let link = (!links.is_empty()).then(|| links.join(", "));
    Ok(Answer { status: 200, body: json!(items), link })
}

fn is_in_state(call: &Call, is_open: bool) -> Result<bool, Answer> {
    match call.query("state").unwrap_or("open") {
        "all" => Ok(true),
        "open" => Ok(is_open),
        "closed" => Ok(!is_open),
        _ => Err(refuse(422, "Invalid state")),
    }
}

fn list_issues(url: &str, name: &str, hosted: &Hosted, call: &Call) -> Result<Answer, Answer> {
    let since = since(call)?;
    let labels: Vec<&str> = call.query("labels").map(|it| it.split(',').collect()).unwrap_or_default();
    let mut found = Vec::new();
    for issue in &hosted.issues {
        let has_labels = labels.iter().all(|label| issue.labels.iter().any(|it| it == label));
        let is_recent = since.is_none_or(|since| issue.updated_at >= since);
        if is_in_state(call, issue.is_open)? && has_labels && is_recent {
            found.push((issue.number, shape::issue(url, name, issue)));
        }
    }
    // Every pull request is an issue too.
    for pull in hosted.pulls.iter().filter(|_| labels.is_empty()) {
        if is_in_state(call, pull.is_open)? && since.is_none_or(|since| pull.at >= since) {
            found.push((pull.number, shape::issue_of_pull(url, name, pull)));
        }
    }
    found.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
    if call.query("direction") == Some("asc") {
        found.reverse();
    }
    page(url, call, found.into_iter().map(|(_, issue)| issue).collect())
}

/// A text field, its presence and its length.
fn text(body: &Value, resource: &str, field: &str, max: usize) -> Result<Option<String>, Answer> {
    let value = match &body[field] {
        Value::Null => return Ok(None),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            let words = format!("Invalid request.\n\nFor 'properties/{field}', value is not a string.");
            return Err(refuse(422, &words));
        }
    };
    if value.chars().count() > max {
        let words = format!("{field} is too long (maximum is {max} characters)");
        return Err(invalid(resource, field, "custom", Some(&words)));
    }
    Ok(Some(value))
}

fn title(body: &Value, resource: &str) -> Result<String, Answer> {
    let title = text(body, resource, "title", MAX_TITLE_CHARS)?
        .ok_or_else(|| refuse(422, "Invalid request.\n\n\"title\" wasn't supplied."))?;
    if title.trim().is_empty() {
        return Err(invalid(resource, "title", "missing_field", None));
    }
    Ok(title)
}

fn create_issue(state: &mut State, call: &Call, token: &Token, name: &str) -> Result<Answer, Answer> {
    let body = call.json()?;
    let title = title(&body, "Issue")?;
    let text = text(&body, "Issue", "body", MAX_BODY_CHARS)?;
    // Labels of those who may not push are dropped without a word.
    let labels = body["labels"].as_array().filter(|_| token.may_write);
    let labels = labels.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
    let (id, url, now) = (state.fresh_id(), state.url.clone(), SystemClock.now());
    let hosted = state.repositories.get_mut(name).expect("looked up before");
    let issue = Issue {
        id,
        number: hosted.next_number(),
        title,
        body: text,
        labels,
        is_open: true,
        author: token.login.clone(),
        created_at: now,
        updated_at: now,
        comments: Vec::new(),
    };
    let shaped = shape::issue(&url, name, &issue);
    hosted.issues.push(issue);
    Ok(answer(201, shaped))
}

fn change_issue(
    url: &str,
    name: &str,
    hosted: &mut Hosted,
    call: &Call,
    token: &Token,
    number: &str,
) -> Result<Answer, Answer> {
    let body = call.json()?;
    let issue = find(hosted, number)?;
    if !token.may_write {
        return Err(refuse(403, "Resource not accessible by personal access token"));
    }
    match body["state"].as_str() {
        Some("open") => issue.is_open = true,
        Some("closed") => issue.is_open = false,
        Some(_) => return Err(invalid("Issue", "state", "invalid", None)),
        None => {}
    }
    issue.updated_at = SystemClock.now();
    Ok(answer(200, shape::issue(url, name, issue)))
}

fn create_comment(
    state: &mut State,
    call: &Call,
    token: &Token,
    name: &str,
    number: &str,
) -> Result<Answer, Answer> {
    let body = call.json()?;
    let text = text(&body, "IssueComment", "body", MAX_BODY_CHARS)?
        .ok_or_else(|| refuse(422, "Invalid request.\n\n\"body\" wasn't supplied."))?;
    if text.trim().is_empty() {
        return Err(invalid("IssueComment", "body", "missing_field", None));
    }
    let (id, url, now) = (state.fresh_id(), state.url.clone(), SystemClock.now());
    let hosted = state.repositories.get_mut(name).expect("looked up before");
    let issue = find(hosted, number)?;
    let comment = Comment { id, body: text, author: token.login.clone(), at: now };
    let shaped = shape::comment(&url, name, issue.number, &comment);
    issue.comments.push(comment);
    issue.updated_at = now;
    Ok(answer(201, shaped))
}

fn list_pulls(url: &str, name: &str, hosted: &Hosted, call: &Call) -> Result<Answer, Answer> {
    let owner = name.split('/').next().unwrap_or_default();
    // A `head` without its owner is no filter at all.
    let head = call.query("head").and_then(|head| head.split_once(':'));
    let mut found = Vec::new();
    for pull in &hosted.pulls {
        let has_head = head.is_none_or(|(user, branch)| user == owner && branch == pull.head);
        let has_base = call.query("base").is_none_or(|base| base == pull.base);
        if is_in_state(call, pull.is_open)? && has_head && has_base {
            found.push(shape::pull_in_list(url, name, pull));
        }
    }
    found.reverse();
    page(url, call, found)
}

fn create_pull(state: &mut State, call: &Call, token: &Token, name: &str) -> Result<Answer, Answer> {
    let body = call.json()?;
    if !token.may_write {
        return Err(refuse(403, "Resource not accessible by personal access token"));
    }
    for field in ["head", "base"] {
        if body[field].is_null() {
            return Err(refuse(422, &format!("Invalid request.\n\n\"{field}\" wasn't supplied.")));
        }
    }
    let title = title(&body, "PullRequest")?;
    let text = text(&body, "PullRequest", "body", MAX_BODY_CHARS)?;
    let (id, url, now) = (state.fresh_id(), state.url.clone(), SystemClock.now());
    let hosted = state.repositories.get_mut(name).expect("looked up before");
    let owner = name.split('/').next().unwrap_or_default();
    let head = body["head"].as_str().unwrap_or_default();
    let head = head.strip_prefix(&format!("{owner}:")).unwrap_or(head).to_owned();
    let base = body["base"].as_str().unwrap_or_default().to_owned();
    let commit = |branch: &str| commit_of(&hosted.bare, branch);
    let head_sha = commit(&head).ok_or_else(|| invalid("PullRequest", "head", "invalid", None))?;
    let base_sha = commit(&base).ok_or_else(|| invalid("PullRequest", "base", "invalid", None))?;
    if is_ancestor(&hosted.bare, &head_sha, &base_sha) {
        let words = format!("No commits between {base} and {head}");
        return Err(invalid("PullRequest", "", "custom", Some(&words)));
    }
    if hosted.pulls.iter().any(|pull| pull.is_open && pull.head == head && pull.base == base) {
        let words = format!("A pull request already exists for {owner}:{head}.");
        return Err(invalid("PullRequest", "", "custom", Some(&words)));
    }
    let is_draft = body["draft"].as_bool().unwrap_or_default();
    if is_draft && !hosted.allows_drafts {
        return Err(refuse(422, "Draft pull requests are not supported in this repository."));
    }
    let number = hosted.next_number();
    let author = token.login.clone();
    let pull = Pull {
        id,
        number,
        title,
        body: text,
        head,
        base,
        head_sha,
        base_sha,
        is_draft,
        is_open: true,
        author,
        at: now,
    };
    let shaped = shape::pull(&url, name, &pull);
    hosted.pulls.push(pull);
    Ok(answer(201, shaped))
}

fn commit_of(bare: &Path, branch: &str) -> Option<String> {
    let reference = format!("refs/heads/{branch}^{{commit}}");
    let output = git(bare, &["rev-parse", "--verify", "--quiet", &reference])?;
    Some(String::from_utf8_lossy(&output).trim().to_owned())
}

fn is_ancestor(bare: &Path, lower: &str, upper: &str) -> bool {
    git(bare, &["merge-base", "--is-ancestor", lower, upper]).is_some()
}

fn git(bare: &Path, arguments: &[&str]) -> Option<Vec<u8>> {
    let output = Command::new("git").current_dir(bare).args(arguments).output().expect("git can be run");
    output.status.success().then_some(output.stdout)
}
