//! Paths that users name: each must stay inside one of the folders it is meant for.

use std::path::{Component, Path, PathBuf};

/// Why a path is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// It holds `..`: the path, and the folders that were meant.
    #[error("`{0}` holds `..`: give a path inside {1}")]
    Parent(String, String),
    /// There is nothing of that name: the path, and the folders.
    #[error("`{0}` does not exist in {1}")]
    Missing(String, String),
    /// A link leads out of the folders: the path, and the folders.
    #[error("`{0}` leads outside of {1}")]
    Outside(String, String),
}

/// Resolves what a user named to an existing path inside one of `roots`, which are canonical.
///
/// A relative path may begin in the working directory, beside a root (`models/wick`) or in it (`wick`).
/// Symbolic links are followed, and must stay inside as well.
///
/// # Errors
/// If the path is refused.
pub fn resolve(named: &str, roots: &[&Path]) -> Result<PathBuf, PathError> {
    let places = || roots.iter().map(|root| root.display().to_string()).collect::<Vec<_>>().join(" or ");
    let path = Path::new(named.trim());
    if path.components().any(|part| part == Component::ParentDir) {
        return Err(PathError::Parent(named.to_owned(), places()));
    }
    let beside = roots.iter().filter_map(|root| root.parent()).map(|parent| parent.join(path));
    let inside = roots.iter().map(|root| root.join(path));
    let candidates = std::iter::once(path.to_owned()).chain(inside).chain(beside);
    let mut outside = false;
    for candidate in candidates {
        let Ok(canonical) = candidate.canonicalize() else { continue };
        if roots.iter().any(|root| canonical.starts_with(root)) {
            return Ok(canonical);
        }
        outside = true;
    }
    match outside {
        true => Err(PathError::Outside(named.to_owned(), places())),
        false => Err(PathError::Missing(named.to_owned(), places())),
    }
}

/// The same for a folder that may still have to be made: what of its path exists must lie inside one of `roots`, and
/// a relative path that does not exist is one inside the first.
///
/// # Errors
/// As [`resolve`], save that nothing is missing.
pub fn resolve_new(named: &str, roots: &[&Path]) -> Result<PathBuf, PathError> {
    let places = match resolve(named, roots) {
        Err(PathError::Missing(_, places)) => places,
        found => return found,
    };
    let path = Path::new(named.trim());
    let beside = roots.iter().map(|root| root.parent().unwrap_or(root).join(path));
    let inside = roots.iter().map(|root| root.join(path));
    let outside = || PathError::Outside(named.to_owned(), places.clone());
    let candidate = beside.chain(inside).find(|path| roots.iter().any(|root| path.starts_with(root)));
    let candidate = candidate.ok_or_else(outside)?;
    // The part that exists, with its links followed; a link that leads nowhere exists, too.
    let there = candidate.ancestors().find(|part| part.symlink_metadata().is_ok()).unwrap_or(&candidate);
    let canonical = there.canonicalize().map_err(|_| outside())?;
    let is_inside = canonical.is_dir() && roots.iter().any(|root| canonical.starts_with(root));
    let rest = candidate.strip_prefix(there).map_err(|_| outside())?;
    if is_inside { Ok(canonical.join(rest)) } else { Err(outside()) }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn paths_stay_inside_their_roots() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        let root = base.join("models");
        fs::create_dir_all(root.join("org/wick")).unwrap();
        fs::create_dir_all(base.join("models2/wick")).unwrap();
        fs::write(base.join("secret"), "").unwrap();
        std::os::unix::fs::symlink(base.join("secret"), root.join("out")).unwrap();
        std::os::unix::fs::symlink(root.join("org/wick"), root.join("in")).unwrap();
        let resolve = |named: &str| resolve(named, &[&root]);

        let wick = root.join("org/wick");
        for named in
            ["org/wick", "models/org/wick", "in", "./org//wick/", " org/wick ", wick.to_str().unwrap()]
        {
            assert_eq!(resolve(named), Ok(wick.clone()), "{named}");
        }
        let sibling = base.join("models2/wick");
        for named in
            ["out", "secret", "models2/wick", "/etc/passwd", "/proc/self/mem", sibling.to_str().unwrap(), "/"]
        {
            assert!(matches!(resolve(named), Err(PathError::Outside(..))), "{named}");
        }
        for named in ["..", "../secret", "org/../../secret", "/etc/../etc/passwd"] {
            assert!(matches!(resolve(named), Err(PathError::Parent(..))), "{named}");
        }
        for named in
            ["none", "org/wick/none", "%2e%2e/secret", "..\\secret", "C:\\x", "a\0b", &"x".repeat(5000)]
        {
            assert!(matches!(resolve(named), Err(PathError::Missing(..))), "{named}");
        }
    }
    #[test]
    fn folders_to_be_made_stay_inside_their_roots() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        let root = base.join("data");
        fs::create_dir_all(root.join("there")).unwrap();
        fs::write(root.join("file"), "").unwrap();
        std::os::unix::fs::symlink(&base, root.join("out")).unwrap();
        std::os::unix::fs::symlink(base.join("nowhere"), root.join("nowhere")).unwrap();
        let resolve = |named: &str| resolve_new(named, &[&root]);
        let absolute = root.join("a/b").display().to_string();
        for (named, expected) in
            [("there", "there"), ("new", "new"), ("a/b", "a/b"), ("data/a/b", "a/b"), (&absolute, "a/b")]
        {
            assert_eq!(resolve(named), Ok(root.join(expected)), "{named}");
        }
        let beside = base.join("other").display().to_string();
        for named in ["out/new", "nowhere", "nowhere/new", "file/new", "/nonexistent/x", &beside] {
            assert!(matches!(resolve(named), Err(PathError::Outside(..))), "{named}");
        }
        for named in ["../new", "a/../../new", "data/../x"] {
            assert!(matches!(resolve(named), Err(PathError::Parent(..))), "{named}");
        }
    }
}
