//! What the scripted GitHub knows.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use homeostat::base::clock::{Clock, SystemClock, Timestamp};

use super::gate::{Fault, Seen};

/// Everything, behind one lock.
#[derive(Debug)]
pub(crate) struct State {
    /// The server's own address.
    pub(crate) url: String,
    /// Folder that git is served from.
    pub(crate) root: PathBuf,
    pub(crate) tokens: BTreeMap<String, Token>,
    /// The app that may ask for tokens of its installation 77: its id, and its public key as a PEM file.
    pub(crate) app: Option<(u64, PathBuf)>,
    pub(crate) repositories: BTreeMap<String, Hosted>,
    pub(crate) faults: BTreeMap<usize, Fault>,
    pub(crate) seen: Vec<Seen>,
    /// Requests left until the primary rate limit.
    pub(crate) n_left: u64,
    next_id: u64,
}

/// What a token may do.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    pub(crate) login: String,
    /// Push, label, open pull requests. Without it, a token may read, and open issues and comments as anybody may.
    pub(crate) may_write: bool,
    /// Repositories it can see.
    pub(crate) sees: Vec<String>,
}

/// A repository with its issues and pull requests, which share their numbers.
#[derive(Debug)]
pub(crate) struct Hosted {
    pub(crate) bare: PathBuf,
    pub(crate) has_issues: bool,
    pub(crate) allows_drafts: bool,
    pub(crate) issues: Vec<Issue>,
    pub(crate) pulls: Vec<Pull>,
}

#[derive(Debug, Clone)]
pub(crate) struct Issue {
    pub(crate) id: u64,
    pub(crate) number: u64,
    pub(crate) title: String,
    pub(crate) body: Option<String>,
    pub(crate) labels: Vec<String>,
    pub(crate) is_open: bool,
    pub(crate) author: String,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    pub(crate) comments: Vec<Comment>,
}

#[derive(Debug, Clone)]
pub(crate) struct Comment {
    pub(crate) id: u64,
    pub(crate) body: String,
    pub(crate) author: String,
    pub(crate) at: Timestamp,
}

#[derive(Debug, Clone)]
pub(crate) struct Pull {
    pub(crate) id: u64,
    pub(crate) number: u64,
    pub(crate) title: String,
    pub(crate) body: Option<String>,
    pub(crate) head: String,
    pub(crate) base: String,
    pub(crate) head_sha: String,
    pub(crate) base_sha: String,
    pub(crate) is_draft: bool,
    pub(crate) is_open: bool,
    pub(crate) author: String,
    pub(crate) at: Timestamp,
}

impl State {
    pub(super) fn new(url: &str, root: &Path, name: &str, bare: &Path) -> Self {
        let token = Token { login: "homeostat-bot".to_owned(), may_write: true, sees: vec![name.to_owned()] };
        let hosted = Hosted {
            bare: bare.to_owned(),
            has_issues: true,
            allows_drafts: true,
            issues: Vec::new(),
            pulls: Vec::new(),
        };
        Self {
            url: url.to_owned(),
            root: root.to_owned(),
            tokens: BTreeMap::from([(super::TOKEN.to_owned(), token)]),
            app: None,
            repositories: BTreeMap::from([(name.to_owned(), hosted)]),
            faults: BTreeMap::new(),
            seen: Vec::new(),
            n_left: 5_000,
            next_id: 1_000_000,
        }
    }

    /// An id that nothing else has.
    pub(super) fn fresh_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// The only repository of most tests.
    pub(crate) fn only(&mut self) -> &mut Hosted {
        self.repositories.values_mut().next().expect("the server was started with one")
    }

    /// Opens an issue as a stranger would.
    pub(crate) fn plant_issue(&mut self, name: &str, title: &str, body: &str, labels: &[&str]) -> u64 {
        let id = self.fresh_id();
        let now = SystemClock.now();
        let hosted = self.repositories.get_mut(name).expect("the repository is hosted");
        let number = hosted.next_number();
        hosted.issues.push(Issue {
            id,
            number,
            title: title.to_owned(),
            body: Some(body.to_owned()),
            labels: labels.iter().map(|it| (*it).to_owned()).collect(),
            is_open: true,
            author: "stranger".to_owned(),
            created_at: now,
            updated_at: now,
            comments: Vec::new(),
        });
        number
    }
}

impl Hosted {
    /// Issues and pull requests count together.
    pub(super) fn next_number(&self) -> u64 {
        u64::try_from(self.issues.len() + self.pulls.len() + 1).expect("few")
    }
}
