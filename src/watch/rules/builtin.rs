//! Where rules come from: the files in the binary, or a folder.

use std::fs;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use super::parse::parse;
use super::rule::{Rule, RuleProblem};
use super::set::RuleSet;

/// The shipped files, most telling first (programs, runtimes, levels, words): among rules of one severity the earlier
/// wins.
const BUILTIN: &[(&str, &str)] = &[
    ("builtin:postgres.toml", include_str!("../../../rules/postgres.toml")),
    ("builtin:mysql.toml", include_str!("../../../rules/mysql.toml")),
    ("builtin:sql.toml", include_str!("../../../rules/sql.toml")),
    ("builtin:mongo.toml", include_str!("../../../rules/mongo.toml")),
    ("builtin:redis.toml", include_str!("../../../rules/redis.toml")),
    ("builtin:stores.toml", include_str!("../../../rules/stores.toml")),
    ("builtin:nginx.toml", include_str!("../../../rules/nginx.toml")),
    ("builtin:apache.toml", include_str!("../../../rules/apache.toml")),
    ("builtin:gateways.toml", include_str!("../../../rules/gateways.toml")),
    ("builtin:appservers.toml", include_str!("../../../rules/appservers.toml")),
    ("builtin:queues.toml", include_str!("../../../rules/queues.toml")),
    ("builtin:kubernetes.toml", include_str!("../../../rules/kubernetes.toml")),
    ("builtin:clusters.toml", include_str!("../../../rules/clusters.toml")),
    ("builtin:clouds.toml", include_str!("../../../rules/clouds.toml")),
    ("builtin:tls.toml", include_str!("../../../rules/tls.toml")),
    ("builtin:hardware.toml", include_str!("../../../rules/hardware.toml")),
    ("builtin:systemd.toml", include_str!("../../../rules/systemd.toml")),
    ("builtin:startup.toml", include_str!("../../../rules/startup.toml")),
    ("builtin:python.toml", include_str!("../../../rules/python.toml")),
    ("builtin:jvm.toml", include_str!("../../../rules/jvm.toml")),
    ("builtin:node.toml", include_str!("../../../rules/node.toml")),
    ("builtin:go.toml", include_str!("../../../rules/go.toml")),
    ("builtin:rust.toml", include_str!("../../../rules/rust.toml")),
    ("builtin:native.toml", include_str!("../../../rules/native.toml")),
    ("builtin:runtimes.toml", include_str!("../../../rules/runtimes.toml")),
    ("builtin:stacks.toml", include_str!("../../../rules/stacks.toml")),
    ("builtin:kernel.toml", include_str!("../../../rules/kernel.toml")),
    ("builtin:database.toml", include_str!("../../../rules/database.toml")),
    ("builtin:web.toml", include_str!("../../../rules/web.toml")),
    ("builtin:levels.toml", include_str!("../../../rules/levels.toml")),
    ("builtin:generic.toml", include_str!("../../../rules/generic.toml")),
    ("builtin:http.toml", include_str!("../../../rules/http.toml")),
];

impl RuleSet {
    /// The shipped rules.
    pub fn builtin() -> Arc<Self> {
        static BUILT: LazyLock<Arc<RuleSet>> = LazyLock::new(|| {
            Arc::new(RuleSet::from_texts(BUILTIN.iter().copied()).expect("the shipped rules are tested"))
        });
        Arc::clone(&BUILT)
    }

    /// All `*.toml` of a folder, in the order of their names; all problems at once.
    pub fn load_dir(folder: &Path) -> Result<Self, Vec<RuleProblem>> {
        let unreadable = |path: &Path, error: &std::io::Error| RuleProblem {
            file: path.display().to_string(),
            line: 0,
            key: "rules".into(),
            message: format!("cannot be read: {error}"),
            hint: "check the path and its permissions".into(),
        };
        let entries = fs::read_dir(folder).map_err(|error| vec![unreadable(folder, &error)])?;
        let mut paths: Vec<_> = entries.filter_map(|entry| entry.ok().map(|it| it.path())).collect();
        paths.retain(|path| path.extension().is_some_and(|it| it == "toml"));
        paths.sort();
        let (mut texts, mut problems) = (Vec::new(), Vec::new());
        for path in &paths {
            match fs::read_to_string(path) {
                Ok(text) => texts.push((path.display().to_string(), text)),
                Err(error) => problems.push(unreadable(path, &error)),
            }
        }
        if paths.is_empty() {
            let error = std::io::Error::other("no file ends in .toml");
            problems.push(unreadable(folder, &error));
        }
        match Self::from_texts(texts.iter().map(|(file, text)| (file.as_str(), text.as_str()))) {
            Ok(set) if problems.is_empty() => Ok(set),
            Ok(_) => Err(problems),
            Err(more) => Err([problems, more].concat()),
        }
    }

    /// Rules from the texts of files, each with its name.
    pub fn from_texts<'t>(
        texts: impl IntoIterator<Item = (&'t str, &'t str)>,
    ) -> Result<Self, Vec<RuleProblem>> {
        let (mut rules, mut problems) = (Vec::<Rule>::new(), Vec::new());
        for (file, text) in texts {
            let (mut found, mut wrong) = parse(file, text);
            rules.append(&mut found);
            problems.append(&mut wrong);
        }
        let uncompiled = match Self::compile(rules) {
            Ok(set) if problems.is_empty() => return Ok(set),
            Ok(_) => Vec::new(),
            Err(more) => more,
        };
        problems.extend(uncompiled);
        problems.sort_by(|left, right| (&left.file, left.line).cmp(&(&right.file, right.line)));
        Err(problems)
    }
}
