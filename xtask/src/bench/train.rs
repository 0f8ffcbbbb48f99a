//! `cargo xtask bench train`: optimisation steps of Chandler's engine beside PyTorch with PEFT.
//!
//! Both sides do the same work on the same shape, each in a process of its own, one after the other in
//! pairs, so that whatever else the machine does falls on both. A ratio is taken within a pair; the table
//! shows the median of the ratios and their spread.

use std::{
    io::{Write, stdout},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use serde_json::Value;

use super::statistics::{median, with_spread};
use crate::process::{cargo, run, say, timed};

#[derive(Args)]
pub struct Options {
    /// A Python with torch, transformers and peft; without one only Chandler is measured
    #[arg(long, value_name = "PATH")]
    python: Option<PathBuf>,
    /// Pairs of processes per case
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pairs: u32,
    /// Steps per process; the first, which allocates, is not counted
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(2..))]
    steps: u32,
    /// Sequences per batch
    #[arg(long, default_value_t = 2)]
    batch: u32,
    /// Tokens per sequence
    #[arg(long, default_value_t = 256)]
    seq: u32,
    /// What to measure; may be given several times
    #[arg(long = "case", value_enum, default_value = "lora")]
    cases: Vec<Case>,
}

/// What is trained, and how.
#[derive(Clone, Copy, ValueEnum)]
enum Case {
    /// LoRA of rank 8 on all linear layers of the 135M shape, f32
    Lora,
    /// The same with gradient checkpointing
    Checkpointing,
    /// Every weight of the 135M shape, f32
    Full,
    /// LoRA in bf16, against the faster of PyTorch's two bf16 modes
    Bf16,
    /// LoRA on a model of 4 layers with hidden size 64
    Tiny,
}

impl Case {
    fn name(self) -> &'static str {
        match self {
            Case::Lora => "LoRA",
            Case::Checkpointing => "LoRA, checkpointing",
            Case::Full => "full",
            Case::Bf16 => "LoRA, bf16",
            Case::Tiny => "LoRA, tiny",
        }
    }

    /// Arguments that both sides understand.
    fn arguments(self) -> &'static [&'static str] {
        match self {
            Case::Lora => &["--shape", "135m"],
            Case::Checkpointing => &["--shape", "135m", "--checkpointing"],
            Case::Full => &["--shape", "135m", "--full"],
            Case::Bf16 => &["--shape", "135m"],
            Case::Tiny => &["--shape", "tiny"],
        }
    }

    fn chandler_types(self) -> &'static str {
        if matches!(self, Case::Bf16) { "bf16" } else { "f32" }
    }

    fn torch_types(self) -> &'static [&'static str] {
        if matches!(self, Case::Bf16) { &["bf16", "autocast"] } else { &["f32"] }
    }
}

/// What one process measured.
struct Measured {
    /// Median over the steps after the first.
    step_ms: f64,
    peak_mb: f64,
    first_loss: f64,
    last_loss: f64,
}

/// Measures every case and prints the table.
pub fn compare(options: &Options) -> anyhow::Result<()> {
    let mut build = cargo(["build", "--release", "--package", "engine", "--example", "train_step"]);
    timed("engine, cargo", || run(&mut build))?;
    let chandler = Path::new("target/release/examples/train_step").canonicalize()?;
    let python = options.python.as_deref().filter(|python| usable(python));
    if options.python.is_none() {
        say("no --python named: measuring Chandler alone");
    }
    let mut lines = Vec::new();
    for &case in &options.cases {
        let mut pairs = Vec::new();
        for number in 1..=options.pairs {
            let theirs = python.map(|python| torch(python, case, options)).transpose()?;
            let ours =
                measure(with_arguments(Command::new(&chandler), case, options, case.chandler_types()))?;
            report(case, number, &ours, theirs.as_ref());
            pairs.push((ours, theirs));
        }
        lines.push(line(case, &pairs));
    }
    let mut out = stdout().lock();
    writeln!(out, "batch {} × {} tokens, median of {} pairs", options.batch, options.seq, options.pairs)?;
    writeln!(out, "{:<20} {:>30}  {:>30}", "", "step, ms", "peak memory, MB")?;
    let (torch, chandler, ratio) = ("PyTorch", "Chandler", "ratio");
    let columns = format!("{torch:>8} {chandler:>8}  {ratio:<18}");
    writeln!(out, "{:<20} {columns}  {columns}", "case")?;
    lines.iter().try_for_each(|line| writeln!(out, "{line}"))?;
    Ok(())
}

fn usable(python: &Path) -> bool {
    let found = Command::new(python)
        .args(["-c", "import torch, transformers, peft"])
        .status()
        .is_ok_and(|status| status.success());
    if !found {
        say(format!(
            "{} cannot import torch, transformers and peft: measuring Chandler alone",
            python.display()
        ));
    }
    found
}

