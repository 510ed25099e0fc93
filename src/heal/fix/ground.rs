//! Where attempts begin: the base commit, how the project is tested, and what its tests say before anything is changed.

use std::collections::BTreeMap;

use super::baseline::{Baseline, Baselines, Of, save, saved};
use super::check::{Checked, Checker, in_words};
use super::dependencies::{Installation, OnFailure, Prepared};
use super::parts::FixParts;
use super::project::{FILES_TO_READ, Listing, Project, detect, folders, is_python_test, missing_dependency};
use super::subject::Subject;
use crate::base::id::JobId;
use crate::base::shutdown::Shutdown;
use crate::model::service::Repository;
use crate::model::stage::{Setback, StageContext};
use crate::repo::{CommitId, Mirror, RepoError, TreeEntry};

/// Everything that holds for all attempts of a job.
#[derive(Debug)]
pub(super) struct Ground {
    pub(super) mirror: Mirror,
    pub(super) base: CommitId,
    /// What logged the error, where known and another commit.
    pub(super) running: Option<CommitId>,
    pub(super) project: Project,
    pub(super) image: String,
    pub(super) instance: String,
    /// The project's own tests on the base commit.
    pub(super) baseline: Baseline,
}

/// Why there is nothing to stand on.
#[derive(Debug)]
pub(super) enum Halt {
    /// No attempt can be made until a person has done something.
    Missing {
        base: Option<CommitId>,
        why: String,
        next: &'static str,
    },
    Setback(Setback),
}

impl From<Setback> for Halt {
    fn from(setback: Setback) -> Self {
        Self::Setback(setback)
    }
}

/// Largest of the files that say what a project is.
const MAX_TEXT_BYTES: u64 = 256 << 10;
/// Tests in Python that are read to know which runner they are for.
const MAX_TESTS_READ: usize = 20;

/// What a person does about dependencies that cannot be installed.
const INSTALL_NEXT: &str = "Correct what the package manager says, allow its registry in `[sandbox.dependencies]`, or build an image that has the dependencies, then retry.";

/// Prepares the ground. `base` is the commit that an earlier lease of this job began with.
pub(super) async fn prepare(
    parts: &FixParts,
    baselines: &Baselines,
    subject: &Subject,
    base: Option<&str>,
    context: &StageContext,
) -> Result<Ground, Halt> {
    let repository = subject.repository().map_err(|why| Halt::Missing {
        base: None,
        why,
        next: "Name the service's repository in a `[[service]]` entry with the route `fix`, then retry.",
    })?;
    let (mirror, base) = fetch(parts, repository, base, &context.stop).await?;
    context.progress.step("clone", &format!("{} at {}", repository.base_branch, base.short())).await;
    let running = match &subject.revision {
        Some(revision) => parts.repos.revision(&mirror, revision).await.ok(),
        None => None,
    };
    let entries = files(parts, &mirror, &base).await?;
    let paths = entries.iter().map(|entry| entry.path.clone()).collect();
    let folders = folders(&paths, &repository.folder, subject.issue.runtime, &subject.frames);
    let listing = Listing { texts: texts(&mirror, &entries, &folders).await?, paths };
    let (project, image) = project(parts, subject, &base, &listing, &folders).await?;
    let instance = parts.store.instance_id().await.map_err(Setback::from)?;
    let installation = Installation {
        checker: &checker(parts, &instance, context.job.id, &image, &project, &context.stop),
        mirror: &mirror,
        entries: &entries,
        project: &project,
        context,
    };
    let (image, lacking) = with_dependencies(installation, &base).await?;
    let checker = checker(parts, &instance, context.job.id, &image, &project, &context.stop);
    let of = Of {
        base: base.clone(),
        folder: project.folder.clone(),
        command: project.whole(),
        image: image.clone(),
    };
    let baseline = baseline(baselines, &of, &mirror, &checker, context).await?;
    if let Some(name) = missing_dependency(&baseline.run, |name| is_own(&entries, name)) {
        let lacks = format!("the tests need `{name}`, which is not in the image `{image}`");
        if let Some(why) = lacking {
            let why = format!("{lacks}, and the project's dependencies could not be installed: {why}");
            return Err(Halt::Missing { base: Some(base), why, next: INSTALL_NEXT });
        }
        return Err(Halt::Missing {
            base: Some(base),
            why: format!("{lacks}, and the sandbox has no network"),
            next: "Build an image with it and name it for this language in the config, or in `.homeostat.toml` as `[test] image`, then retry.",
        });
    }
    let running = running.filter(|running| *running != base);
    Ok(Ground { mirror, base, running, project, image, instance, baseline })
}

/// The files of the base commit. A repository that no sandbox has room for is told.
async fn files(parts: &FixParts, mirror: &Mirror, base: &CommitId) -> Result<Vec<TreeEntry>, Halt> {
    /// What is left to work in.
    const ROOM: u64 = 4 << 20;

    let too_large = |why| Halt::Missing {
        base: Some(base.clone()),
        why,
        next: "Give sandboxes more room (`[sandbox] workspace` in the config), or mute this issue, then retry.",
    };
    let entries = match mirror.files(base).await {
        Ok(entries) => entries,
        Err(error @ RepoError::TooLarge { .. }) => return Err(too_large(error.to_string())),
        Err(error) => return Err(Setback::from(error).into()),
    };
    let n_bytes: u64 = entries.iter().map(|entry| entry.n_bytes).sum();
    let room = parts.settings.sandbox.workspace_bytes;
    // Once as files, once as git's objects.
    if 2 * n_bytes + ROOM > room {
        let (size, room) = (n_bytes >> 20, room >> 20);
        return Err(too_large(format!(
            "the repository is {size} MiB, too many for a sandbox with {room} MiB"
        )));
    }
    Ok(entries)
}

