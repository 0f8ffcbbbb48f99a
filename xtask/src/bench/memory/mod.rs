//! `cargo xtask bench memory`: what the estimate of memory says before a run, beside the most that the run held.
//!
//! Models of random weights are trained for two steps by each stage, method, precision and kind of optimiser, on examples
//! of full length, each in a process of its own: `chandler train`. The estimate is that of `chandler train --check`, which
//! the form shows, too; what was held is the peak of the process's resident memory, nothing taken off.

mod cases;
mod model;

use std::{
    fs,
    io::{Write, stdout},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context, bail};
use clap::Args;

use self::cases::{CASES, Case};
use self::model::{SHAPES, Shape};
use crate::{
    process::{output, say, succeed},
    server,
    wasm::Profile,
};

const FOLDER: &str = "target/bench-memory";
/// How far an estimate may be from what was measured.
const NEAR: f64 = 0.15;

#[derive(Args)]
pub struct Options {
    /// Only cases whose line has this in it, as `stage=dpo` or `small`; may be given several times
    #[arg(long = "case", value_name = "WORDS")]
    cases: Vec<String>,
}

/// What was said and measured of a case, in MiB.
struct Row {
    name: String,
    estimated: f64,
    measured: f64,
}

impl Row {
    fn ratio(&self) -> f64 {
        self.estimated / self.measured
    }
}

/// Measures every case on every shape and prints the table.
pub fn compare(options: &Options) -> anyhow::Result<()> {
    let chandler = server::build(Profile::Release, &server::Features::default())?.canonicalize()?;
    let folder = Path::new(FOLDER);
    fs::create_dir_all(folder)?;
    model::write_data(&folder.join("data"))?;
    let mut rows = Vec::new();
    for shape in &SHAPES {
        let path = folder.join(shape.name);
        shape.write(&path)?;
        for case in CASES {
            let name = format!("{} {}", shape.name, case.words);
            if !options.cases.is_empty() && !options.cases.iter().all(|words| name.contains(words)) {
                continue;
            }
            let row = measure(&chandler, shape, &path, case, name)?;
            say(line(&row));
            rows.push(row);
        }
    }
    print(&rows)
}

fn measure(chandler: &Path, shape: &Shape, model: &Path, case: &Case, name: String) -> anyhow::Result<Row> {
    let recipe = recipe(model, case)?;
    let start = |words: &[&str]| {
        let mut process = Command::new(chandler);
        process.arg("train").args(words).arg(&recipe).args(case.words.split_whitespace());
        process.env("CHANDLER_CACHE", Path::new(FOLDER).join("cache"));
        if case.is_scarce {
            process.env("CHANDLER_MEMORY", shape.scarce.to_string());
        }
        process
    };
    let estimated = estimate(&output(&mut start(&["--check"]))?)?;
    let measured = peak(&mut start(&[]))?;
    Ok(Row { name, estimated, measured })
}

/// The recipe that all cases begin with.
fn recipe(model: &Path, case: &Case) -> anyhow::Result<PathBuf> {
    let path = Path::new(FOLDER).join("recipe.yaml");
    let text = format!(
        "model_name_or_path: {}\n\
         do_train: true\n\
         use_cpu: true\n\
         dataset: {}\n\
         dataset_dir: {FOLDER}/data\n\
         template: chatml\n\
         cutoff_len: 256\n\
         per_device_train_batch_size: 2\n\
         gradient_accumulation_steps: 1\n\
         max_steps: 2\n\
         learning_rate: 1.0e-5\n\
         save_strategy: 'no'\n\
         overwrite_output_dir: true\n\
         overwrite_cache: true\n\
         report_to: none\n\
         output_dir: {FOLDER}/output\n",
        model.display(),
        case.dataset(),
    );
    fs::write(&path, text)?;
    Ok(path)
}

/// The MiB in `memory  about N MiB at its peak, …`.
fn estimate(described: &str) -> anyhow::Result<f64> {
    let line =
        described.lines().find_map(|line| line.strip_prefix("memory ")).context("no line of memory")?;
    let number = line.split_whitespace().find_map(|word| word.parse().ok());
    number.with_context(|| format!("no number in {line:?}"))
}

/// The most MiB that a process was resident with, until its end.
fn peak(process: &mut Command) -> anyhow::Result<f64> {
    let mut child = process.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let path = format!("/proc/{}/status", child.id());
    let mut peak = 0.0f64;
    // The system keeps the highest; only what grows in a process's last moment is missed.
    let status = loop {
        if let Some(kib) = fs::read_to_string(&path).ok().and_then(|status| high_water(&status)) {
            peak = peak.max(kib / 1024.0);
        }
        if let Some(status) = child.try_wait()? {
            break status;
        }
        thread::sleep(Duration::from_millis(10));
    };
    succeed(process, status)?;
    if peak == 0.0 {
        bail!("{path} has no VmHWM: peaks are measured on Linux alone");
    }
    Ok(peak)
}

fn high_water(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

fn line(row: &Row) -> String {
    let mark = if (row.ratio() - 1.0).abs() <= NEAR { "" } else { "  far" };
    format!("{:>10.0} {:>10.0}  {:.2}  {}{mark}", row.estimated, row.measured, row.ratio(), row.name)
}

fn print(rows: &[Row]) -> anyhow::Result<()> {
    let mut out = stdout().lock();
    writeln!(
        out,
        "peak of resident memory, MiB; 2 sequences of 256 tokens, f32, LoRA of all layers, AdamW, where nothing else is said"
    )?;
    writeln!(out, "{:>10} {:>10}  ratio", "estimated", "measured")?;
    rows.iter().try_for_each(|row| writeln!(out, "{}", line(row)))?;
    let ratios = || rows.iter().map(Row::ratio);
    let near = ratios().filter(|ratio| (ratio - 1.0).abs() <= NEAR).count();
    let (least, most) = (ratios().fold(f64::INFINITY, f64::min), ratios().fold(0.0, f64::max));
    writeln!(
        out,
        "{near} of {} within {:.0} %; ratios from {least:.2} to {most:.2}",
        rows.len(),
        100.0 * NEAR
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_in_what_programs_say() {
        let described = "job     train\nmemory  about 1166 MiB at its peak, 22655 MiB are free\n";
        assert_eq!(estimate(described).unwrap(), 1166.0);
        assert!(estimate("job  train\n").is_err());
        assert_eq!(high_water("VmPeak:\t 9 kB\nVmHWM:\t  2048 kB\n"), Some(2048.0));
    }

    #[test]
    fn far_estimates_are_marked() {
        let row = |estimated| Row { name: "small".to_owned(), estimated, measured: 1000.0 };
        assert!(
            line(&row(800.0)).ends_with("0.80  small  far") && line(&row(1100.0)).ends_with("1.10  small")
        );
    }
}
