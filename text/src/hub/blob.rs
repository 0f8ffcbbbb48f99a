//! One file: fetched beside its place, checked, and moved there.

use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::error::{Error, Result};
use super::http::{Client, Wanted};
use super::{Watch, hex};

/// Fetches `wanted` to `target` unless `is_there` says that it is there already; what an earlier attempt left is gone
/// on with. `lock` keeps two processes from fetching the same file.
pub(super) fn fetch(
    client: &Client,
    wanted: &Wanted<'_>,
    target: &Path,
    lock: &Path,
    is_there: impl Fn() -> bool,
    watch: Watch,
) -> Result<()> {
    if is_there() {
        return Ok(());
    }
    create_parent(target)?;
    create_parent(lock)?;
    let locked = File::create(lock).map_err(|e| Error::io(lock, e))?;
    locked.lock().map_err(|e| Error::io(lock, e))?;
    // Another process may have been at it.
    if is_there() {
        return Ok(());
    }
    let part = part_of(target);
    if wanted.etag.is_none() {
        // What cannot be checked must not be put together from two versions.
        let _ = fs::remove_file(&part);
    }
    let mut is_left = part.exists();
    loop {
        client.download(wanted, &part, watch)?;
        let Err(error) = verify(wanted, &part) else { break };
        // What is wrong must not be gone on with. If an earlier attempt left a part of it, that may be to blame.
        let _ = fs::remove_file(&part);
        if !std::mem::take(&mut is_left) {
            return Err(error);
        }
    }
    fs::rename(&part, target).map_err(|e| Error::io(target, e))
}

/// The name that the Hugging Face tools give to what is not complete.
fn part_of(target: &Path) -> PathBuf {
    let mut name = target.file_name().unwrap_or_default().to_owned();
    name.push(".incomplete");
    target.with_file_name(name)
}

pub(super) fn create_parent(path: &Path) -> Result<()> {
    let Some(parent) = path.parent() else { return Ok(()) };
    fs::create_dir_all(parent).map_err(|e| Error::io(parent, e))
}

/// Checks the contents against their etag, where that is a hash: SHA-256 of large files, git's SHA-1 of small ones.
fn verify(wanted: &Wanted<'_>, path: &Path) -> Result<()> {
    let Some(etag) = wanted.etag.filter(|etag| etag.bytes().all(|byte| byte.is_ascii_hexdigit())) else {
        return Ok(());
    };
    let io = |e| Error::io(path, e);
    let file = File::open(path).map_err(io)?;
    let length = file.metadata().map_err(io)?.len();
    let found = match etag.len() {
        64 => hash(file, Sha256::new()).map_err(io)?,
        40 => hash(file, Sha1::new_with_prefix(format!("blob {length}\0"))).map_err(io)?,
        _ => return Ok(()),
    };
    if found.eq_ignore_ascii_case(etag) {
        return Ok(());
    }
    Err(Error::contents(
        wanted.name,
        format!("the contents have the hash {found}, but should have {etag}; try again"),
    ))
}

/// The hash of all that is left of `file`, in hexadecimal digits.
///
/// # Errors
/// If the file cannot be read.
pub fn hash(file: File, mut hash: impl Digest) -> std::io::Result<String> {
    let mut reader = BufReader::with_capacity(1 << 20, file);
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = reader.read(&mut buffer)?;
        if read == 0 {
            return Ok(hex(&hash.finalize()));
        }
        hash.update(&buffer[..read]);
    }
}