/// PyTorch's side; of several ways to hold numbers, the fastest.
fn torch(python: &Path, case: Case, options: &Options) -> anyhow::Result<Measured> {
    let mut best: Option<Measured> = None;
    for numbers in case.torch_types() {
        let mut process = Command::new(python);
        process.arg("benches/torch_train.py");
        let measured = measure(with_arguments(process, case, options, numbers))?;
        if best.as_ref().is_none_or(|best| measured.step_ms < best.step_ms) {
            best = Some(measured);
        }
    }
    best.context("no number type to measure PyTorch with")
}

fn with_arguments(mut process: Command, case: Case, options: &Options, numbers: &str) -> Command {
    process.args(case.arguments()).args(["--dtype", numbers]);
    let sizes = [("--batch", options.batch), ("--seq", options.seq), ("--steps", options.steps)];
    for (name, value) in sizes {
        process.args([name, &value.to_string()]);
    }
    process
}

/// Runs one process and reads the JSON in the last line it printed.
fn measure(mut process: Command) -> anyhow::Result<Measured> {
    let name = process.get_program().to_string_lossy().into_owned();
    let output = process.stderr(Stdio::inherit()).output().with_context(|| format!("cannot start {name}"))?;
    if !output.status.success() {
        bail!("{name} ended with {}", output.status);
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().last().unwrap_or_default();
    read(line).with_context(|| format!("{name} printed, instead of its measurements: {line}"))
}

fn read(line: &str) -> anyhow::Result<Measured> {
    let value: Value = serde_json::from_str(line)?;
    let numbers =
        |key: &str| -> Option<Vec<f64>> { value[key].as_array()?.iter().map(Value::as_f64).collect() };
    let steps = numbers("step_ms").filter(|steps| steps.len() >= 2).context("no step_ms")?;
    let losses = numbers("losses").filter(|losses| losses.len() == steps.len()).context("no losses")?;
    Ok(Measured {
        step_ms: median(&steps[1..]),
        peak_mb: value["peak_mb"].as_f64().context("no peak_mb")?,
        first_loss: losses[0],
        last_loss: losses[losses.len() - 1],
    })
}

fn report(case: Case, number: u32, ours: &Measured, theirs: Option<&Measured>) {
    let side = |name: &str, it: &Measured| {
        let Measured { step_ms, peak_mb, first_loss, last_loss } = it;
        format!("{name} {step_ms:.0} ms, {peak_mb:.0} MB, loss {first_loss:.4} → {last_loss:.4}")
    };
    let theirs = theirs.map(|it| side("; PyTorch", it)).unwrap_or_default();
    say(format!("{} {number}: {}{theirs}", case.name(), side("Chandler", ours)));
}

/// A row of the table.
fn line(case: Case, pairs: &[(Measured, Option<Measured>)]) -> String {
    let half = |what: fn(&Measured) -> f64| {
        let ours: Vec<f64> = pairs.iter().map(|(ours, _)| what(ours)).collect();
        let theirs: Vec<f64> = pairs.iter().filter_map(|(_, theirs)| theirs.as_ref().map(what)).collect();
        let ratios: Vec<f64> = ours.iter().zip(&theirs).map(|(ours, theirs)| ours / theirs).collect();
        match theirs.is_empty() {
            true => format!("{:>8} {:>8.0}  {:<18}", "–", median(&ours), "–"),
            false => format!("{:>8.0} {:>8.0}  {:<18}", median(&theirs), median(&ours), with_spread(&ratios)),
        }
    };
    format!("{:<20} {}  {}", case.name(), half(|it| it.step_ms), half(|it| it.peak_mb))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measurements_leave_the_first_step_out() {
        let measured =
            read(r#"{"step_ms": [900, 10, 12, 11], "peak_mb": 64.5, "losses": [6, 5, 4, 3]}"#).unwrap();
        assert_eq!((measured.step_ms, measured.peak_mb), (11.0, 64.5));
        assert_eq!((measured.first_loss, measured.last_loss), (6.0, 3.0));
    }

    #[test]
    fn a_line_without_measurements_is_refused() {
        assert!(read(r#"{"step_ms": [1, 2], "peak_mb": 3}"#).is_err());
        assert!(read("Killed").is_err());
    }

    #[test]
    fn a_row_shows_the_median_ratio_and_its_spread() {
        let side = |step_ms, peak_mb| Measured { step_ms, peak_mb, first_loss: 1.0, last_loss: 0.5 };
        let pairs = [(50.0, 30.0), (60.0, 30.0), (55.0, 30.0)]
            .map(|(step, peak)| (side(step, peak), Some(side(100.0, 100.0))));
        let row = line(Case::Lora, &pairs);
        assert!(row.contains("0.55 (0.50–0.60)") && row.contains("0.30 (0.30–0.30)"), "{row}");
    }
}
