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

/// Finds what is known of a service by its name: from the config's `[[service]]` entries, else from the image labels
/// of the container it was last seen in. Implemented where the config is, asked by the stages of healing.
#[async_trait::async_trait]
pub trait Services: Send + Sync + std::fmt::Debug {
    /// The service; one without a repository and with the route [`Route::Ticket`] where nothing is known of it.
    async fn service(&self, name: &str) -> Service;
}

/// Services that never change: the config's entries, and what tests make.
#[derive(Debug, Clone, Default)]
pub struct FixedServices(pub Vec<Service>);

#[async_trait::async_trait]
impl Services for FixedServices {
    async fn service(&self, name: &str) -> Service {
        let known = self.0.iter().find(|service| service.name == name).cloned();
        known.unwrap_or_else(|| Service::unknown(name))
    }
}

impl Service {
    /// What is held of a service nobody has configured.
    pub fn unknown(name: &str) -> Self {
        Self { name: name.to_owned(), repository: None, route: Route::Ticket }
    }

    /// The repository to fix it in, where the route goes that far.
    pub fn fixable(&self) -> Option<&Repository> {
        match self.route {
            Route::Fix => self.repository.as_ref(),
            Route::Ignore | Route::Ticket => None,
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_a_known_service_with_a_repository_is_fixed() {
        let repository = Repository {
            url: "/srv/git/shop.git".to_owned(),
            base_branch: "main".to_owned(),
            revision: None,
            folder: String::new(),
        };
        let shop = Service { name: "shop".to_owned(), repository: Some(repository), route: Route::Fix };
        let services = FixedServices(vec![shop.clone()]);
        assert_eq!(services.service("shop").await, shop);
        assert!(shop.fixable().is_some());
        assert!(Service { route: Route::Ticket, ..shop }.fixable().is_none());
        assert_eq!(services.service("other").await, Service::unknown("other"));
    }
}
