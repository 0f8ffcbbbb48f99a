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
    /// Browser tests on a quick build of what the browser loads; pages weigh more then
    #[arg(long)]
    dev: bool,
    /// Browser tests on the server that users run, which takes minutes to build, instead of the one that the Rust
    /// tests were built with
    #[arg(long, conflicts_with = "dev")]
    release: bool,
}

/// Cargo compiles a dependency with the features that the selected packages need together. Those of xtask stay apart,
/// so that what `cargo xtask` and the server are made of is compiled once.
const CHANDLER: &[&str] = &["--workspace", "--exclude", "xtask"];
const XTASK: &[&str] = &["--package", "xtask"];

/// What most processors run, and what every one can: `CHANDLER_KERNELS` of the further rounds.
const ROUNDS: &[&str] = &["avx2", "portable"];
/// Units that compute, and tests of whole models and runs.
const COMPUTING: &[&str] = &[
    "ops::",
    "autograd::",
    "model::",
    "optim::",
    "stage::",
    "generate::",
    // Of the crate `kernel`.
    "activation::",
    "attention::",
    "cross_entropy::",
    "gemm::",
    "lanes::",
    "norm::",
    "rope::",
];
const GOLDENS: &[&str] = &["models", "train", "runs", "adapters"];

/// Checks by tools that nobody has to have: what they look at, and how they are called.
const TOOLS: &[(&str, &str, &[&str])] = &[
    ("spelling", "typos", &[]),
    // Advisories would be fetched.
    (
        "licenses and sources",
        "cargo-deny",
        &["--locked", "--offline", "check", "bans", "licenses", "sources"],
    ),
];

/// Runs what was asked for, and closes with a line `N passed, N failed`.
pub fn run(options: &Options) -> anyhow::Result<()> {
    let mut tally = Tally::default();
    if !options.browser {
        of_rust(&mut tally)?;
    }
    tally.suite("browser tests", |tally| in_browser(tally, options));
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
    for (what, tool, arguments) in TOOLS {
        match process::probe(&mut command(tool, ["--version"])) {
            Some(_) => tally.check(what, || process::run(&mut command(tool, *arguments))),
            None => say(format!("{what}: not looked at, for {tool} is not installed")),
        }
    }
    tally.check("formatting", || process::run(&mut cargo(["fmt", "--all", "--check"])));
    for (of, packages) in [("", CHANDLER), (" of xtask", XTASK)] {
        tally.check(&format!("lints{of}"), || lint(packages, &["--all-targets"]));
    }
    tally.check("lints of the browser's half", || {
        lint(&["--package", "app"], &["--no-default-features", "--features", "hydrate"])
    });
    for (of, packages) in [("", CHANDLER), (" of xtask", XTASK)] {
        let test = |how| {
            let mut test = cargo(["test", "--locked"]);
            test.args(packages).arg(how);
            test
        };
        tally.suite(&format!("Rust tests{of}"), |tally| {
            timed("building", || process::run(&mut test("--no-run")))?;
            follow(&mut test("--no-fail-fast"), tally)
        });
    }
    for kernels in ROUNDS.iter().filter(|kernels| is_lesser(kernels)) {
        tally.suite(&format!("Rust tests on {kernels} kernels"), |tally| on_kernels(kernels, tally));
    }
    Ok(())
}

/// Whether the best kernels of this processor are others, and it has these.
fn is_lesser(kernels: &str) -> bool {
    #[cfg(target_arch = "x86_64")]
    return match kernels {
        "avx2" => is_x86_feature_detected!("avx512f"),
        _ => is_x86_feature_detected!("avx2"),
    };
    #[cfg(not(target_arch = "x86_64"))]
    return kernels != "avx2";
}

/// What depends on kernels, on others than this processor's best. The packages are all of them, as before: with fewer,
/// everything would be compiled anew for other features.
fn on_kernels(kernels: &str, tally: &mut Tally) -> anyhow::Result<()> {
    let mut units = cargo(["test", "--locked", "--no-fail-fast"]);
    units.args(CHANDLER).arg("--lib").arg("--").args(COMPUTING);
    let mut goldens = cargo(["test", "--locked", "--no-fail-fast"]);
    goldens.args(CHANDLER).args(GOLDENS.iter().flat_map(|name| ["--test", name]));
    for mut tests in [units, goldens] {
        follow(tests.env("CHANDLER_KERNELS", kernels), tally)?;
    }
    Ok(())
}

fn lint(packages: &[&str], what: &[&str]) -> anyhow::Result<()> {
    let mut clippy = cargo(["clippy", "--quiet", "--locked"]);
    process::run(clippy.args(packages).args(what).args(["--", "--deny", "warnings"]))
}

/// Both halves, then Playwright against the real server.
fn in_browser(tally: &mut Tally, options: &Options) -> anyhow::Result<()> {
    let browser = browser::ensure()?;
    wasm::build(Profile::release_unless(options.dev))?;
    let server = Profile::release_unless(!options.release);
    let chandler = server::build(server, &server::Features::default())?.canonicalize()?;
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
        if options.dev {
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
