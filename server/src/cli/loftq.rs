//! `chandler loftq`: a model rounded to what four bits hold, and an adapter that begins with what they lost.

use std::path::PathBuf;

use engine::{
    kernel::on_pool,
    weights::{ADAPTERS, LoftQ, loftq},
};

use super::CliError;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  chandler loftq --model_name_or_path models/wick --lora_target all --output_dir models/wick-loftq

Then train with `model_name_or_path: models/wick-loftq` and `adapter_name_or_path: models/wick-loftq/adapters`.")]
pub(super) struct Args {
    /// Model folder
    #[arg(long = "model_name_or_path", value_name = "MODEL")]
    model: PathBuf,
    /// Bits of the rounded weights
    #[arg(long = "loftq_bits", value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(4..=4))]
    _bits: u8,
    /// Turns of rounding, and of finding the largest part of what is lost
    #[arg(long = "loftq_iter", value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    turns: u16,
    /// Rank of the adapter
    #[arg(long = "lora_rank", value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..))]
    rank: u16,
    /// Its alpha; twice the rank when not given
    #[arg(long = "lora_alpha", value_name = "X")]
    alpha: Option<f64>,
    /// Its dropout
    #[arg(long = "lora_dropout", value_name = "X", default_value_t = 0.0)]
    dropout: f64,
    /// Modules with an adapter, with commas between them, or all
    #[arg(long = "lora_target", value_name = "NAMES", value_delimiter = ',', default_values = ["q_proj", "v_proj"])]
    targets: Vec<String>,
    /// Folder for the rounded model; the adapter goes into its folder adapters
    #[arg(long = "output_dir", alias = "save_dir", value_name = "FOLDER")]
    output: PathBuf,
}

pub(super) fn run(args: &Args) -> Result<(), CliError> {
    let settings = LoftQ {
        rank: args.rank.into(),
        alpha: args.alpha.unwrap_or(2.0 * f64::from(args.rank)),
        dropout: args.dropout,
        targets: args.targets.clone(),
        turns: args.turns.into(),
    };
    let count = on_pool(|| loftq(&args.model, &settings, &args.output))?;
    let (output, adapter) = (args.output.display(), args.output.join(ADAPTERS));
    println!(
        "{output} has {count} weights that four bits hold; {} begins with what they lost.",
        adapter.display()
    );
    println!("Train: model_name_or_path: {output}, adapter_name_or_path: {}", adapter.display());
    Ok(())
}
