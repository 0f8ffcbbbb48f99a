//! Styles and public files beside the module, and compressed copies for a release.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};

use super::{BUNDLE, Profile, site};
use crate::process::say;

/// Lists the style sheets, one a line, in the order in which they go into the bundle.
const STYLE_ORDER: &str = "style/order.txt";

/// Writes the style sheet and the public files; compresses what is worth it in a release.
pub fn write(profile: Profile) -> anyhow::Result<()> {
    let package = site().join("pkg");
    let styles = styles()?;
    let styles = match profile {
        Profile::Release => minifier::css::minify(&styles)
            .map_err(|error| anyhow::anyhow!("the style sheets cannot be made small: {error}"))?
            .to_string(),
        Profile::Dev => styles,
    };
    replace(&package.join(format!("{BUNDLE}.css")), styles.as_bytes())?;
    copy_folder(Path::new("public"), site()).context("cannot copy public/")?;
    for entry in fs::read_dir(&package)? {
        let file = entry?.path();
        if file.extension().is_some_and(|kind| kind == "js" || kind == "wasm" || kind == "css") {
            match profile {
                Profile::Release => compress(&file)?,
                // A server prefers a compressed copy: none may be left from another build.
                Profile::Dev => forget_compressed(&file)?,
            }
        }
    }
    Ok(())
}

/// All style sheets in one.
fn styles() -> anyhow::Result<String> {
    let order = fs::read_to_string(STYLE_ORDER).with_context(|| format!("cannot read {STYLE_ORDER}"))?;
    let listed: Vec<&str> = order.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    for entry in fs::read_dir("style").context("cannot read style/")? {
        let name = entry?.file_name();
        let name = name.to_string_lossy();
        if name.ends_with(".css") && !listed.contains(&name.as_ref()) {
            bail!("style/{name} is not listed in {STYLE_ORDER}: add it where it belongs in the cascade");
        }
    }
    let mut all = String::new();
    for name in listed {
        let text = fs::read_to_string(Path::new("style").join(name));
        all.push_str(&text.with_context(|| format!("cannot read style/{name}, which {STYLE_ORDER} lists"))?);
        all.push('\n');
    }
    Ok(all)
}

fn copy_folder(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            replace(&target, &fs::read(entry.path())?)?;
        }
    }
    Ok(())
}

/// Writes only what differs, so that compressed copies stay newer than what they were made from.
fn replace(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    if fs::read(path).is_ok_and(|present| present == content) {
        return Ok(());
    }
    fs::write(path, content).with_context(|| format!("cannot write {}", path.display()))
}

/// Writes `FILE.gz` and `FILE.br`, unless those at hand are newer than the file.
fn compress(path: &Path) -> anyhow::Result<()> {
    let made = fs::metadata(path)?.modified()?;
    let fresh =
        |copy: &PathBuf| fs::metadata(copy).and_then(|about| about.modified()).is_ok_and(|at| at > made);
    let copies = compressed(path);
    if copies.iter().all(fresh) {
        return Ok(());
    }
    let data = fs::read(path)?;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(&data)?;
    let gzip = gzip.finish()?;
    let mut brotli = Vec::new();
    brotli::BrotliCompress(&mut &data[..], &mut brotli, &brotli::enc::BrotliEncoderParams::default())?;
    say(format!("{}: {} bytes, gzip {}, brotli {}", path.display(), data.len(), gzip.len(), brotli.len()));
    let [gzip_file, brotli_file] = copies;
    fs::write(gzip_file, gzip)?;
    fs::write(brotli_file, brotli)?;
    Ok(())
}

fn forget_compressed(path: &Path) -> anyhow::Result<()> {
    for copy in compressed(path).iter().filter(|copy| copy.exists()) {
        fs::remove_file(copy).with_context(|| format!("cannot remove {}", copy.display()))?;
    }
    Ok(())
}

fn compressed(path: &Path) -> [PathBuf; 2] {
    ["gz", "br"].map(|kind| PathBuf::from(format!("{}.{kind}", path.display())))
}
