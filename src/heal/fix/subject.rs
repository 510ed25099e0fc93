//! What the job is about: the issue, its best evidence, its service.

use super::judge::Suspect;
use super::parts::FixParts;
use crate::base::id::IssueId;
use crate::base::redact::Clean;
use crate::model::issue::Issue;
use crate::model::occurrence::{Around, Sample};
use crate::model::service::{Repository, Service};
use crate::model::stage::Setback;
use crate::model::trace::Frame;
use crate::watch::fingerprint::{Fingerprinted, Fingerprinter};

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
        let fingerprinter = parts.fingerprinter.for_service(&detail.issue.service);
        let Some((sample, found)) = best(&detail.samples, &fingerprinter) else {
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
            suspect: Suspect::new(fingerprinter.clone(), &found),
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

/// The record to begin with, of those that are kept, newest first: the newest with a trace, since they may differ in how much of it was
/// logged. Only of the issue's own fingerprint: what a person merged with it may be another bug after all.
fn best<'s>(samples: &'s [Sample], fingerprinter: &Fingerprinter) -> Option<(&'s Sample, Fingerprinted)> {
    let own = samples.iter().filter(|sample| sample.merged_from.is_none());
    let read = own.map(|sample| (sample, fingerprinter.fingerprint(&sample.text)));
    let mut read: Vec<_> = read.collect();
    let place = read.iter().position(|(_, found)| found.trace.is_some()).unwrap_or(0);
    (place < read.len()).then(|| read.swap_remove(place))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::Timestamp;
    use crate::model::fingerprint::Fingerprint;

    #[test]
    fn a_fix_begins_with_a_record_of_the_issues_own_fingerprint() {
        let trace =
            "Traceback (most recent call last):\n  File \"shop.py\", line 2, in average\nValueError: x";
        let merged = Some(Fingerprint::from_bytes([7; 32]));
        let sample = |text: &str, merged_from| Sample {
            at: Timestamp::UNIX_EPOCH,
            text: Clean::trusted(text),
            origin: "shop-1".to_owned(),
            revision: None,
            around: Around::default(),
            merged_from,
        };
        let cases = [
            (vec![sample(trace, merged), sample("no trace", None), sample(trace, None)], Some(2)),
            (vec![sample(trace, merged), sample("no trace", None)], Some(1)),
            (vec![sample(trace, merged)], None),
            (vec![], None),
        ];
        for (samples, expected) in cases {
            let found = best(&samples, &Fingerprinter::builtin()).map(|(sample, _)| sample);
            assert_eq!(found, expected.map(|place: usize| &samples[place]));
        }
    }
}
