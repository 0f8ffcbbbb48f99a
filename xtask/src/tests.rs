//! `cargo xtask test`: everything that must hold before a change is taken.

mod tally;

use std::{
    io::{BufRead, BufReader, Write, stdout},
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, bail};
use clap::Args;

use crate::{
    browser,
    process::{self, cargo, command, say, timed},
    server, system,
    wasm::{self, Profile},
};
use tally::Tally;

/// What to check, and on which build.
#[derive(Args)]
pub struct Options {
    /// The browser tests alone
    #[arg(long)]
    browser: bool,
    /// Browser tests on a quick build instead of the one that users run; pages weigh more then
    #[arg(long)]
    dev: bool,
}

/// Runs what was asked for, and closes with a line `N passed, N failed`.
pub fn run(options: &Options) -> anyhow::Result<()> {
    let mut tally = Tally::default();
    if !options.browser {
        of_rust(&mut tally)?;
    }
    let profile = Profile::release_unless(options.dev);
    tally.suite("browser tests", |tally| in_browser(tally, profile));
    println!("{tally}");
    if tally.failures() > 0 {
        bail!("{} of the checks failed: {}", tally.failures(), tally.failed_names().join(", "));
    }
    Ok(())
}

/// Format, lints, unit and golden tests; a failure does not keep the next check from running.
fn of_rust(tally: &mut Tally) -> anyhow::Result<()> {
    system::ensure_c_compiler()?;
    system::ensure_components(&["rustfmt", "clippy"])?;
    tally.check("formatting", || process::run(&mut cargo(["fmt", "--all", "--check"])));
    tally.check("lints", || process::run(&mut clippy(&["--locked", "--workspace", "--all-targets"])));
    tally.check("lints of the browser's half", || {
        let mut lint = ["--package", "app", "--no-default-features", "--features", "hydrate"].to_vec();
        // Its features differ from the server's: a folder of its own keeps both caches warm.
        lint.extend(["--target-dir", "target/front"]);
        process::run(&mut clippy(&lint))
    });
    tally.suite("Rust tests", |tally| {
        timed("Rust tests, building", || process::run(&mut cargo(["test", "--workspace", "--no-run"])))?;
        follow(&mut cargo(["test", "--workspace", "--no-fail-fast"]), tally)
    });
    Ok(())
}

fn clippy(what: &[&str]) -> Command {
    let mut clippy = cargo(["clippy", "--quiet"]);
    clippy.args(what).args(["--", "--deny", "warnings"]);
    clippy
}

/// Both halves, then Playwright against the real server.
fn in_browser(tally: &mut Tally, profile: Profile) -> anyhow::Result<()> {
    let browser = browser::ensure()?;
    wasm::build(profile)?;
    let chandler = server::build(profile, &server::Features::default())?.canonicalize()?;
    let site = wasm::site().canonicalize()?;
    let mut files: Vec<_> = Path::new("e2e")
        .read_dir()
        .context("cannot read e2e/")?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.to_string_lossy().ends_with(".test.mjs"))
        .collect();
    files.sort();
    for file in files {
        // One file after the other: each starts a server and trains on all cores.
        let mut node = command("node", ["--test", "--test-reporter=spec"]);
        node.arg(&file).env("CHANDLER", &chandler).env("LEPTOS_SITE_ROOT", &site).env("CHROMIUM", &browser);
        if profile == Profile::Dev {
            // The module is not built for size: what it weighs is not looked at.
            node.env("CHANDLER_DEV", "1");
        }
        follow(&mut node, tally)?;
    }
    Ok(())
}

/// Shows what a test runner prints while counting its tests.
fn follow(runner: &mut Command, tally: &mut Tally) -> anyhow::Result<()> {
    let mut child = runner.stdout(Stdio::piped()).spawn().context("cannot start the test runner")?;
    let output = child.stdout.take().context("the test runner has no output")?;
    let before = tally.failures();
    for line in BufReader::new(output).split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        tally.count(&line);
        writeln!(stdout(), "{line}")?;
    }
    let status = child.wait()?;
    if !status.success() && tally.failures() == before {
        bail!("{} ended with {status}", runner.get_program().to_string_lossy());
    }
    if !status.success() {
        say("some of these tests failed");
    }
    Ok(())
}
