//! What the machine must have: Debian packages, installed when they are missing.

use std::{path::Path, process::Command};

use anyhow::{Context, bail};

use crate::process::{command, probe, run, say};

/// Installs Debian packages; where that cannot be done, says what to install by hand.
pub fn install(packages: &[&str], purpose: &str) -> anyhow::Result<()> {
    let names = packages.join(" ");
    if !Path::new("/usr/bin/apt-get").exists() {
        bail!(
            "{purpose} needs {names} (Debian's package names), and there is no apt-get here: please install them"
        );
    }
    say(format!("installing {names} for {purpose}"));
    let by_hand = || format!("{purpose}: please run `apt-get install {names}` as root");
    // A list that cannot be refreshed may still be good enough.
    if run(apt(["update", "-qq"])?.as_mut()).is_err() {
        say("apt-get update failed; trying with the package lists at hand");
    }
    let mut install = apt(["install", "-y", "-qq", "--no-install-recommends"])?;
    run(install.args(packages)).with_context(by_hand)
}

/// `apt-get`, waiting for its turn and asking no questions; through sudo for whoever is not root.
fn apt<const N: usize>(arguments: [&str; N]) -> anyhow::Result<Box<Command>> {
    let root = probe(&mut command("id", ["-u"])).as_deref() == Some("0");
    let mut apt = if root {
        command("env", ["DEBIAN_FRONTEND=noninteractive", "apt-get"])
    } else {
        command("sudo", ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"])
    };
    apt.args(["-o", "DPkg::Lock::Timeout=300"]).args(arguments);
    Ok(Box::new(apt))
}

/// Whether a C compiler is there: SQLite, Oniguruma and mimalloc are C code.
pub fn ensure_c_compiler() -> anyhow::Result<()> {
    if probe(&mut command("cc", ["--version"])).is_some() {
        return Ok(());
    }
    install(&["gcc", "libc6-dev"], "compiling SQLite, Oniguruma and mimalloc")
}

/// Whether NVIDIA's compiler is there: candle's kernels for graphics cards are compiled with it.
pub fn ensure_cuda() -> anyhow::Result<()> {
    if probe(&mut command("nvcc", ["--version"])).is_some() {
        return Ok(());
    }
    bail!(
        "the feature `cuda` needs NVIDIA's CUDA toolkit, and there is no nvcc in PATH: install the toolkit, or add \
         its programs to PATH, e.g. PATH=/usr/local/cuda/bin:$PATH"
    )
}

/// Components of the toolchain, such as rustfmt, which a minimal installation leaves out.
pub fn ensure_components(names: &[&str]) -> anyhow::Result<()> {
    let missing = |name: &&&str| {
        let tool = if **name == "rustfmt" { "fmt" } else { name };
        probe(&mut command("cargo", [tool, "--version"])).is_none()
    };
    let missing: Vec<&str> = names.iter().filter(missing).copied().collect();
    if missing.is_empty() {
        return Ok(());
    }
    say(format!("adding {} to the Rust toolchain", missing.join(" and ")));
    run(command("rustup", ["component", "add"]).args(&missing))
        .with_context(|| format!("please install {} for this Rust toolchain", missing.join(" and ")))
}
