//! homeostat's own log is not watched by accident: what it says of errors would be errors, for ever.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::sync::LazyLock;

/// Whether a writer of this name is homeostat itself: its service, its unit, its tag.
pub(super) fn is_own(name: &str) -> bool {
    matches!(name, "homeostat" | "homeostat.service")
}

/// Whether this process runs in the container with this id.
pub(super) fn is_own_container(id: &str) -> bool {
    static OWN: LazyLock<Option<String>> =
        LazyLock::new(|| container_of(&std::fs::read_to_string("/proc/self/mountinfo").ok()?));
    OWN.as_deref() == Some(id)
}

/// Whether this process writes its own log into the file.
pub(super) fn is_own_output(file: &Metadata) -> bool {
    static OWN: LazyLock<Vec<(u64, u64)>> = LazyLock::new(|| {
        let outputs = [rustix::fs::fstat(std::io::stdout()), rustix::fs::fstat(std::io::stderr())];
        outputs.into_iter().flatten().map(|it| (it.st_dev, it.st_ino)).collect()
    });
    file.is_file() && OWN.contains(&(file.dev(), file.ino()))
}

/// The container of a process, by what is mounted in it: engines bind the container's own `/etc/hostname` and `/etc/resolv.conf` from a
/// folder named by its id (`/containers/ID/` at Docker, `/overlay-containers/ID/` at Podman). Format: proc_pid_mountinfo(5).
fn container_of(mounts: &str) -> Option<String> {
    let files = ["/etc/hostname", "/etc/resolv.conf"];
    mounts.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(' ').collect();
        let (root, mounted_at) = (fields.get(3)?, fields.get(4)?);
        let is_id = |it: &&str| it.len() == 64 && it.bytes().all(|byte| byte.is_ascii_hexdigit());
        let id = files.contains(mounted_at).then(|| root.split('/').find(is_id)).flatten();
        id.map(str::to_owned)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_knows_its_container() {
        let id = "0123456789abcdef".repeat(4);
        let line =
            |root: &str, at: &str| format!("711 690 254:1 {root} {at} rw,relatime - ext4 /dev/vda1 rw\n");
        let docker = format!("/var/lib/docker/containers/{id}/hostname");
        let podman = format!("/overlay-containers/{id}/userdata/resolv.conf");
        for (mounts, expected) in [
            (line("/", "/") + &line(&docker, "/etc/hostname"), Some(&id)),
            (line(&podman, "/etc/resolv.conf"), Some(&id)),
            // A host whose engine's folders are mounted somewhere, and one without any.
            (line(&docker, "/mnt/hostname"), None),
            (line("/etc/hostname", "/etc/hostname"), None),
            ("odd\n\n".to_owned(), None),
        ] {
            assert_eq!(container_of(&mounts).as_ref(), expected, "{mounts}");
        }
    }

    #[test]
    fn a_process_knows_where_it_writes() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(!is_own_output(&file.as_file().metadata().unwrap()));
        let output = std::fs::metadata("/proc/self/fd/2").unwrap();
        assert_eq!(is_own_output(&output), output.is_file());
    }
}
