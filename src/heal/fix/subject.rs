//! What the job is about: the issue, its best evidence, its service.

use super::judge::Suspect;
use super::parts::FixParts;
use crate::base::id::IssueId;
use crate::base::redact::Clean;
use crate::model::issue::Issue;
use crate::model::occurrence::Around;
use crate::model::service::{Repository, Service};
use crate::model::stage::Setback;
use crate::model::trace::Frame;

/// An issue with what is known of it.
#[derive(Debug)]
pub(super) struct Subject {
    pub(super) issue: Issue,
    pub(super) service: Service,
    /// The record that says the most.
    pub(super) record: Clean,
    pub(super) around: Around,
    /// Frames of its root cause, innermost first.
    pub(super) frames: Vec<Frame>,
    /// Revision of the code that logged it, where known.
    pub(super) revision: Option<String>,
    pub(super) suspect: Suspect,
}

impl Subject {
    pub(super) async fn load(parts: &FixParts, issue: IssueId) -> Result<Self, Setback> {
        let detail = parts.store.issue_detail(issue).await?;
        let service = parts.services.service(&detail.issue.service).await;
        // Only records of the issue's own fingerprint: what a person merged with it may be another bug after all.
        let own = detail.samples.iter().filter(|sample| sample.merged_from.is_none());
        let fingerprinter = parts.fingerprinter.for_service(&detail.issue.service);
        let read: Vec<_> = own.map(|sample| (sample, fingerprinter.fingerprint(&sample.text))).collect();
        // The newest with a trace; samples of one issue may differ in how much of it was logged.
        let best = read.iter().find(|(_, found)| found.trace.is_some()).or_else(|| read.first());
        let Some((sample, found)) = best else {
            return Err(Setback::Failed {
                reason: format!("issue {issue} has no sample of its own to reproduce"),
            });
        };
        let frames = found.trace.as_ref().and_then(|trace| trace.root()).map(|root| root.frames.clone());
        let by_image = service.repository.as_ref().and_then(|repository| repository.revision.clone());
        Ok(Self {
            record: sample.text.clone(),
            around: sample.around.clone(),
            frames: frames.unwrap_or_default(),
            revision: sample.revision.clone().or(by_image),
            suspect: Suspect::new(fingerprinter.clone(), found),
            issue: detail.issue,
            service,
        })
    }

    /// The repository to fix it in, or why there is none.
    pub(super) fn repository(&self) -> Result<&Repository, String> {
        self.service.fixable().ok_or_else(|| match &self.service.repository {
            None => format!("no repository is known for the service `{}`", self.service.name),
            Some(_) => {
                format!("the route of the service `{}` is `{}`", self.service.name, self.service.route.name())
            }
        })
    }
}
