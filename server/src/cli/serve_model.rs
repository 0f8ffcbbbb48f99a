//! `chandler serve-model`: the process behind the dashboard's chat. Not for users.

use std::path::PathBuf;

use super::CliError;
use crate::chat::{self, Weights};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(long)]
    socket: PathBuf,
    #[arg(long)]
    model: PathBuf,
    #[arg(long = "adapter")]
    adapters: Vec<PathBuf>,
    #[arg(long)]
    template: Option<String>,
}

pub fn run(args: Args) -> Result<(), CliError> {
    chat::end_with_parent(&args.socket)?;
    let model = chat::load(&Weights { model: args.model, adapters: args.adapters, template: args.template })?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(chat::serve(model, &args.socket))?;
    Ok(())
}
