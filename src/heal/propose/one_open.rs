//! One issue has one open proposal: looked for before anything is pushed, and again before one is opened.

use super::stage::{ProposeStage, Stop};
use crate::forge::Forge;
use crate::model::attempt::{Attempt, Outcome};
use crate::model::proposal::ProposalState;
use crate::model::service::Repository;
use crate::model::stage::Setback;
use crate::store::types::IssueDetail;

impl ProposeStage {
    /// What the store holds as open is asked for at its forge, where people close and merge; and so are
    /// the branches of earlier attempts, since a job may have died between the opening and the store.
    pub(super) async fn none_is_open(
        &self,
        detail: &IssueDetail,
        attempt: &Attempt,
        forge: &dyn Forge,
        repository: &Repository,
    ) -> Result<(), Stop> {
        let store = &self.parts.store;
        let issue = detail.issue.id;
        let known = store.proposals(issue).await?;
        for proposal in known.iter().filter(|it| it.state == ProposalState::Open && it.attempt != attempt.id)
        {
            let found = if proposal.forge == forge.name() && forge.name() != "local" {
                forge.find(repository, &proposal.branch).await.map_err(Setback::from)?
            } else {
                None
            };
            let state = found.map_or(proposal.state, |found| found.state);
            if state == ProposalState::Open {
                return Err(Stop::Open { url: proposal.url.clone() });
            }
            store.set_proposal_state(proposal.id, state, self.parts.clock.now()).await?;
        }
        let short = detail.issue.levels.identity.short();
        let earlier = store.attempts(issue).await?;
        let earlier = earlier.iter().filter(|it| {
            it.number < attempt.number
                && it.outcome == Some(Outcome::Fixed)
                && !known.iter().any(|proposal| proposal.attempt == it.id)
        });
        for other in earlier {
            let branch = format!("homeostat/{short}-{}", other.number);
            let found = forge.find(repository, &branch).await.map_err(Setback::from)?;
            if let Some(found) =
                found.filter(|found| found.state == ProposalState::Open && forge.name() != "local")
            {
                return Err(Stop::Open { url: found.url });
            }
        }
        Ok(())
    }
}
