//! `cargo xtask bench encode`: rows of an alpaca file encoded per second, beside LLaMA-Factory's preparation of the
//! same file in one process.
//!
//! The two run in turn, each in a process of its own. A ratio is taken within a pair; the table shows the median of the
//! ratios and their spread.

use std::{
    fs::{self, File},
    io::{BufWriter, Write, stdout},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, bail};
use clap::Args;
use serde_json::{Value, json};

use super::side::{example, measurements, number, peer};
use super::statistics::{median, with_spread};
use crate::process::say;

const FOLDER: &str = "target/bench-encode";
const DATASET: &str = "bench";

#[derive(Args)]
pub struct Options {
    /// A Python with llamafactory; without one only Chandler is measured
    #[arg(long, value_name = "PATH")]
    python: Option<PathBuf>,
    /// Pairs of processes
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pairs: u32,
    /// Rows of the file
    #[arg(long, default_value_t = 200_000)]
    rows: u32,
    /// Folder of the tokenizer
    #[arg(long, value_name = "PATH", default_value = "models/wick")]
    tokenizer: PathBuf,
    #[arg(long, default_value = "chatml")]
    template: String,
}

/// What one process measured.
#[derive(Debug, PartialEq)]
struct Measured {
    rows: f64,
    seconds: f64,
    tokens: u64,
    peak_mb: f64,
}

impl Measured {
    fn rows_per_s(&self) -> f64 {
        self.rows / self.seconds
    }
}

/// Measures both sides and prints the table.
pub fn compare(options: &Options) -> anyhow::Result<()> {
    let chandler = example("encode")?;
    let python = peer(options.python.as_deref(), "llamafactory");
    write_rows(options.rows)?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for number in 1..=options.pairs {
        if let Some(python) = python {
            let mut process = Command::new(python);
            process.arg("benches/reference_encode.py");
            let measured = measure(process, options)?;
            say(format!("LLaMA-Factory {number}: {:.0} rows/s", measured.rows_per_s()));
            theirs.push(measured);
        }
        let measured = measure(Command::new(&chandler), options)?;
        say(format!("Chandler {number}: {:.0} rows/s", measured.rows_per_s()));
        if let Some(theirs) = theirs.last().filter(|theirs| theirs.tokens != measured.tokens) {
            bail!("the two sides do not do the same: {} and {} tokens", theirs.tokens, measured.tokens);
        }
        ours.push(measured);
    }
    print(options, &ours, &theirs)
}

fn print(options: &Options, ours: &[Measured], theirs: &[Measured]) -> anyhow::Result<()> {
    let mut out = stdout().lock();
    writeln!(out, "{} rows of alpaca, median of {} pairs", options.rows, options.pairs)?;
    writeln!(out, "{:<14} {:>14} {:>18}  ratio", "", "LLaMA-Factory", "Chandler")?;
    let rate: fn(&Measured) -> f64 = Measured::rows_per_s;
    for (name, what) in [("rows/s", rate), ("peak memory, MB", |it| it.peak_mb)] {
        let (mine, other): (Vec<f64>, Vec<f64>) =
            (ours.iter().map(what).collect(), theirs.iter().map(what).collect());
        let ratios: Vec<f64> = mine.iter().zip(&other).map(|(mine, other)| mine / other).collect();
        let (other, ratio) = match other.is_empty() {
            true => ("–".to_owned(), "–".to_owned()),
            false => (format!("{:.0}", median(&other)), with_spread(&ratios)),
        };
        writeln!(out, "{name:<16} {other:>12} {:>18.0}  {ratio}", median(&mine))?;
    }
    Ok(())
}

/// An alpaca file of `rows` rows: always the same words, in the lengths that such files have.
fn write_rows(rows: u32) -> anyhow::Result<()> {
    const WORDS: [&str; 32] = [
        "the", "of", "ship", "harbour", "write", "explain", "a", "list", "three", "reasons", "why", "water",
        "and", "light", "is", "used", "in", "engine", "letters", "numbers", "between", "describe", "how",
        "people", "travel", "to", "cities", "with", "without", "question", "answer", "example",
    ];
    fs::create_dir_all(FOLDER)?;
    let info = json!({DATASET: {"file_name": "bench.json"}});
    fs::write(Path::new(FOLDER).join("dataset_info.json"), info.to_string())?;
    let mut file = BufWriter::new(File::create(Path::new(FOLDER).join("bench.json"))?);
    let mut state = 1u64;
    let mut next = |bound: u64| {
        // Knuth's MMIX generator; the upper bits are the good ones.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % bound
    };
    let mut text = |least: u64, span: u64| {
        let count = least + next(span);
        let words: Vec<&str> = (0..count).map(|_| WORDS[next(WORDS.len() as u64) as usize]).collect();
        words.join(" ")
    };
    for row in 0..rows {
        let input = if row % 3 == 0 { text(4, 24) } else { String::new() };
        let row_text = json!({"instruction": text(6, 14), "input": input, "output": text(10, 90)});
        let before = if row == 0 { "[" } else { ",\n" };
        write!(file, "{before}{row_text}")?;
    }
    writeln!(file, "]")?;
    file.flush()?;
    Ok(())
}

fn measure(mut process: Command, options: &Options) -> anyhow::Result<Measured> {
    process.args(["--data", FOLDER, "--dataset", DATASET, "--template", &options.template]);
    process.arg("--tokenizer").arg(&options.tokenizer);
    // What is encoded is written, as the other side does, but not where runs would find it.
    process.env("CHANDLER_CACHE", Path::new(FOLDER).join("cache"));
    read(&measurements(&mut process)?)
}

fn read(value: &Value) -> anyhow::Result<Measured> {
    Ok(Measured {
        rows: number(value, "rows")?,
        seconds: number(value, "seconds")?,
        tokens: value["tokens"].as_u64().context("no tokens")?,
        peak_mb: number(value, "peak_mb")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measurements_are_read() {
        let all = json!({"rows": 100, "seconds": 0.5, "tokens": 7, "peak_mb": 1.5});
        assert_eq!(read(&all).unwrap().rows_per_s(), 200.0);
        assert!(read(&json!({"rows": 100})).is_err());
    }
}
