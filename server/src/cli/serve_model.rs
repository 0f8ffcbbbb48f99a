//! `chandler serve-model`: the process behind the dashboard's chat. Not for users.

use std::{io::Read, path::PathBuf};

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
    end_with_parent()?;
    let model = chat::load(&Weights { model: args.model, adapters: args.adapters, template: args.template })?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(chat::serve(model, &args.socket))?;
    Ok(())
}

/// The standard input is a pipe that the server holds open and never writes to: it closes when the
/// server ends, however it ends.
fn end_with_parent() -> std::io::Result<()> {
    std::thread::Builder::new().name("parent".to_owned()).spawn(|| {
        let mut byte = [0];
        while std::io::stdin().read(&mut byte).is_ok_and(|read| read > 0) {}
        std::process::exit(0);
    })?;
    Ok(())
}
