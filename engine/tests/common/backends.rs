//! Every case by the CPU's kernels, and by the plain operations that other devices run.

use std::path::{Path, PathBuf};

use engine::device::with_plain_operations;

use super::common::Case;

/// Both ways through each case, named after its folder.
pub fn both(cases: Vec<PathBuf>, check: fn(&Path) -> Result<(), String>) -> Vec<Case> {
    let named = |path: PathBuf| -> [Case; 2] {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let again = path.clone();
        [
            (name.clone(), Box::new(move || check(&path))),
            (format!("{name}, plain"), Box::new(move || with_plain_operations(|| check(&again)))),
        ]
    };
    cases.into_iter().flat_map(named).collect()
}
