//! Tells the server which commit it was built from, and by what.

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
    let compiler = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let compiler = Command::new(compiler).arg("--version").output().ok();
    let compiler = compiler.and_then(|out| String::from_utf8(out.stdout).ok());
    println!("cargo:rustc-env=CHANDLER_RUSTC={}", compiler.as_deref().map_or("an unknown rustc", str::trim));
    println!("cargo:rustc-env=CHANDLER_TARGET={}", std::env::var("TARGET").unwrap_or_default());
}
