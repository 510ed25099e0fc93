//! Proposals as GitHub pull requests, branches pushed over HTTPS.
//! <https://docs.github.com/en/rest/pulls/pulls>

use serde::{Deserialize, Serialize};

use super::contract::{Forge, ForgeError, Merge, Merged, NewProposal, ProposalRef, Push, Pushed, Settings};
use super::git::Git;
use super::push::push_branch;
use crate::github::{Client, RepositoryName};
use crate::model::proposal::ProposalState;
use crate::model::service::Repository;

/// Pull requests on one GitHub.
#[derive(Debug)]
pub struct GitHubForge {
    client: Client,
    settings: Settings,
}

impl GitHubForge {
    /// A forge over this client.
    pub const fn new(client: Client, settings: Settings) -> Self {
        Self { client, settings }
    }

    fn name_of(&self, repository: &Repository) -> Result<RepositoryName, ForgeError> {
        let foreign = || ForgeError::ForeignRepository { forge: "github", url: repository.url.clone() };
        self.client.repository(&repository.url).ok_or_else(foreign)
    }

    async fn create(&self, name: &RepositoryName, body: &ApiNewPull<'_>) -> Result<ApiPull, ForgeError> {
        Ok(self.client.post(name, "/pulls", body, "open a pull request").await?)
    }
}

#[async_trait::async_trait]
impl Forge for GitHubForge {
    fn name(&self) -> &'static str {
        "github"
    }

    fn accepts(&self, repository: &Repository) -> bool {
        self.client.repository(&repository.url).is_some()
    }

    async fn push(&self, push: Push<'_>) -> Result<Pushed, ForgeError> {
        let name = self.name_of(push.repository)?;
        let credential = self.client.git_credential(&name).await?;
        let git = Git { timeout: self.settings.git_timeout, credential: Some(&credential), identity: None };
        push_branch(git, &self.client.push_url(&name), push).await
    }

    async fn find(&self, repository: &Repository, branch: &str) -> Result<Option<ProposalRef>, ForgeError> {
        let name = self.name_of(repository)?;
        let path = format!("/pulls?state=all&per_page=100&head={}:{branch}", name.owner);
        let pulls: Vec<ApiPull> = self.client.list(&name, &path, "list pull requests", |_| false).await?;
        // The filter is GitHub's; the comparison is ours, since an ignored filter lists everything.
        let mut ours: Vec<ApiPull> = pulls.into_iter().filter(|pull| pull.head.name == branch).collect();
        ours.sort_by_key(|pull| (pull.state != "open", pull.number));
        Ok(ours.into_iter().next().map(ApiPull::into_reference))
    }

    async fn open(&self, proposal: &NewProposal<'_>) -> Result<ProposalRef, ForgeError> {
        let name = self.name_of(proposal.repository)?;
        let body = ApiNewPull {
            title: proposal.title,
            head: proposal.branch,
            base: &proposal.repository.base_branch,
            body: proposal.body,
            draft: self.settings.is_draft,
            maintainer_can_modify: true,
        };
        let opened = match self.create(&name, &body).await {
            // Plans without drafts refuse them; a proposal that is no draft is better than none.
            Err(ForgeError::GitHub(error)) if body.draft && error.says("draft") => {
                self.create(&name, &ApiNewPull { draft: false, ..body }).await
            }
            opened => opened,
        };
        Ok(opened?.into_reference())
    }

    async fn merge(&self, merge: Merge<'_>) -> Result<Merged, ForgeError> {
        Err(ForgeError::MergesElsewhere { forge: "github", url: merge.proposal.url.clone() })
    }
}

/// What is read of a pull request, listed or created.
#[derive(Debug, Deserialize)]
struct ApiPull {
    number: u64,
    html_url: String,
    state: String,
    merged_at: Option<String>,
    #[serde(default)]
    draft: bool,
    head: ApiHead,
}

#[derive(Debug, Deserialize)]
struct ApiHead {
    #[serde(rename = "ref")]
    name: String,
}

impl ApiPull {
    fn into_reference(self) -> ProposalRef {
        let state = match (self.state.as_str(), self.merged_at) {
            (_, Some(_)) => ProposalState::Merged,
            ("closed", None) => ProposalState::Closed,
            (_, None) => ProposalState::Open,
        };
        ProposalRef { key: self.number.to_string(), url: self.html_url, is_draft: self.draft, state }
    }
}

#[derive(Debug, Clone, Copy, Serialize)]
struct ApiNewPull<'a> {
    title: &'a str,
    head: &'a str,
    base: &'a str,
    body: &'a str,
    draft: bool,
    maintainer_can_modify: bool,
}
