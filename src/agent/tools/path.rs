//! Paths that the model gives: inside the repository, or refused. Links are looked at inside the container, by the scripts.

/// `given` as a clean path relative to `root` (absolute, no trailing `/`); the root itself is empty.
pub(super) fn relative(root: &str, given: &str) -> Result<String, String> {
    if given.contains('\0') {
        return Err("a path cannot contain a NUL character".to_owned());
    }
    let outside = || format!("`{given}` is outside the repository; give a path relative to its root");
    let inner = match given.strip_prefix(root) {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => rest.trim_start_matches('/'),
        Some(_) | None if given.starts_with('/') => return Err(outside()),
        Some(_) | None => given,
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in inner.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop().ok_or_else(outside)?;
            }
            part => parts.push(part),
        }
    }
    if parts.first() == Some(&".git") {
        return Err("the folder .git is not to be touched".to_owned());
    }
    Ok(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_inside() {
        let check = |given: &str, expected: Result<&str, ()>| {
            let found = relative("/sandbox/repo", given);
            assert_eq!(found.as_deref().map_err(|_| ()), expected, "{given}");
        };
        check("src/a.py", Ok("src/a.py"));
        check("./src//b/../a.py", Ok("src/a.py"));
        check("", Ok(""));
        check("/sandbox/repo", Ok(""));
        check("/sandbox/repo/src/a.py", Ok("src/a.py"));
        check("/sandbox/repository/a.py", Err(()));
        check("/etc/passwd", Err(()));
        check("../x", Err(()));
        check("src/../../x", Err(()));
        check("/sandbox/repo/../x", Err(()));
        check(".git/config", Err(()));
        check("src/../.git/hooks/pre-push", Err(()));
        check(".gitignore", Ok(".gitignore"));
        check("a\0b", Err(()));
    }
}
