//! The browser's half: where its files are, and the version that their addresses carry.
//!
//! Below `/v/VERSION/` lie the site's files as they are: a browser keeps them for good, and asks for others after the
//! next build. Elsewhere the same files may change.

use std::{
    collections::HashMap,
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use leptos::{
    WasmSplitManifest,
    prelude::{ArcStoredValue, LeptosOptions},
};
use sha2::{Digest, Sha256};

/// Folders whose files have a version.
const VERSIONED: [&str; 2] = ["pkg", "fonts"];

/// Which modules a lazy part of a page is in, and the script that loads them; as the bundler and leptos name them.
const SPLITS: &str = "__wasm_split_manifest.json";
const LOADER: &str = "__wasm_split.______________________.js";

/// What a build for the browser has left.
#[derive(Clone, Debug)]
pub struct Site {
    root: PathBuf,
    version: String,
    splits: HashMap<String, Vec<String>>,
}

impl Site {
    /// The site that the environment names, or lies beside the binary, or where the build leaves it.
    pub fn find() -> Site {
        if let Some(root) = std::env::var_os("LEPTOS_SITE_ROOT") {
            return Site::open(Path::new(&root));
        }
        let beside = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.join("site")));
        let candidates = beside.into_iter().chain([PathBuf::from("target/site")]);
        let found = candidates.into_iter().find(|site| site.join("pkg").is_dir());
        Site::open(&found.unwrap_or_else(|| {
            tracing::warn!(
                "the browser's half is not built: pages have neither style nor script; run `cargo xtask build`"
            );
            PathBuf::from("target/site")
        }))
    }

    /// The site in a folder.
    pub fn open(root: &Path) -> Site {
        let version = version(root).unwrap_or_else(|error| {
            tracing::warn!("cannot read the site in {}: {error}", root.display());
            "0".to_owned()
        });
        let splits = fs::read(root.join("pkg").join(SPLITS)).ok();
        let splits = splits.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
        Site { root: root.to_owned(), version, splits }
    }

    /// The folder of the site's files.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The address of the files that never change.
    pub fn versioned(&self) -> String {
        format!("/v/{}", self.version)
    }

    /// The modules that a page's own code is in, for a board whose addresses begin with `base`.
    pub fn splits(&self, base: &str) -> WasmSplitManifest {
        let package = format!("{base}{}/pkg", self.versioned());
        WasmSplitManifest(ArcStoredValue::new((package, self.splits.clone(), LOADER.to_owned())))
    }

    /// What Leptos is told of the site, which is served at this address.
    pub fn options(&self, address: SocketAddr) -> LeptosOptions {
        LeptosOptions::builder()
            .output_name("chandler")
            .site_root(self.root.display().to_string())
            .site_pkg_dir(format!("v/{}/pkg", self.version))
            .site_addr(address)
            .build()
    }
}

/// Tells the site's files from those of another build: sixteen digits of their digest.
fn version(root: &Path) -> io::Result<String> {
    let mut digest = Sha256::new();
    for folder in VERSIONED.map(|name| root.join(name)).iter().filter(|folder| folder.is_dir()) {
        let mut files: Vec<PathBuf> =
            fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<_>>()?;
        files.sort();
        for file in files.iter().filter(|file| file.is_file()) {
            digest.update(file.file_name().unwrap_or_default().as_encoded_bytes());
            digest.update(Sha256::digest(fs::read(file)?));
        }
    }
    Ok(digest.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_that_of_the_files() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("pkg")).unwrap();
        let write = |text: &str| fs::write(dir.path().join("pkg/chandler.js"), text).unwrap();
        write("one");
        let first = Site::open(dir.path()).versioned();
        assert_eq!((first.len(), &first), ("/v/".len() + 16, &Site::open(dir.path()).versioned()));
        write("two");
        assert_ne!(Site::open(dir.path()).versioned(), first);
    }
}
