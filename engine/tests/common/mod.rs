//! Runs every golden case found under a folder, and reports each.

use std::path::{Path, PathBuf};

/// Folder `kind` of the golden cases: `$CHANDLER_GOLDENS`, or the copies beside the tests.
pub fn goldens(kind: &str) -> PathBuf {
    let root = std::env::var_os("CHANDLER_GOLDENS").map(PathBuf::from);
    root.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens")).join(kind)
}

/// Sub-folders of a folder that hold `marker`, by name.
#[allow(dead_code, reason = "some kinds of cases are all in one file")]
pub fn cases(folder: &Path, marker: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut cases: Vec<PathBuf> =
        entries.map(|entry| entry.path()).filter(|path| path.join(marker).exists()).collect();
    cases.sort();
    cases
}

/// A case: its name, and why it fails if it does.
pub type Case = (String, Box<dyn Fn() -> Result<(), String>>);

/// Runs all cases, printing `pass CASE` or `FAIL CASE: why` for each, and ends the process.
///
/// Arguments that do not start with a dash select cases by a part of their name.
pub fn run(cases: Vec<Case>) -> ! {
    let filters: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let (mut passed, mut failed) = (0, 0);
    for (name, case) in cases {
        if !filters.is_empty() && !filters.iter().any(|filter| name.contains(filter.as_str())) {
            continue;
        }
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(case));
        match result.unwrap_or_else(|_| Err("panicked".to_owned())) {
            Ok(()) => {
                passed += 1;
                println!("pass {name}");
            }
            Err(why) => {
                failed += 1;
                println!("FAIL {name}: {why}");
            }
        }
    }
    println!("{passed} passed, {failed} failed");
    let ok = failed == 0 && (passed > 0 || !filters.is_empty());
    std::process::exit(if ok { 0 } else { 1 });
}

/// Whether two numbers differ by at most `tolerance`; never if one is not a number.
pub fn within(got: f64, want: f64, tolerance: f64) -> bool {
    (got - want).abs() <= tolerance
}
