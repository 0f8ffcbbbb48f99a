//! Every case by the CPU's kernels, and by the plain operations that other devices run.

use std::path::{Path, PathBuf};

use engine::device::with_plain_operations;
use engine::kernel::level;

use super::common::Case;

/// Both ways through each case, named after its folder. Plain operations are the same whichever kernels are asked for:
/// where some are, they alone are tested.
pub fn both(cases: Vec<PathBuf>, check: fn(&Path) -> Result<(), String>) -> Vec<Case> {
    let chosen = std::env::var_os(level::VARIABLE).is_some();
    let named = |path: PathBuf| -> Vec<Case> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let again = path.clone();
        let kernels: Case = (name.clone(), Box::new(move || check(&path)));
        let plain: Case =
            (format!("{name}, plain"), Box::new(move || with_plain_operations(|| check(&again))));
        if chosen { vec![kernels] } else { vec![kernels, plain] }
    };
    cases.into_iter().flat_map(named).collect()
}
