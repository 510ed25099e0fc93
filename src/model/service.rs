//! What logged a record, the repository it is built from, and what may be done about its errors.

/// A watched service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Unique name; issues are keyed by it.
    pub name: String,
    /// Where its code lives; without one the furthest route is a ticket.
    pub repository: Option<Repository>,
    pub route: Route,
}

/// A repository that homeostat may clone and, through the forge, propose changes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// Clone address: `https://…`, or a path for a local bare repository.
    pub url: String,
    /// Branch that proposals go to.
    pub base_branch: String,
    /// Commit that the running service was built from, where an image label says so.
    pub revision: Option<String>,
    /// Folder inside the repository that the service is built from; empty for the root.
    pub folder: String,
}

/// How far homeostat may go for a service. Ordered: later is further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Route {
    /// Count only.
    Ignore,
    /// Open a ticket.
    Ticket,
    /// Open a ticket, fix, and propose; a person merges.
    Fix,
}

impl Route {
    pub const ALL: [Self; 3] = [Self::Ignore, Self::Ticket, Self::Fix];

    /// The name used in the config and in the store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ignore => "ignore",
            Self::Ticket => "ticket",
            Self::Fix => "fix",
        }
    }

    /// The route with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|route| route.name() == name)
    }
}
