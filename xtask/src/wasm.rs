//! The browser's half: the `app` crate as a wasm module with its script, the styles and public files.

mod bundle;
mod prune;
mod site;
pub mod toolchain;

use std::path::{Path, PathBuf};

use crate::process::{cargo, run, timed};

/// How hard the two halves are optimised.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    Dev,
    Release,
}

impl Profile {
    pub fn release_unless(dev: bool) -> Profile {
        if dev { Profile::Dev } else { Profile::Release }
    }

    /// Cargo's profile of the browser's half.
    fn browser(self) -> &'static str {
        match self {
            Profile::Dev => "wasm-dev",
            Profile::Release => "wasm-release",
        }
    }
}

/// Name of everything the pages load: `/pkg/chandler.{js,wasm,css}`.
const BUNDLE: &str = "chandler";

/// What the server serves as files.
pub fn site() -> &'static Path {
    Path::new("target/site")
}

/// Builds the module and fills [`site`].
pub fn build(profile: Profile) -> anyhow::Result<()> {
    let module = timed("browser's half, cargo", || compile(profile))?;
    timed("browser's half, bundle", || {
        bundle::write(&module, profile)?;
        site::write(profile)
    })
}

/// Compiles the `app` crate for the browser; answers with the path of the raw module.
fn compile(profile: Profile) -> anyhow::Result<PathBuf> {
    let toolchain = toolchain::find()?;
    let mut build =
        cargo(["build", "--package", "app", "--lib", "--no-default-features", "--features", "hydrate"]);
    build.args(["--target", toolchain::TARGET, "--profile", profile.browser()]);
    // A folder of its own: the two halves use different features, and perhaps compilers, for the same crates.
    build.args(["--target-dir", "target/front"]);
    // The splitter finds by them which code refers to which.
    build.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS", "-Clink-arg=--emit-relocs");
    toolchain.apply(&mut build);
    run(&mut build)?;
    Ok(Path::new("target/front").join(toolchain::TARGET).join(profile.browser()).join("app.wasm"))
}
