//! From the raw module to what a browser loads: a main module, and one for each page that is loaded when it is wanted.
//!
//! Both tools are used as libraries, so that their versions are those in Cargo.lock and no tool need be installed.

use std::{fs, path::Path, time::UNIX_EPOCH};

use anyhow::{Context, anyhow, ensure};
use wasm_bindgen_cli_support::Bindgen;

use super::{
    BUNDLE, Profile,
    prune::{prune, strip},
    site,
};

/// The script that loads the split-off modules, by the name that leptos knows it under.
const LOADER: &str = "./__wasm_split.______________________.js";
/// Which modules each of them needs, likewise.
const MANIFEST: &str = "__wasm_split_manifest.json";

/// Writes the script and the modules into `pkg/`, unless they were made from this very module.
pub fn write(module: &Path, profile: Profile) -> anyhow::Result<()> {
    let package = site().join("pkg");
    // Beside the site, not in it: everything in the site is served.
    let stamp_file = site().with_extension("stamp");
    let stamp = stamp(module, profile)?;
    let (script, wasm) = (package.join(format!("{BUNDLE}.js")), package.join(format!("{BUNDLE}.wasm")));
    if fs::read_to_string(&stamp_file).is_ok_and(|made| made == stamp) && script.exists() && wasm.exists() {
        return Ok(());
    }

    // Modules of another build have other names.
    if package.exists() {
        fs::remove_dir_all(&package).with_context(|| format!("cannot remove {}", package.display()))?;
    }
    fs::create_dir_all(&package).with_context(|| format!("cannot create {}", package.display()))?;
    let release = profile == Profile::Release;
    let mut raw = fs::read(module)?;
    if release {
        prune(&mut raw)?;
    }
    let main = module.with_file_name("main.wasm");
    split(&raw, &main, &package, profile)
        .map_err(|error| anyhow!("splitting {}: {error:#}", module.display()))?;
    Bindgen::new()
        .input_bytes(BUNDLE, fs::read(&main)?)
        .web(true)
        .map_err(|error| anyhow!("wasm-bindgen: {error:#}"))?
        .typescript(false)
        // What the other modules take from this one is exported by the linker's names.
        .keep_lld_exports(true)
        .remove_name_section(release)
        .remove_producers_section(release)
        .debug(!release)
        .keep_debug(!release)
        .generate(&package)
        .map_err(|error| anyhow!("wasm-bindgen on {}: {error:#}", module.display()))?;
    fs::rename(package.join(format!("{BUNDLE}_bg.wasm")), &wasm)?;
    if release {
        fs::write(&script, minified(&fs::read_to_string(&script)?)?)?;
    }
    fs::write(stamp_file, stamp)?;
    Ok(())
}

/// Splits the module where its code says so: a main one for wasm-bindgen, the others into the package as they are.
fn split(raw: &[u8], main: &Path, package: &Path, profile: Profile) -> anyhow::Result<()> {
    let main_script = format!("./{BUNDLE}.js");
    let mut options = wasm_split_cli_support::Options::new(raw);
    options.output_dir = package;
    options.main_out_path = main;
    options.main_module = &main_script;
    options.link_name = LOADER;
    let split = wasm_split_cli_support::transform(options).map_err(|error| anyhow!("{error:#}"))?;
    if profile == Profile::Release {
        for path in split.split_modules {
            fs::write(&path, strip(&fs::read(&path)?)?)?;
        }
    }
    let loader = package.join(LOADER);
    fs::write(&loader, compiled_ahead(&fs::read_to_string(&loader)?)?)?;
    fs::write(package.join(MANIFEST), serde_json::to_vec(&split.prefetch_map)?)?;
    Ok(())
}

/// The loader that takes modules which the page's script has begun to compile, instead of fetching them when the main one
/// is there.
fn compiled_ahead(loader: &str) -> anyhow::Result<String> {
    const CHANGES: [(&str, &str); 2] = [
        ("fetch(new URL(", "compiled(new URL("),
        ("WebAssembly.instantiateStreaming(src, imports)", "WebAssembly.instantiate(await src, imports)"),
    ];
    CHANGES.into_iter().try_fold(loader.to_owned(), |loader, (theirs, ours)| {
        ensure!(loader.contains(theirs), "the splitter's script does not say `{theirs}` any more");
        Ok(loader.replace(theirs, ours))
    })
}

/// wasm-bindgen's script without its comments and spaces.
fn minified(script: &str) -> anyhow::Result<String> {
    // Its imports end with their lines, which the minifier joins.
    let ended = |line: &str| format!("{line}{}\n", if line.starts_with("import ") { ";" } else { "" });
    let script: String = script.lines().map(ended).collect();
    let mut small = Vec::new();
    minifier::js::minify(&script)
        .map_err(|error| anyhow!("the script cannot be made small: {error}"))?
        .write(&mut small)?;
    Ok(String::from_utf8(small)?)
}

/// Tells one build of the module from another.
fn stamp(module: &Path, profile: Profile) -> anyhow::Result<String> {
    let about = fs::metadata(module).with_context(|| format!("cargo left no {}", module.display()))?;
    let modified = about.modified()?.duration_since(UNIX_EPOCH)?.as_nanos();
    Ok(format!("{} {} {modified}", profile.browser(), about.len()))
}
