//! What browser tests need: Node, Playwright's library, a Chromium and an nginx of the system.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};

use crate::{
    process::{command, probe, run, say},
    system,
};

/// Installs what is missing; answers with the browser's path.
pub fn ensure() -> anyhow::Result<PathBuf> {
    let node = probe(&mut command("node", ["--version"])).is_some();
    if !node || probe(&mut command("npm", ["--version"])).is_none() {
        system::install(&["nodejs", "npm"], "driving a browser")?;
    }
    playwright()?;
    proxy()?;
    if let Some(path) = find() {
        return Ok(path);
    }
    system::install(&["chromium"], "the browser tests")?;
    find().context("chromium was installed, but it is not on PATH")
}

/// The browser that `CHROMIUM` names, else the first one known on `PATH`.
fn find() -> Option<PathBuf> {
    if let Some(path) = env::var_os("CHROMIUM") {
        return Some(path.into());
    }
    let path = env::var_os("PATH")?;
    ["chromium", "chromium-browser", "google-chrome"]
        .iter()
        .flat_map(|name| env::split_paths(&path).map(move |folder| folder.join(name)))
        .find(|candidate| candidate.is_file())
}

/// nginx, which a board stands behind, and what makes its certificate.
fn proxy() -> anyhow::Result<()> {
    // Debian puts it where root alone looks for programs.
    let nginx = Path::new("/usr/sbin/nginx").exists() || probe(&mut command("nginx", ["-v"])).is_some();
    if nginx && probe(&mut command("openssl", ["version"])).is_some() {
        return Ok(());
    }
    system::install(&["nginx-light", "openssl"], "the tests behind a proxy")
}

/// `playwright-core` as locked; it brings no browser of its own.
fn playwright() -> anyhow::Result<()> {
    let lock = fs::read_to_string("e2e/package-lock.json").context("cannot read e2e/package-lock.json")?;
    let stamp = Path::new("e2e/node_modules/.lock");
    if fs::read_to_string(stamp).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    say("installing playwright-core into e2e/node_modules");
    let mut npm = command("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"]);
    run(npm.current_dir("e2e"))?;
    if !Path::new("e2e/node_modules/playwright-core").is_dir() {
        bail!("npm left no e2e/node_modules/playwright-core");
    }
    fs::write(stamp, lock).context("cannot write e2e/node_modules/.lock")
}
