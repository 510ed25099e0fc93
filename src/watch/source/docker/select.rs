//! Which containers are watched, pure.
//!
//! Everything, unless the config names what to include or exclude. homeostat's own sandboxes are never watched, and a container can
//! ask to be left alone by the label `homeostat.watch=false`.

use std::collections::BTreeMap;

use globset::GlobMatcher;

/// A container may ask not to be watched.
const WATCH_LABEL: &str = "homeostat.watch";

/// Labels of the containers that homeostat itself makes.
const OWN_LABELS: [&str; 2] = ["homeostat.job", "homeostat.instance"];

/// What a list of the config names; a container fits if any of them fits.
#[derive(Debug, Clone, Default)]
pub struct Patterns {
    /// Names of containers, without the leading `/`.
    pub names: Vec<GlobMatcher>,
    /// Images as given at creation, for example `ghcr.io/acme/*`.
    pub images: Vec<GlobMatcher>,
    /// Keys of labels, each with a pattern for its value.
    pub labels: Vec<(String, GlobMatcher)>,
}

impl Patterns {
    /// Whether nothing is named.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && self.images.is_empty() && self.labels.is_empty()
    }

    fn fits(&self, container: &Container<'_>) -> bool {
        self.names.iter().any(|glob| glob.is_match(container.name))
            || self.images.iter().any(|glob| glob.is_match(container.image))
            || self
                .labels
                .iter()
                .any(|(key, glob)| container.labels.get(key).is_some_and(|value| glob.is_match(value)))
    }
}

/// What a choice is made by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Container<'a> {
    pub(super) name: &'a str,
    pub(super) image: &'a str,
    pub(super) labels: &'a BTreeMap<String, String>,
}

/// Whether the container is to be watched. Exclusion wins.
pub(super) fn is_watched(include: &Patterns, exclude: &Patterns, container: &Container<'_>) -> bool {
    let is_own = OWN_LABELS.iter().any(|label| container.labels.contains_key(*label));
    let opts_out = container.labels.get(WATCH_LABEL).is_some_and(|value| value == "false");
    !is_own && !opts_out && !exclude.fits(container) && (include.is_empty() || include.fits(container))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn globs(patterns: &[&str]) -> Vec<GlobMatcher> {
        patterns.iter().map(|it| globset::Glob::new(it).unwrap().compile_matcher()).collect()
    }

    /// Name, image, labels, and whether it is watched.
    type Case<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], bool);

    fn check(include: &Patterns, exclude: &Patterns, cases: &[Case<'_>]) {
        for (name, image, labels, expected) in cases {
            let labels: BTreeMap<String, String> =
                labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
            let container = Container { name, image, labels: &labels };
            assert_eq!(is_watched(include, exclude, &container), *expected, "{name} {image} {labels:?}");
        }
    }

    #[test]
    fn everything_but_sandboxes_and_those_that_opt_out() {
        let none = Patterns::default();
        check(
            &none,
            &none,
            &[
                ("web", "acme/web:1", &[], true),
                ("web", "acme/web:1", &[("homeostat.watch", "true")], true),
                ("web", "acme/web:1", &[("homeostat.watch", "false")], false),
                ("fix-1", "homeostat/sandbox:1", &[("homeostat.job", "x")], false),
                ("fix-1", "homeostat/sandbox:1", &[("homeostat.instance", "x")], false),
            ],
        );
    }

    #[test]
    fn by_name_image_and_label_and_exclusion_wins() {
        let include = Patterns {
            names: globs(&["web-*"]),
            images: globs(&["ghcr.io/acme/*"]),
            labels: vec![("team".to_owned(), globs(&["pay*"]).remove(0))],
        };
        let exclude = Patterns { names: globs(&["*-debug"]), ..Patterns::default() };
        check(
            &include,
            &exclude,
            &[
                ("web-1", "x", &[], true),
                ("job", "ghcr.io/acme/job:3", &[], true),
                ("job", "x", &[("team", "payments")], true),
                ("job", "x", &[("team", "search")], false),
                ("db", "postgres:16", &[], false),
                ("web-debug", "ghcr.io/acme/web", &[], false),
                ("web-1", "x", &[("homeostat.job", "1")], false),
            ],
        );
    }
}
