//! `cargo xtask bench end`: one whole fine-tuning run, from the start of the program to the saved adapter,
//! beside `llamafactory-cli train` on the same recipe.
//!
//! The recipe: one epoch of LoRA on the demo instructions, whose lengths differ and whose prompts have no
//! loss. The two run in turn, each in a process of its own.

use std::{
    fs,
    io::{Write, stdout},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::Context;
use clap::Args;
use serde_json::Value;

use super::side::peer;
use super::statistics::{median, with_spread};
use crate::{
    process::{run, say},
    server,
    wasm::Profile,
};

const FOLDER: &str = "target/bench-end";

#[derive(Args)]
pub struct Options {
    /// A Python with llamafactory; without one only Chandler is measured
    #[arg(long, value_name = "PATH")]
    python: Option<PathBuf>,
    /// Pairs of processes
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pairs: u32,
    /// Folder of the model, in the layout of transformers
    #[arg(long, value_name = "PATH", default_value = "models/wick")]
    model: PathBuf,
    #[arg(long, default_value = "chatml")]
    template: String,
    /// A `key: value` of the recipe, added to it; may be given several times
    #[arg(long = "with", value_name = "KEY: VALUE")]
    extra: Vec<String>,
}

/// A run that has ended.
struct Finished {
    seconds: f64,
    train_loss: f64,
}

/// Measures both sides and prints the table.
pub fn compare(options: &Options) -> anyhow::Result<()> {
    let chandler = server::build(Profile::Release, &server::Features::default())?.canonicalize()?;
    let python = peer(options.python.as_deref(), "llamafactory");
    let recipe = write_recipe(options)?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for number in 1..=options.pairs {
        if let Some(python) = python {
            let mut process = Command::new(python);
            // No device but the processor, no hub, and no opinion on the versions that are installed.
            process.args(["-c", "from llamafactory.cli import main; main()", "train"]);
            process.envs([("CUDA_VISIBLE_DEVICES", ""), ("HF_HUB_OFFLINE", "1")]);
            process.envs([("DISABLE_VERSION_CHECK", "1")]);
            let finished = train(process, &recipe, "reference")?;
            say(format!(
                "LLaMA-Factory {number}: {:.1} s, loss {:.4}",
                finished.seconds, finished.train_loss
            ));
            theirs.push(finished);
        }
        let mut process = Command::new(&chandler);
        process.arg("train");
        let finished = train(process, &recipe, "chandler")?;
        say(format!("Chandler {number}: {:.1} s, loss {:.4}", finished.seconds, finished.train_loss));
        ours.push(finished);
    }
    print(options, &ours, &theirs)
}

fn print(options: &Options, ours: &[Finished], theirs: &[Finished]) -> anyhow::Result<()> {
    let mut out = stdout().lock();
    writeln!(out, "one epoch on {}, median of {} pairs", options.model.display(), options.pairs)?;
    writeln!(out, "{:<16} {:>14} {:>10}  ratio", "", "LLaMA-Factory", "Chandler")?;
    let seconds: fn(&Finished) -> f64 = |it| it.seconds;
    for (name, what) in [("whole run, s", seconds), ("mean loss", |it| it.train_loss)] {
        let (mine, other): (Vec<f64>, Vec<f64>) =
            (ours.iter().map(what).collect(), theirs.iter().map(what).collect());
        let ratios: Vec<f64> = mine.iter().zip(&other).map(|(mine, other)| mine / other).collect();
        let (other, ratio) = match other.is_empty() {
            true => ("–".to_owned(), "–".to_owned()),
            false => (format!("{:.2}", median(&other)), with_spread(&ratios)),
        };
        writeln!(out, "{name:<16} {other:>14} {:>10.2}  {ratio}", median(&mine))?;
    }
    Ok(())
}

fn write_recipe(options: &Options) -> anyhow::Result<PathBuf> {
    let model = options.model.canonicalize().with_context(|| options.model.display().to_string())?;
    let data = Path::new("data").canonicalize().context("data")?;
    fs::create_dir_all(FOLDER)?;
    let recipe = Path::new(FOLDER).join("recipe.yaml");
    let text = format!(
        "model_name_or_path: {}\n\
         stage: sft\n\
         do_train: true\n\
         finetuning_type: lora\n\
         lora_rank: 8\n\
         lora_target: all\n\
         dataset: chandler_demo\n\
         dataset_dir: {}\n\
         template: {}\n\
         cutoff_len: 1024\n\
         learning_rate: 1.0e-4\n\
         num_train_epochs: 1\n\
         per_device_train_batch_size: 2\n\
         gradient_accumulation_steps: 4\n\
         lr_scheduler_type: cosine\n\
         logging_steps: 5\n\
         save_steps: 500\n\
         overwrite_cache: true\n\
         overwrite_output_dir: true\n\
         report_to: none\n\
         {}\n",
        model.display(),
        data.display(),
        options.template,
        options.extra.join("\n"),
    );
    fs::write(&recipe, text)?;
    Ok(recipe)
}

/// Runs a side to its end, in a folder of its own.
fn train(mut process: Command, recipe: &Path, side: &str) -> anyhow::Result<Finished> {
    let output = Path::new(FOLDER).join(side);
    if output.exists() {
        fs::remove_dir_all(&output)?;
    }
    process.arg(recipe).arg(format!("output_dir={}", output.display()));
    process.env("CHANDLER_CACHE", Path::new(FOLDER).join("cache"));
    process.stdout(Stdio::null()).stderr(Stdio::null());
    let begin = Instant::now();
    run(&mut process)?;
    let seconds = begin.elapsed().as_secs_f64();
    let results = output.join("train_results.json");
    let text = fs::read_to_string(&results).with_context(|| results.display().to_string())?;
    let train_loss = serde_json::from_str::<Value>(&text)?["train_loss"].as_f64().context("no train_loss")?;
    fs::metadata(output.join("adapter_model.safetensors")).context("no adapter was saved")?;
    Ok(Finished { seconds, train_loss })
}
