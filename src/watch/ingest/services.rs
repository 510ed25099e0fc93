//! Which service a stream belongs to, and what is known of the service.
//!
//! First the config's entries, then the container's own labels, then its name. Whoever can label a container would
//! choose what the agent works on, so a label names a repository only where the config allows that repository, and a
//! route only together with it.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use globset::GlobMatcher;

use crate::model::service::{Repository, Route, Service, Services};
use crate::watch::source::lane::{Origin, Thing};

const SERVICE_LABELS: [&str; 2] = ["homeostat.service", "com.docker.compose.service"];
const REPOSITORY_LABELS: [&str; 2] = ["homeostat.repository", "org.opencontainers.image.source"];
const REVISION_LABEL: &str = "org.opencontainers.image.revision";
const BRANCH_LABEL: &str = "homeostat.base_branch";
const ROUTE_LABEL: &str = "homeostat.route";

/// Services kept that only labels name; far more than one machine runs.
const MAX_SEEN: usize = 10_000;

/// What the config says about services.
#[derive(Debug, Clone)]
pub struct Settings {
    /// First match wins.
    pub entries: Vec<Entry>,
    /// Route of a service without one of its own.
    pub default_route: Route,
    /// Repositories that labels may name.
    pub label_repositories: Vec<GlobMatcher>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { entries: Vec::new(), default_route: Route::Ticket, label_repositories: Vec::new() }
    }
}

/// One `[[service]]`. Without any pattern it takes what is called like it.
#[derive(Debug, Clone)]
pub struct Entry {
    pub name: String,
    pub containers: Vec<GlobMatcher>,
    pub images: Vec<GlobMatcher>,
    pub files: Vec<GlobMatcher>,
    pub repository: Option<Repository>,
    pub route: Option<Route>,
}

impl Entry {
    fn takes_container(&self, name: &str, image: &str, called: Option<&str>) -> bool {
        let has_pattern = !(self.containers.is_empty() && self.images.is_empty() && self.files.is_empty());
        if !has_pattern || called == Some(&self.name) {
            return name == self.name || called == Some(&self.name);
        }
        self.containers.iter().any(|glob| glob.is_match(name))
            || self.images.iter().any(|glob| glob.is_match(image))
    }

    fn takes_file(&self, path: &Path) -> bool {
        self.files.iter().any(|glob| glob.is_match(path))
    }
}

/// Maps streams to services, and remembers services that only labels name for those who ask by name.
#[derive(Debug)]
pub struct ServiceMap {
    settings: Settings,
    seen: Mutex<HashMap<String, Service>>,
}

impl ServiceMap {
    /// A map of what the config says.
    pub fn new(settings: Settings) -> Self {
        Self { settings, seen: Mutex::default() }
    }

    /// The service that writes a stream.
    pub fn of(&self, origin: &Origin) -> Service {
        let service = match &origin.thing {
            Thing::Container { name, image, labels } => self.of_container(name, image, labels),
            Thing::File { path } => self.of_file(path),
            Thing::Named { name } => self.called(name),
            // Its writers have services; its own gaps belong to none of them.
            Thing::Mixed => return Service::unknown(&origin.label),
        };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() < MAX_SEEN || seen.contains_key(&service.name) {
            seen.insert(service.name.clone(), service.clone());
        }
        service
    }

    /// The service that an alert's label means: by its name, else by the name of one of its containers.
    pub fn called(&self, name: &str) -> Service {
        let is_known = self.settings.entries.iter().any(|entry| entry.name == name);
        let of_container =
            || self.settings.entries.iter().find(|entry| entry.takes_container(name, "", None));
        match (is_known, of_container()) {
            (false, Some(entry)) => self.of_entry(entry),
            (true, _) | (false, None) => self.named(name),
        }
    }

    /// The service of this name, as far as config or labels tell.
    pub fn named(&self, name: &str) -> Service {
        if let Some(service) = self.seen.lock().unwrap_or_else(PoisonError::into_inner).get(name) {
            return service.clone();
        }
        match self.settings.entries.iter().find(|entry| entry.name == name) {
            Some(entry) => self.of_entry(entry),
            None => Service { route: self.settings.default_route, ..Service::unknown(name) },
        }
    }

    fn of_container(&self, name: &str, image: &str, labels: &BTreeMap<String, String>) -> Service {
        let label = |keys: &[&str]| keys.iter().find_map(|key| labels.get(*key)).filter(|it| !it.is_empty());
        let called = label(&SERVICE_LABELS).map(String::as_str);
        let entry = self.settings.entries.iter().find(|entry| entry.takes_container(name, image, called));
        let mut service = match entry {
            Some(entry) => self.of_entry(entry),
            None => {
                Service { route: self.settings.default_route, ..Service::unknown(called.unwrap_or(name)) }
            }
        };
        if service.repository.is_none()
            && let Some(url) = label(&REPOSITORY_LABELS)
            && self.settings.label_repositories.iter().any(|glob| glob.is_match(url))
        {
            let base_branch = label(&[BRANCH_LABEL]).cloned().unwrap_or_else(|| "main".to_owned());
            service.repository =
                Some(Repository { url: url.clone(), base_branch, revision: None, folder: String::new() });
            if entry.is_none_or(|entry| entry.route.is_none())
                && let Some(route) = label(&[ROUTE_LABEL]).and_then(|it| Route::from_name(it))
            {
                service.route = route;
            }
        }
        if let Some(repository) = &mut service.repository {
            let revision = label(&[REVISION_LABEL]).filter(|it| is_commit(it));
            repository.revision = revision.cloned().or(repository.revision.take());
        }
        service
    }

