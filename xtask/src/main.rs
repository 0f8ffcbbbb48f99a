//! `cargo xtask …`: builds, runs, tests and measures Chandler with nothing but cargo and package managers.

mod bench;
mod browser;
mod model;
mod process;
mod server;
mod system;
mod tests;
mod wasm;

use std::{env, path::Path, process::ExitCode};

use anyhow::Context;
use clap::{Parser, Subcommand};

use crate::{model::Model, wasm::Profile};

#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about, disable_version_flag = true)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build everything and start the dashboard
    Serve {
        /// Quick builds without full optimisation, for work on the code
        #[arg(long)]
        dev: bool,
        #[command(flatten)]
        server: server::Features,
        /// Arguments for `chandler webui`
        #[arg(last = true)]
        webui: Vec<String>,
    },
    /// Build the server and the browser's half
    Build {
        /// Optimise fully, and compress what the browser loads
        #[arg(long)]
        release: bool,
        #[command(flatten)]
        server: server::Features,
    },
    /// Build the browser's half alone: module, script, styles, public files
    Wasm {
        /// Built for size, and compressed
        #[arg(long)]
        release: bool,
    },
    /// Format, lints, unit and golden tests, browser tests
    Test(tests::Options),
    /// Bring a model that is not bundled into models/
    Model { name: Model },
    /// Measure, and print a table
    #[command(subcommand)]
    Bench(Bench),
    /// Print the versions of Chandler and of the tools it is built with
    Version,
}

#[derive(Subcommand)]
enum Bench {
    /// Optimisation steps: time and memory beside PyTorch with PEFT
    Train(bench::train::Options),
    /// Cost over sequence length and number of layers beside PyTorch with PEFT
    Scaling(bench::scaling::Options),
    /// A whole run, from start to saved adapter: time beside `llamafactory-cli train`
    End(bench::end::Options),
    /// Encoding of a data set: rows per second beside LLaMA-Factory's, in one process
    Encode(bench::encode::Options),
    /// Sequences that are continued together: tokens per second, and bytes of their keys and values
    Generate(bench::generate::Options),
    /// The estimate of memory beside what runs take, by stage, method, precision and optimiser
    Memory(bench::memory::Options),
    /// The dashboard's server: start-up, memory, weight of the first page
    Server(bench::server::Options),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments.task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> anyhow::Result<()> {
    let root =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().context("the project's folder")?;
    env::set_current_dir(&root).with_context(|| format!("cannot enter {}", root.display()))?;
    match task {
        Task::Serve { dev, server, webui } => server::serve(Profile::release_unless(dev), &server, &webui),
        Task::Build { release, server } => {
            let profile = Profile::release_unless(!release);
            wasm::build(profile)?;
            server::build(profile, &server)?;
            Ok(())
        }
        Task::Wasm { release } => wasm::build(Profile::release_unless(!release)),
        Task::Test(options) => tests::run(&options),
        Task::Model { name } => model::bring(name, Path::new("models")),
        Task::Bench(Bench::Train(options)) => bench::train::compare(&options),
        Task::Bench(Bench::Scaling(options)) => bench::scaling::compare(&options),
        Task::Bench(Bench::End(options)) => bench::end::compare(&options),
        Task::Bench(Bench::Encode(options)) => bench::encode::compare(&options),
        Task::Bench(Bench::Generate(options)) => bench::generate::measure(&options),
        Task::Bench(Bench::Memory(options)) => bench::memory::compare(&options),
        Task::Bench(Bench::Server(options)) => bench::server::measure(&options),
        Task::Version => version(),
    }
}

fn version() -> anyhow::Result<()> {
    println!("chandler {}", env!("CARGO_PKG_VERSION"));
    for mut tool in [process::command("rustc", ["--version"]), process::command("cargo", ["--version"])] {
        println!("{}", process::output(&mut tool)?.trim());
    }
    println!("toolchain of the browser's half: {}", wasm::toolchain::find()?);
    Ok(())
}