/// The image with the project's dependencies, or its own image and why they are not in it.
async fn with_dependencies(
    installation: Installation<'_>,
    base: &CommitId,
) -> Result<(String, Option<String>), Halt> {
    let own = installation.checker.image.to_owned();
    match installation.prepare().await? {
        Prepared::Nothing => Ok((own, None)),
        Prepared::In { image } => Ok((image, None)),
        Prepared::Failed { why } => match installation.checker.parts.settings.dependencies.on_failure {
            OnFailure::Continue => Ok((own, Some(why))),
            OnFailure::Stop => Err(Halt::Missing {
                base: Some(base.clone()),
                why: format!("the project's dependencies could not be installed: {why}"),
                next: INSTALL_NEXT,
            }),
        },
    }
}

/// What all tests say on the base commit: as it is known, or run now.
async fn baseline(
    baselines: &Baselines,
    of: &Of,
    mirror: &Mirror,
    checker: &Checker<'_>,
    context: &StageContext,
) -> Result<Baseline, Setback> {
    if let Some(known) = saved(context, of) {
        return Ok(known);
    }
    let known = baselines.get(of);
    let from = if known.is_some() { ", as an earlier job saw" } else { "" };
    let baseline = match known {
        Some(known) => known,
        None => {
            let tree = mirror.archive(&of.base).await?;
            let Checked { run, results, .. } = checker.run(tree, &of.command).await?;
            let baseline = Baseline { run, results };
            baselines.put(of.clone(), &baseline);
            baseline
        }
    };
    let said = in_words(&baseline.run);
    context.progress.step("baseline", &format!("`{}` {said} on the base branch{from}", of.command)).await;
    save(context, of, &baseline).await?;
    Ok(baseline)
}

/// How the project is tested and in which image.
async fn project(
    parts: &FixParts,
    subject: &Subject,
    base: &CommitId,
    listing: &Listing,
    folders: &[String],
) -> Result<(Project, String), Halt> {
    let missing = |why, next| Err(Halt::Missing { base: Some(base.clone()), why, next });
    let project = match detect(listing, folders, subject.issue.runtime) {
        Ok(Some(project)) => project,
        Ok(None) => {
            return missing(
                "nothing in the repository says how its tests are run".to_owned(),
                "Put a `.homeostat.toml` with `[test] command = \"…\"` on the base branch, then retry.",
            );
        }
        Err(error) => return missing(error.to_string(), "Correct it on the base branch, then retry."),
    };
    let image = match &project.image {
        Some(image) if !parts.settings.may_use_image(image) => {
            return missing(
                format!("`.homeostat.toml` asks for the image `{image}`, which the config does not allow"),
                "Allow it in the config, or name another one on the base branch, then retry.",
            );
        }
        Some(image) => image.clone(),
        None => parts.settings.image(project.language).to_owned(),
    };
    if parts.engine.has_image(&image).await.map_err(super::room::setback)? {
        return Ok((project, image));
    }
    missing(
        format!("the sandbox image `{image}` is not on the container engine"),
        "Pull or build it there (`scripts/sandbox-image` builds those for other languages), then retry.",
    )
}

/// A checker for this job.
pub(super) fn checker<'a>(
    parts: &'a FixParts,
    instance: &'a str,
    job: JobId,
    image: &'a str,
    project: &'a Project,
    stop: &'a Shutdown,
) -> Checker<'a> {
    Checker { parts, instance, job, image, project, stop }
}

/// The mirror and the base commit.
async fn fetch(
    parts: &FixParts,
    repository: &Repository,
    base: Option<&str>,
    stop: &Shutdown,
) -> Result<(Mirror, CommitId), Halt> {
    let fetched = async {
        let mirror = parts.repos.mirror(&repository.url).await?;
        let commit = match base {
            Some(base) => parts.repos.revision(&mirror, base).await?,
            None => mirror.branch(&repository.base_branch).await?,
        };
        Ok::<_, RepoError>((mirror, commit))
    };
    let fetched = tokio::select! {
        fetched = fetched => fetched,
        () = stop.requested() => return Err(Setback::Released.into()),
    };
    fetched.map_err(|error| {
        if error.is_transient() {
            return Setback::from(error).into();
        }
        let next =
            "Correct the service's repository, its base branch or its credential in the config, then retry.";
        Halt::Missing { base: None, why: error.to_string(), next }
    })
}

/// The contents of the files that say what a project is, in the folders that may be its own.
async fn texts(
    mirror: &Mirror,
    entries: &[TreeEntry],
    folders: &[String],
) -> Result<BTreeMap<String, String>, Setback> {
    let mut texts = BTreeMap::new();
    let mut n_tests = 0..MAX_TESTS_READ;
    for entry in entries {
        let (folder, name) = entry.path.rsplit_once('/').unwrap_or(("", &entry.path));
        let is_manifest = FILES_TO_READ.contains(&name) && folders.iter().any(|it| it == folder);
        let is_wanted = is_manifest || (is_python_test(&entry.path) && n_tests.next().is_some());
        if is_wanted && entry.n_bytes <= MAX_TEXT_BYTES {
            let text = mirror.content(entry).await?;
            texts.insert(entry.path.clone(), String::from_utf8_lossy(&text).into_owned());
        }
    }
    Ok(texts)
}

/// Whether something that could not be imported is the project's own: then it is a bug and not missing.
fn is_own(entries: &[TreeEntry], name: &str) -> bool {
    let first = name.split(['.', '/', ':']).next().unwrap_or(name);
    entries
        .iter()
        .any(|entry| entry.path.split('/').any(|part| part == first || part.split('.').next() == Some(first)))
}
