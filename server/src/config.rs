//! The folders Chandler works in.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// Folders, by default in the working directory. What users name in recipes and forms stays inside them.
#[derive(Clone, Debug, clap::Args)]
pub struct Folders {
    /// Folder of models: Hugging Face folders and .gguf files
    #[arg(long, env = "CHANDLER_MODELS_DIR", default_value = "models", value_name = "DIR")]
    pub models_dir: PathBuf,
    /// Folder of datasets, with dataset_info.json
    #[arg(long, env = "CHANDLER_DATA_DIR", default_value = "data", value_name = "DIR")]
    pub data_dir: PathBuf,
    /// Folder of runs and of the database
    #[arg(long, env = "CHANDLER_RUNS_DIR", default_value = "runs", value_name = "DIR")]
    pub runs_dir: PathBuf,
}

/// A folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot use {path} as the {what} folder: {source}{}", remedy(.path, .source), path = .path.display())]
pub struct FolderError {
    what: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl Folders {
    /// Makes the folders where they are missing, and resolves them: paths are compared with these.
    ///
    /// # Errors
    /// If one of them cannot be made or resolved.
    pub fn prepare(&self) -> Result<Folders, FolderError> {
        Ok(Folders {
            models_dir: prepare("models", &self.models_dir)?,
            data_dir: prepare("data", &self.data_dir)?,
            runs_dir: prepare("runs", &self.runs_dir)?,
        })
    }
}

fn prepare(what: &'static str, path: &Path) -> Result<PathBuf, FolderError> {
    fs::create_dir_all(path).and_then(|()| path.canonicalize()).map_err(|source| FolderError {
        what,
        path: path.to_owned(),
        source,
    })
}

/// What to do where the system does not let this process write at `path`: nothing to say of other errors.
pub fn remedy(path: &Path, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            // The nearest that is there: it says who may make the others.
            let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
            let found = path.ancestors().find_map(|path| Some((path, fs::metadata(path).ok()?)));
            let Some((path, about)) = found else { return String::new() };
            denied(path, (about.uid(), about.gid()), rustix::process::geteuid().as_raw())
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            ". Nothing can be written there; mount a folder or a volume in its place, or name another folder"
                .to_owned()
        }
        _ => String::new(),
    }
}

fn denied(path: &Path, (user, group): (u32, u32), me: u32) -> String {
    let path = path.display();
    format!(
        ". {path} belongs to user {user}, and Chandler runs as user {me}. Either give it to the user that Chandler runs \
         as (chown -R {me} {path}; of a folder that is mounted into a container, on the host), or run Chandler as its \
         owner (docker run --user {user}:{group}, or `user: \"{user}:{group}\"` in the compose file)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_another_user_is_told_with_both_remedies() {
        let dir = tempfile::tempdir().unwrap();
        let (mine, missing) = (dir.path(), dir.path().join("a/b"));
        let refused = io::Error::from(io::ErrorKind::PermissionDenied);
        let error = FolderError { what: "runs", path: missing.clone(), source: refused }.to_string();
        let about = fs::metadata(mine).unwrap();
        let told = [
            format!("cannot use {} as the runs folder", missing.display()),
            format!("{} belongs to user {}, and", mine.display(), about.uid()),
            format!("--user {}:{}", about.uid(), about.gid()),
        ];
        for part in told {
            assert!(error.contains(&part), "{part} is not in: {error}");
        }
        let refused = io::Error::from(io::ErrorKind::PermissionDenied);
        assert!(remedy(Path::new("nowhere/runs"), &refused).starts_with(". /"));
        let text = denied(Path::new("/chandler/runs"), (1000, 100), 10_001);
        assert!(text.contains("chown -R 10001 /chandler/runs") && text.contains("--user 1000:100"), "{text}");
        assert_eq!(remedy(mine, &io::Error::from(io::ErrorKind::NotFound)), "");
    }
}