    fn of_file(&self, path: &Path) -> Service {
        match self.settings.entries.iter().find(|entry| entry.takes_file(path)) {
            Some(entry) => self.of_entry(entry),
            None => {
                let name = path.display().to_string();
                Service { route: self.settings.default_route, ..Service::unknown(&name) }
            }
        }
    }

    fn of_entry(&self, entry: &Entry) -> Service {
        Service {
            name: entry.name.clone(),
            repository: entry.repository.clone(),
            route: entry.route.unwrap_or(self.settings.default_route),
        }
    }
}

#[async_trait::async_trait]
impl Services for ServiceMap {
    async fn service(&self, name: &str) -> Service {
        self.named(name)
    }
}

/// Whether a label's text is a commit id and nothing that git could take for an option or a range.
fn is_commit(text: &str) -> bool {
    (7..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::cursor::StreamKey;

    fn globs(patterns: &[&str]) -> Vec<GlobMatcher> {
        patterns.iter().map(|it| globset::Glob::new(it).unwrap().compile_matcher()).collect()
    }

    fn repository(url: &str, revision: Option<&str>) -> Repository {
        Repository {
            url: url.to_owned(),
            base_branch: "main".to_owned(),
            revision: revision.map(str::to_owned),
            folder: String::new(),
        }
    }

    fn map() -> ServiceMap {
        let entry = |name: &str, containers: &[&str], route| Entry {
            name: name.to_owned(),
            containers: globs(containers),
            images: Vec::new(),
            files: if name == "nginx" { globs(&["/var/log/nginx/*.log"]) } else { Vec::new() },
            repository: (name == "shop").then(|| repository("/srv/shop.git", None)),
            route,
        };
        ServiceMap::new(Settings {
            entries: vec![
                entry("shop", &["shop-*"], Some(Route::Fix)),
                entry("nginx", &[], None),
                entry("plain", &[], Some(Route::Ignore)),
            ],
            default_route: Route::Ticket,
            label_repositories: globs(&["https://github.com/acme/*"]),
        })
    }

    fn check(thing: Thing, expected: &Service) {
        let origin = Origin { stream: StreamKey("s".to_owned()), label: "l".to_owned(), thing };
        let map = map();
        assert_eq!(&map.of(&origin), expected);
        assert_eq!(&map.named(&expected.name), expected, "asked by name");
    }

    fn container(name: &str, labels: &[(&str, &str)]) -> Thing {
        let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Thing::Container { name: name.to_owned(), image: "i:1".to_owned(), labels }
    }

    fn service(name: &str, repository: Option<Repository>, route: Route) -> Service {
        Service { name: name.to_owned(), repository, route }
    }

    #[test]
    fn config_first_then_labels_then_the_name() {
        let revision = ("org.opencontainers.image.revision", "0123456789abcdef");
        check(container("web", &[]), &service("web", None, Route::Ticket));
        check(container("web", &[("homeostat.service", "api")]), &service("api", None, Route::Ticket));
        check(container("plain", &[]), &service("plain", None, Route::Ignore));
        check(
            container("shop-1", &[revision]),
            &service("shop", Some(repository("/srv/shop.git", Some(revision.1))), Route::Fix),
        );
        check(
            container("x", &[("com.docker.compose.service", "shop")]),
            &service("shop", Some(repository("/srv/shop.git", None)), Route::Fix),
        );
        check(
            Thing::File { path: "/var/log/nginx/error.log".into() },
            &service("nginx", None, Route::Ticket),
        );
        check(Thing::File { path: "/var/log/x.log".into() }, &service("/var/log/x.log", None, Route::Ticket));
    }

    #[test]
    fn an_alert_means_a_service_or_a_container_of_it() {
        let shop = service("shop", Some(repository("/srv/shop.git", None)), Route::Fix);
        for (called, expected) in [
            ("shop", &shop),
            ("shop-1", &shop),
            ("plain", &service("plain", None, Route::Ignore)),
            ("web", &service("web", None, Route::Ticket)),
        ] {
            assert_eq!(&map().called(called), expected, "{called}");
        }
    }

    #[test]
    fn a_label_names_only_an_allowed_repository() {
        let labels = |url| [("org.opencontainers.image.source", url), ("homeostat.route", "fix")];
        let url = "https://github.com/acme/web";
        check(container("web", &labels(url)), &service("web", Some(repository(url, None)), Route::Fix));
        check(container("web", &labels("https://github.com/evil/web")), &service("web", None, Route::Ticket));
        let odd = [("org.opencontainers.image.revision", "--upload-pack=x")];
        check(
            container("shop-1", &odd),
            &service("shop", Some(repository("/srv/shop.git", None)), Route::Fix),
        );
    }
}
