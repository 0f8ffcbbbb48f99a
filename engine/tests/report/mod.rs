//! What the golden tests share: where the reference data are, and one line per case.
//!
//! Every case found under the folder that `CHANDLER_GOLDENS` names (by default `tests/goldens`) is run, all of them
//! before the target fails.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::Value;

/// Why a case failed.
pub type Outcome = Result<(), String>;

/// The folder of the reference data.
pub fn goldens() -> PathBuf {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens");
    std::env::var_os("CHANDLER_GOLDENS").map_or_else(default, PathBuf::from)
}

/// Counts cases and prints each.
#[derive(Default)]
pub struct Report {
    passed: usize,
    failed: usize,
}

impl Report {
    /// Runs a case unless the command line asks for others: `cargo test --test NAME -- PART` runs those whose name
    /// contains `PART`.
    pub fn case(&mut self, name: &str, run: impl FnOnce() -> Outcome) {
        let mut wanted = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).peekable();
        if wanted.peek().is_some() && !wanted.any(|part| name.contains(&part)) {
            return;
        }
        match run() {
            Ok(()) => {
                self.passed += 1;
                println!("pass {name}");
            }
            Err(why) => {
                self.failed += 1;
                println!("FAIL {name}: {}", why.replace('\n', "\\n"));
            }
        }
    }

    /// Prints the counts; the code for `main`.
    pub fn finish(self) -> ExitCode {
        println!("{} passed, {} failed", self.passed, self.failed);
        if self.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// A JSON file.
pub fn read_json(path: &Path) -> Result<Value, String> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    serde_json::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))
}

/// Equal, or the first place where two values differ.
pub fn same<T: PartialEq + std::fmt::Debug>(what: &str, got: &T, expected: &T) -> Outcome {
    if got == expected { Ok(()) } else { Err(format!("{what}: got {got:?}, expected {expected:?}")) }
}
