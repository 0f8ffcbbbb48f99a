//! `cargo xtask bench train`: optimisation steps of Chandler's engine beside PyTorch with PEFT.
//!
//! Both sides do the same work on the same shape, each in a process of its own, one after the other in
//! pairs, so that whatever else the machine does falls on both. A ratio is taken within a pair; the table
//! shows the median of the ratios and their spread.

use std::{
    io::{Write, stdout},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context;
use clap::{Args, ValueEnum};
use serde_json::Value;

use super::side::{example, measurements, number, peer};
use super::statistics::{figure, median, with_spread};
use crate::process::say;

#[derive(Args)]
pub struct Options {
    /// A Python with torch, transformers and peft; without one only Chandler is measured
    #[arg(long, value_name = "PATH")]
    python: Option<PathBuf>,
    /// Pairs of processes per case
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pairs: u32,
    #[command(flatten)]
    size: Size,
    /// What to measure, all of them if not named; may be given several times
    #[arg(long = "case", value_enum)]
    cases: Vec<Case>,
}

/// How much a process does.
#[derive(Args, Clone, Copy)]
pub struct Size {
    /// Steps per process; the first, which allocates, is not counted
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(2..))]
    pub steps: u32,
    /// Sequences per batch
    #[arg(long, default_value_t = 2)]
    pub batch: u32,
    /// Tokens per sequence
    #[arg(long, default_value_t = 256)]
    pub seq: u32,
    /// Layers, instead of the shape's own
    #[arg(long)]
    pub layers: Option<u32>,
}

/// What is trained, and how.
#[derive(Clone, Copy, ValueEnum)]
pub enum Case {
    /// LoRA of rank 8 on all linear layers of the 135M shape, f32
    Lora,
    /// The same with gradient checkpointing
    Checkpointing,
    /// Every weight of the 135M shape, f32
    Full,
    /// LoRA in bf16, against the faster of PyTorch's two bf16 modes
    Bf16,
    /// LoRA on a model of 4 layers with hidden size 64; twenty times the steps, as they are short
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
pub struct Measured {
    /// Median over the steps after the first.
    pub step_ms: f64,
    pub peak_mb: f64,
    first_loss: f64,
    last_loss: f64,
    /// Share of the rate of plain matrix products that a step's arithmetic reaches; Chandler's side only.
    gemm_share: Option<f64>,
}

/// The two programs that are compared.
pub struct Sides<'a> {
    chandler: PathBuf,
    python: Option<&'a Path>,
}

impl<'a> Sides<'a> {
    /// Builds Chandler's, looks for the other.
    pub fn find(python: Option<&'a Path>) -> anyhow::Result<Self> {
        let chandler = example("train_step")?;
        Ok(Sides { chandler, python: peer(python, "torch, transformers, peft") })
    }

    /// Both, one after the other.
    pub fn measure(&self, case: Case, size: Size) -> anyhow::Result<Pair> {
        let theirs = self.python.map(|python| torch(python, case, size)).transpose()?;
        let mut chandler = Command::new(&self.chandler);
        // What `chandler train` sets itself.
        chandler.env("MIMALLOC_PURGE_DELAY", "-1");
        let ours = read(&measurements(with_arguments(&mut chandler, case, size, case.chandler_types()))?)?;
        Ok(Pair { ours, theirs })
    }
}

/// Measurements taken one after the other.
pub struct Pair {
    pub ours: Measured,
    pub theirs: Option<Measured>,
}

/// Measures every case and prints the table.
pub fn compare(options: &Options) -> anyhow::Result<()> {
    let sides = Sides::find(options.python.as_deref())?;
    let mut lines = Vec::new();
    let cases = if options.cases.is_empty() { Case::value_variants() } else { &options.cases };
    for &case in cases {
        let mut pairs = Vec::new();
        for number in 1..=options.pairs {
            let pair = sides.measure(case, options.size)?;
            report(case, number, &pair);
            pairs.push(pair);
        }
        lines.push(line(case, &pairs));
    }
    let Size { batch, seq, .. } = options.size;
    let mut out = stdout().lock();
    writeln!(out, "batch {batch} × {seq} tokens, median of {} pairs", options.pairs)?;
    writeln!(out, "{:<20} {:>30}  {:>30}", "", "step, ms", "peak memory, MB")?;
    let (torch, chandler, ratio) = ("PyTorch", "Chandler", "ratio");
    let columns = format!("{torch:>8} {chandler:>8}  {ratio:<18}");
    writeln!(out, "{:<20} {columns}  {columns}  of GEMM peak", "case")?;
    lines.iter().try_for_each(|line| writeln!(out, "{line}"))?;
    Ok(())
}

/// PyTorch's side; of several ways to hold numbers, the fastest.
fn torch(python: &Path, case: Case, size: Size) -> anyhow::Result<Measured> {
    let mut best: Option<Measured> = None;
    for numbers in case.torch_types() {
        let mut process = Command::new(python);
        process.arg("benches/torch_train.py");
        let measured = read(&measurements(with_arguments(&mut process, case, size, numbers))?)?;
        if best.as_ref().is_none_or(|best| measured.step_ms < best.step_ms) {
            best = Some(measured);
        }
    }
    best.context("no number type to measure PyTorch with")
}

