//! Tells the server which commit it was built from.

use std::{path::Path, process::Command};

/// Grows with every commit; absent in a source archive and in a linked worktree.
const COMMIT_LOG: &str = "../.git/logs/HEAD";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if Path::new(COMMIT_LOG).exists() {
        println!("cargo:rerun-if-changed={COMMIT_LOG}");
    }
    let commit = Command::new("git").args(["rev-parse", "--short=10", "HEAD"]).output();
    let commit =
        commit.ok().filter(|out| out.status.success()).and_then(|out| String::from_utf8(out.stdout).ok());
    println!("cargo:rustc-env=CHANDLER_COMMIT={}", commit.as_deref().map_or("", str::trim));
}
