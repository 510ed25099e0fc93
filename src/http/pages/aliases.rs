//! On an issue's page: what counts for it too, what it is merged into, and what looks like it.

use super::show::{When, grouped, words};
use crate::base::clock::Timestamp;
use crate::base::id::AliasId;
use crate::http::error::HttpError;
use crate::http::state::App;
use crate::model::issue::Issue;
use crate::store::types::{Alias, AliasWhy, IssueDetail, IssueFilter, IssueTemplate};
use crate::watch::ingest::suggestion::{self, Suggestion};

/// Issues of a suggestion that are shown.
const MAX_SHOWN: usize = 20;
/// Issues that can be chosen to merge into; others are typed.
const MAX_CHOICES: u32 = 50;

/// All of it.
pub(super) struct AliasViews {
    pub(super) merged: Option<MergedView>,
    pub(super) aliases: Vec<AliasView>,
    pub(super) suggestion: Option<SuggestionView>,
    /// Fingerprint and title of issues it may be merged into, last seen first.
    pub(super) choices: Vec<(String, String)>,
}

/// The issue that this one counts for.
pub(super) struct MergedView {
    pub(super) href: String,
    pub(super) title: String,
    pub(super) alias: Option<AliasId>,
}

pub(super) struct AliasView {
    pub(super) id: String,
    pub(super) fingerprint: String,
    pub(super) full: String,
    /// Address and title of the fingerprint's own issue.
    pub(super) own: Option<(String, String)>,
    pub(super) count: String,
    pub(super) why: String,
    pub(super) made: When,
    pub(super) ended: Option<(String, When)>,
}

pub(super) struct SuggestionView {
    pub(super) pattern: String,
    pub(super) n_others: usize,
    /// Address, title and count.
    pub(super) others: Vec<(String, String, String)>,
    pub(super) n_more: usize,
}

impl AliasViews {
    pub(super) async fn load(app: &App, detail: &IssueDetail, now: Timestamp) -> Result<Self, HttpError> {
        let (store, issue) = (&app.store, &detail.issue);
        let aliases = detail.aliases.iter().map(|it| alias_view(it, now)).collect();
        if let Some(into) = issue.state.merged_into() {
            let target = store.issue(into).await?;
            let merged = MergedView {
                href: format!("/issues/{into}"),
                title: target.title,
                alias: store.alias_in_force(&issue.service, &issue.levels.identity).await?,
            };
            return Ok(Self { merged: Some(merged), aliases, suggestion: None, choices: Vec::new() });
        }
        let suggestion = suggestion::suggestion(&*app.store, detail).await?;
        Ok(Self {
            merged: None,
            aliases,
            suggestion: suggestion.map(suggestion_view),
            choices: choices(app, issue).await?,
        })
    }
}

fn alias_view(alias: &Alias, now: Timestamp) -> AliasView {
    AliasView {
        id: alias.id.to_string(),
        fingerprint: alias.identity.to_string(),
        full: alias.identity.full(),
        own: alias.own.as_ref().map(|(id, title)| (format!("/issues/{id}"), title.clone())),
        count: grouped(alias.count),
        why: match alias.why {
            AliasWhy::Merged => format!("merged by {}", alias.made_by),
            AliasWhy::NewVersion => words(AliasWhy::NewVersion.name()) + " of the fingerprint",
        },
        made: When::new(alias.made_at, now),
        ended: alias.ended.as_ref().map(|(by, at)| (by.clone(), When::new(*at, now))),
    }
}

fn suggestion_view(suggestion: Suggestion) -> SuggestionView {
    let n_others = suggestion.others.len();
    let shown = |it: IssueTemplate| (format!("/issues/{}", it.id), it.title, grouped(it.count));
    SuggestionView {
        pattern: suggestion.pattern,
        n_others,
        others: suggestion.others.into_iter().take(MAX_SHOWN).map(shown).collect(),
        n_more: n_others.saturating_sub(MAX_SHOWN),
    }
}

async fn choices(app: &App, issue: &Issue) -> Result<Vec<(String, String)>, HttpError> {
    let filter = IssueFilter {
        service: Some(issue.service.clone()),
        with_counted: true,
        limit: MAX_CHOICES,
        ..IssueFilter::default()
    };
    let issues = app.store.issues(&filter).await?.into_iter();
    let others = issues.filter(|it| it.id != issue.id);
    Ok(others.map(|it| (it.levels.identity.to_string(), it.title)).collect())
}
