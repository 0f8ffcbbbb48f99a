//! `cargo xtask bench generate`: tokens per second of sequences that are continued together, and the bytes of their keys
//! and values.
//!
//! The model has random weights, every token is the likeliest one, and nothing ends a sequence but its length.

use std::{
    io::{Write, stdout},
    process::Command,
};

use anyhow::Context;
use clap::Args;
use serde_json::Value;

use super::side::{example, measurements, number};
use super::statistics::{figure, median, with_spread};
use crate::process::say;

#[derive(Args)]
pub struct Options {
    /// Processes, each of which measures every number of sequences
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Shape of the model: 135m or tiny
    #[arg(long, default_value = "135m")]
    shape: String,
    /// Layers, instead of the shape's own
    #[arg(long)]
    layers: Option<u32>,
    /// How many sequences are continued together
    #[arg(long, value_delimiter = ',', default_values_t = [1, 2, 4, 8], value_parser = clap::value_parser!(u32).range(1..))]
    sequences: Vec<u32>,
    /// Tokens of each prompt
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..))]
    prompt: u32,
    /// Tokens that each sequence draws while all draw
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    tokens: u32,
}

/// What one process measured of a number of sequences.
#[derive(Debug, PartialEq)]
struct Measured {
    prompt_tokens_per_s: f64,
    tokens_per_s: f64,
    cache_bytes: f64,
}

/// Measures, and prints the table.
pub fn measure(options: &Options) -> anyhow::Result<()> {
    let program = example("generate")?;
    let mut rows: Vec<Vec<Measured>> = options.sequences.iter().map(|_| Vec::new()).collect();
    for run in 1..=options.runs {
        let measured =
            read(&measurements(&mut process(Command::new(&program), options))?, &options.sequences)?;
        let speeds: Vec<String> = measured.iter().map(|row| figure(row.tokens_per_s)).collect();
        say(format!("{run}: {} tokens/s", speeds.join(", ")));
        rows.iter_mut().zip(measured).for_each(|(row, measured)| row.push(measured));
    }
    let mut out = stdout().lock();
    let Options { shape, prompt, tokens, runs, .. } = options;
    writeln!(out, "{shape}, prompts of {prompt} tokens, {tokens} drawn of each, median of {runs} runs")?;
    writeln!(
        out,
        "{:>9} {:>22} {:>15} {:>19} {:>11}",
        "sequences", "tokens/s", "of each, a s", "prompts, tokens/s", "cache, MiB"
    )?;
    for (count, row) in options.sequences.iter().zip(&rows) {
        writeln!(out, "{}", line(*count, row))?;
    }
    Ok(())
}

fn process(mut process: Command, options: &Options) -> Command {
    process.args(["--shape", &options.shape]);
    let sizes = [("--prompt", options.prompt), ("--tokens", options.tokens)];
    let sequences = options.sequences.iter().map(|count| ("--sequences", *count));
    for (name, value) in sizes.into_iter().chain(sequences).chain(options.layers.map(|n| ("--layers", n))) {
        process.args([name, &value.to_string()]);
    }
    process
}

/// The rows that a process printed, which are of these numbers of sequences.
fn read(value: &Value, sequences: &[u32]) -> anyhow::Result<Vec<Measured>> {
    let rows = value.as_array().filter(|rows| rows.len() == sequences.len()).context("rows are missing")?;
    let read = |(row, count): (&Value, &u32)| {
        anyhow::ensure!(row["sequences"] == *count, "not of {count} sequences: {row}");
        Ok(Measured {
            prompt_tokens_per_s: number(row, "prompt_tokens_per_s")?,
            tokens_per_s: number(row, "tokens_per_s")?,
            cache_bytes: number(row, "cache_bytes")?,
        })
    };
    rows.iter().zip(sequences).map(read).collect()
}

/// A row of the table.
fn line(count: u32, row: &[Measured]) -> String {
    let of = |what: fn(&Measured) -> f64| row.iter().map(what).collect::<Vec<f64>>();
    let speeds = of(|it| it.tokens_per_s);
    let each = figure(median(&speeds) / f64::from(count));
    let prompts = figure(median(&of(|it| it.prompt_tokens_per_s)));
    let cache = median(&of(|it| it.cache_bytes)) / f64::from(1 << 20);
    format!("{count:>9} {:>22} {each:>15} {prompts:>19} {cache:>11.1}", with_spread(&speeds))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rows_are_those_that_were_asked_for() {
        let row = |count: u32| json!({"sequences": count, "prompt_tokens_per_s": 900, "tokens_per_s": 30.5, "cache_bytes": 3 << 20});
        let rows = read(&json!([row(1), row(4)]), &[1, 4]).unwrap();
        let wanted = || Measured { prompt_tokens_per_s: 900.0, tokens_per_s: 30.5, cache_bytes: 3145728.0 };
        assert_eq!(rows, [wanted(), wanted()]);
        assert!(read(&json!([row(1)]), &[1, 4]).is_err());
        assert!(read(&json!([row(2)]), &[1]).is_err());
        let line = line(4, &rows);
        let columns: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(columns, ["4", "30.50", "(30.50–30.50)", "7.6", "900", "3.0"]);
    }
}
