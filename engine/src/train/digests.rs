//! What the files of a checkpoint held when they were written.
//!
//! `SHA256SUMS` lists the other files of a folder as `sha256sum` does, so that `sha256sum -c SHA256SUMS` checks one by
//! hand. Readers of models pass it over.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::hub;
use crate::weights::write_atomic;
use crate::{Error, Result};

const LIST: &str = "SHA256SUMS";

/// Writes the list of a folder whose files are all there.
pub(super) fn write(folder: &Path) -> Result<()> {
    let names = fs::read_dir(folder)
        .and_then(|entries| {
            entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
        })
        .map_err(|error| Error::io(folder, error))?;
    let sums = sums(folder, names)?;
    let text: String = sums.iter().map(|(name, sum)| format!("{sum}  {name}\n")).collect();
    write_atomic(&folder.join(LIST), text.as_bytes())
}

/// Compares the files of a folder with its list. A folder without one was written by an earlier version.
///
/// # Errors
/// Names the first file that is missing or holds something else, or one of `required` that the list leaves out.
pub(super) fn check<'a>(folder: &Path, required: impl IntoIterator<Item = &'a str>) -> Result<()> {
    let path = folder.join(LIST);
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Error::io(path, error)),
    };
    let text = String::from_utf8_lossy(&text);
    let listed: Option<BTreeMap<&str, &str>> =
        text.lines().map(|line| line.split_once("  ").map(|(sum, name)| (name, sum))).collect();
    let complete = listed.filter(|listed| required.into_iter().all(|name| listed.contains_key(name)));
    let listed = complete.ok_or_else(|| Error::file(&path, "is damaged: it does not list every file"))?;
    let found = sums(folder, listed.keys().map(|name| (*name).to_owned()).collect())?;
    match found.iter().find(|(name, sum)| listed.get(name.as_str()) != Some(&sum.as_str())) {
        None => Ok(()),
        Some((name, _)) => {
            let message = format!("is damaged or was changed: it is not what {LIST} says was written");
            Err(Error::file(folder.join(name), message))
        }
    }
}

/// The digest of each file, by name.
fn sums(folder: &Path, mut names: Vec<String>) -> Result<Vec<(String, String)>> {
    names.sort();
    let sum = |name: String| {
        let path = folder.join(&name);
        let sum = File::open(&path).and_then(|file| hub::hash(file, Sha256::new()));
        Ok((name, sum.map_err(|error| Error::io(path, error))?))
    };
    names.into_par_iter().map(sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("weights"), [7; 20]).unwrap();
        fs::write(path("state"), "{}").unwrap();
        check(folder.path(), ["weights"]).unwrap();
        write(folder.path()).unwrap();
        let check = || check(folder.path(), ["weights", "state"]);
        check().unwrap();
        for name in ["weights", "state", LIST] {
            let whole = fs::read(path(name)).unwrap();
            for bit in 0..whole.len() * 8 {
                let mut bytes = whole.clone();
                bytes[bit / 8] ^= 1 << (bit % 8);
                fs::write(path(name), bytes).unwrap();
                assert!(check().is_err(), "{name}, bit {bit}");
            }
            fs::write(path(name), &whole[..whole.len() / 2]).unwrap();
            assert!(check().is_err(), "{name} is cut");
            fs::write(path(name), whole).unwrap();
        }
        check().unwrap();
        // As `sha256sum` writes it.
        let list = fs::read_to_string(path(LIST)).unwrap();
        let empty = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a  state\n";
        assert!(list.starts_with(empty), "{list}");
    }
}
