//! The server: built, and started.

use std::{os::unix::process::CommandExt, path::PathBuf, process::Command};

use anyhow::Context;
use clap::Args;

use crate::{
    process::{cargo, run, say, timed},
    system,
    wasm::{self, Profile},
};

/// What the server is built with beyond what it always has.
#[derive(Args, Default)]
pub struct Features {
    /// `cuda`: for NVIDIA graphics cards; needs the CUDA toolkit
    #[arg(long, value_delimiter = ',')]
    features: Vec<String>,
}

/// Builds the `chandler` binary; answers with its path.
pub fn build(profile: Profile, Features { features }: &Features) -> anyhow::Result<PathBuf> {
    system::ensure_c_compiler()?;
    let mut build = cargo(["build", "--package", "server", "--bin", "chandler"]);
    if features.iter().any(|feature| feature == "cuda") {
        system::ensure_cuda()?;
    }
    if !features.is_empty() {
        build.args(["--features", &features.join(",")]);
    }
    let folder = match profile {
        Profile::Dev => "debug",
        Profile::Release => {
            build.arg("--release");
            "release"
        }
    };
    timed("server, cargo", || run(&mut build))?;
    Ok(PathBuf::from("target").join(folder).join("chandler"))
}

/// Builds both halves and becomes the dashboard's server, so that Ctrl-C and signals reach it directly.
pub fn serve(profile: Profile, features: &Features, webui: &[String]) -> anyhow::Result<()> {
    say("building Chandler; the first time takes some minutes");
    wasm::build(profile)?;
    let chandler = build(profile, features)?.canonicalize()?;
    let site = wasm::site().canonicalize()?;
    let mut server = Command::new(&chandler);
    server.arg("webui").args(webui).env("LEPTOS_SITE_ROOT", site);
    Err(server.exec()).with_context(|| format!("cannot start {}", chandler.display()))
}
