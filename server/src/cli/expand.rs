//! `chandler expand`: a model with more blocks, which add nothing until they are trained (LLaMA Pro).

use std::path::PathBuf;

use engine::{kernel::on_pool, weights};

use super::CliError;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  chandler expand --model_name_or_path models/wick --num_expand 2 --output_dir models/wick-pro

Then train the new blocks alone: `finetuning_type: freeze`, `use_llama_pro: true` and `freeze_trainable_layers: 2`.")]
pub(super) struct Args {
    /// Model folder, .gguf file, or a model's name on a hub (owner/name)
    #[arg(long = "model_name_or_path", value_name = "MODEL")]
    model: PathBuf,
    /// Blocks to add: a copy of the last one behind each of as many equal stretches
    #[arg(long = "num_expand", value_name = "N")]
    added: usize,
    /// Folder for the larger model
    #[arg(long = "output_dir", value_name = "FOLDER")]
    output: PathBuf,
}

pub(super) fn run(args: &Args) -> Result<(), CliError> {
    let blocks = on_pool(|| weights::expand(&args.model, args.added, &args.output))?;
    let (added, output) = (args.added, args.output.display());
    println!("{output} has {blocks} blocks, {added} of them new.");
    println!("Train these: finetuning_type: freeze, use_llama_pro: true, freeze_trainable_layers: {added}");
    Ok(())
}
