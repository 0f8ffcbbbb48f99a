//! From the raw module to what a browser loads: wasm-bindgen as a library, so that its version is the
//! one in Cargo.lock and no tool need be installed.

use std::{fs, path::Path, time::UNIX_EPOCH};

use anyhow::{Context, anyhow};
use wasm_bindgen_cli_support::Bindgen;

use super::{BUNDLE, Profile, prune::prune, site};

/// Writes `pkg/chandler.js` and `pkg/chandler.wasm`, unless they were made from this very module.
pub fn write(module: &Path, profile: Profile) -> anyhow::Result<()> {
    let package = site().join("pkg");
    // Beside the site, not in it: everything in the site is served.
    let stamp_file = site().with_extension("stamp");
    let stamp = stamp(module, profile)?;
    let (script, wasm) = (package.join(format!("{BUNDLE}.js")), package.join(format!("{BUNDLE}.wasm")));
    if fs::read_to_string(&stamp_file).is_ok_and(|made| made == stamp) && script.exists() && wasm.exists() {
        return Ok(());
    }

    fs::create_dir_all(&package).with_context(|| format!("cannot create {}", package.display()))?;
    let release = profile == Profile::Release;
    let mut raw = fs::read(module)?;
    if release {
        raw = prune(&raw)?;
    }
    Bindgen::new()
        .input_bytes(BUNDLE, raw)
        .web(true)
        .map_err(|error| anyhow!("wasm-bindgen: {error:#}"))?
        .typescript(false)
        .remove_name_section(release)
        .remove_producers_section(release)
        .debug(!release)
        .keep_debug(!release)
        .generate(&package)
        .map_err(|error| anyhow!("wasm-bindgen on {}: {error:#}", module.display()))?;
    fs::rename(package.join(format!("{BUNDLE}_bg.wasm")), &wasm)?;
    fs::write(stamp_file, stamp)?;
    Ok(())
}

/// Tells one build of the module from another.
fn stamp(module: &Path, profile: Profile) -> anyhow::Result<String> {
    let about = fs::metadata(module).with_context(|| format!("cargo left no {}", module.display()))?;
    let modified = about.modified()?.duration_since(UNIX_EPOCH)?.as_nanos();
    Ok(format!("{} {} {modified}", profile.browser(), about.len()))
}