fn with_arguments<'a>(process: &'a mut Command, case: Case, size: Size, numbers: &str) -> &'a mut Command {
    process.args(case.arguments()).args(["--dtype", numbers]);
    let steps = if matches!(case, Case::Tiny) { 20 * size.steps } else { size.steps };
    let sizes = [("--batch", size.batch), ("--seq", size.seq), ("--steps", steps)];
    for (name, value) in sizes.into_iter().chain(size.layers.map(|layers| ("--layers", layers))) {
        process.args([name, &value.to_string()]);
    }
    process
}

fn read(value: &Value) -> anyhow::Result<Measured> {
    let numbers =
        |key: &str| -> Option<Vec<f64>> { value[key].as_array()?.iter().map(Value::as_f64).collect() };
    let steps = numbers("step_ms").filter(|steps| steps.len() >= 2).context("no step_ms")?;
    let losses = numbers("losses").filter(|losses| losses.len() == steps.len()).context("no losses")?;
    let step_ms = median(&steps[1..]);
    let rate = |gflop: f64| gflop / (step_ms / 1e3);
    let gemm_share = value["step_gflop"].as_f64().zip(value["gemm_gflops"].as_f64());
    Ok(Measured {
        step_ms,
        peak_mb: number(value, "peak_mb")?,
        first_loss: losses[0],
        last_loss: losses[losses.len() - 1],
        gemm_share: gemm_share.map(|(gflop, peak)| rate(gflop) / peak),
    })
}

fn report(case: Case, number: u32, pair: &Pair) {
    let side = |name: &str, it: &Measured| {
        let Measured { step_ms, peak_mb, first_loss, last_loss, .. } = it;
        let step_ms = figure(*step_ms);
        format!("{name} {step_ms} ms, {peak_mb:.0} MB, loss {first_loss:.4} → {last_loss:.4}")
    };
    let theirs = pair.theirs.as_ref().map(|it| side("; PyTorch", it)).unwrap_or_default();
    say(format!("{} {number}: {}{theirs}", case.name(), side("Chandler", &pair.ours)));
}

/// A row of the table.
fn line(case: Case, pairs: &[Pair]) -> String {
    let half = |what: fn(&Measured) -> f64| {
        let ours: Vec<f64> = pairs.iter().map(|pair| what(&pair.ours)).collect();
        let theirs: Vec<f64> = pairs.iter().filter_map(|pair| pair.theirs.as_ref().map(what)).collect();
        let ratios: Vec<f64> = ours.iter().zip(&theirs).map(|(ours, theirs)| ours / theirs).collect();
        let ours = figure(median(&ours));
        match theirs.is_empty() {
            true => format!("{:>8} {ours:>8}  {:<18}", "–", "–"),
            false => format!("{:>8} {ours:>8}  {:<18}", figure(median(&theirs)), with_spread(&ratios)),
        }
    };
    let shares: Vec<f64> = pairs.iter().filter_map(|pair| pair.ours.gemm_share).collect();
    let share = format!("{:.0} %", 100.0 * median(&shares));
    format!("{:<20} {}  {}  {share}", case.name(), half(|it| it.step_ms), half(|it| it.peak_mb))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn measurements_leave_the_first_step_out() {
        let measured = read(&json!({
            "step_ms": [900, 10, 12, 11], "peak_mb": 64.5, "losses": [6, 5, 4, 3],
            "step_gflop": 1.1, "gemm_gflops": 200,
        }));
        let measured = measured.unwrap();
        assert_eq!((measured.step_ms, measured.peak_mb), (11.0, 64.5));
        assert_eq!((measured.first_loss, measured.last_loss), (6.0, 3.0));
        assert!((measured.gemm_share.unwrap() - 0.5).abs() < 1e-9);
    }

    #[test]
    fn incomplete_measurements_are_refused() {
        assert!(read(&json!({"step_ms": [1, 2], "peak_mb": 3})).is_err());
        assert!(read(&json!("Killed")).is_err());
    }

    #[test]
    fn a_row_shows_the_median_ratio_and_its_spread() {
        let side = |step_ms, peak_mb| Measured {
            step_ms,
            peak_mb,
            first_loss: 1.0,
            last_loss: 0.5,
            gemm_share: Some(0.8),
        };
        let pairs = [(50.0, 30.0), (60.0, 30.0), (55.0, 30.0)]
            .map(|(step, peak)| Pair { ours: side(step, peak), theirs: Some(side(100.0, 100.0)) });
        let row = line(Case::Lora, &pairs);
        assert!(row.contains("0.55 (0.50–0.60)") && row.contains("0.30 (0.30–0.30)"), "{row}");
        assert!(row.ends_with("80 %"), "{row}");
    }
}
