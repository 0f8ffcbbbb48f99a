//! `cargo xtask bench scaling`: what a LoRA step costs as sequences and the stack of layers grow, beside
//! PyTorch with PEFT.

use std::{
    io::{Write, stdout},
    path::PathBuf,
};

use clap::Args;

use super::statistics::{figure, median};
use super::train::{Case, Measured, Pair, Sides, Size};
use crate::process::say;

#[derive(Args)]
pub struct Options {
    /// A Python with torch, transformers and peft; without one only Chandler is measured
    #[arg(long, value_name = "PATH")]
    python: Option<PathBuf>,
    /// Pairs of processes per size
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pairs: u32,
    /// Steps per process; the first, which allocates, is not counted
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(2..))]
    steps: u32,
    /// Tokens of the one sequence
    #[arg(long, value_delimiter = ',', default_value = "256,512,1024,2048,4096")]
    seqs: Vec<u32>,
    /// Layers while the length grows
    #[arg(long, default_value_t = 6)]
    depth: u32,
    /// Numbers of layers, at 256 tokens
    #[arg(long, value_delimiter = ',', default_value = "4,8,16,30")]
    layers: Vec<u32>,
}

/// Measures each size and prints the table.
pub fn compare(options: &Options) -> anyhow::Result<()> {
    let sides = Sides::find(options.python.as_deref())?;
    let size = Size { steps: options.steps, batch: 1, seq: 256, layers: None };
    let lengths: Vec<Size> =
        options.seqs.iter().map(|&seq| Size { seq, layers: Some(options.depth), ..size }).collect();
    let stacks: Vec<Size> =
        options.layers.iter().map(|&layers| Size { layers: Some(layers), ..size }).collect();
    let mut rows = Vec::new();
    let mut layer = None;
    for sizes in [lengths, stacks] {
        let mut costs = Vec::new();
        for size in sizes {
            let pairs: Vec<Pair> =
                (0..options.pairs).map(|_| sides.measure(Case::Lora, size)).collect::<anyhow::Result<_>>()?;
            costs.push((size, Cost::of(&pairs)));
            rows.push(row(&costs));
            say(rows.last().map_or("", String::as_str));
        }
        layer = per_layer(&costs);
    }
    let mut out = stdout().lock();
    writeln!(out, "135M shape, LoRA, one sequence, median of {} pairs; × is growth", options.pairs)?;
    let (torch, chandler) = ("PyTorch", "Chandler");
    let columns = format!("{torch:>9} {:>7} {chandler:>9} {:>7}", "", "");
    writeln!(out, "{:>6} {:>6} {:^35}  {:^35}", "tokens", "layers", "step, ms", "peak memory, MB")?;
    writeln!(out, "{:>6} {:>6} {columns}  {columns}", "", "")?;
    rows.iter().chain(&layer).try_for_each(|row| writeln!(out, "{row}"))?;
    Ok(())
}

/// Medians of one size: milliseconds and megabytes of both sides, Chandler's first.
#[derive(Clone, Copy)]
struct Cost {
    step_ms: [f64; 2],
    peak_mb: [f64; 2],
}

impl Cost {
    fn of(pairs: &[Pair]) -> Self {
        let both = |what: fn(&Measured) -> f64| {
            let ours: Vec<f64> = pairs.iter().map(|pair| what(&pair.ours)).collect();
            let theirs: Vec<f64> = pairs.iter().filter_map(|pair| pair.theirs.as_ref().map(what)).collect();
            [median(&ours), median(&theirs)]
        };
        Cost { step_ms: both(|it| it.step_ms), peak_mb: both(|it| it.peak_mb) }
    }
}

/// The row of the last size, with its growth over the first.
fn row(costs: &[(Size, Cost)]) -> String {
    let ((_, base), (size, cost)) = (costs[0], costs[costs.len() - 1]);
    let side = |value: f64, base: f64| match value.is_nan() {
        true => format!("{:>9} {:>7}", "–", ""),
        false => format!("{:>9} {:>7}", figure(value), format!("×{:.2}", value / base)),
    };
    let layers = size.layers.unwrap_or_default();
    format!("{:>6} {layers:>6} {}", size.seq, sides(cost, base, side))
}

/// What each layer more costs: unlike the growth, this says nothing about what a process costs without any.
fn per_layer(costs: &[(Size, Cost)]) -> Option<String> {
    let [(small, low), .., (large, high)] = costs else { return None };
    let more = f64::from(large.layers?.checked_sub(small.layers?).filter(|more| *more > 0)?);
    let side = |high: f64, low: f64| match high.is_nan() {
        true => format!("{:>9} {:>7}", "–", ""),
        false => format!("{:>9} {:>7}", figure((high - low) / more), ""),
    };
    Some(format!("a layer more  {}", sides(*high, *low, side)).trim_end().to_owned())
}

/// Time and memory, PyTorch's side before Chandler's.
fn sides(cost: Cost, base: Cost, side: impl Fn(f64, f64) -> String) -> String {
    let both =
        |cost: [f64; 2], base: [f64; 2]| format!("{} {}", side(cost[1], base[1]), side(cost[0], base[0]));
    format!("{}  {}", both(cost.step_ms, base.step_ms), both(cost.peak_mb, base.peak_mb))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_shows_how_costs_grow() {
        let size = |layers| Size { steps: 3, batch: 1, seq: 512, layers: Some(layers) };
        let base = Cost { step_ms: [100.0, 200.0], peak_mb: [10.0, f64::NAN] };
        let cost = Cost { step_ms: [150.0, 500.0], peak_mb: [12.0, f64::NAN] };
        let costs = [(size(6), base), (size(16), cost)];
        let words = |row: String| row.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(words(row(&costs)), ["512", "16", "500", "×2.50", "150", "×1.50", "–", "12.0", "×1.20"]);
        assert_eq!(words(per_layer(&costs).unwrap()), ["a", "layer", "more", "30.0", "5.0", "–", "0.2"]);
        assert_eq!(per_layer(&costs[..1]), None);
    }
}
