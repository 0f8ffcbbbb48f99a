//! `chandler serve-model`: the process behind the dashboard's chat. Not for users.

use std::path::PathBuf;

use engine::chat::ChatSource;

use super::CliError;
use crate::chat;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[arg(long)]
    socket: PathBuf,
    #[arg(long)]
    model: PathBuf,
    #[arg(long)]
    revision: Option<String>,
    #[arg(long = "adapter")]
    adapters: Vec<PathBuf>,
    #[arg(long)]
    template: Option<String>,
    /// MiB for keys and values.
    #[arg(long)]
    cache: Option<usize>,
}

pub(super) fn run(args: Args) -> Result<(), CliError> {
    chat::end_with_parent(&args.socket)?;
    let Args { socket, model, revision, adapters, template, cache } = args;
    let cache = cache.map(|mib| mib.saturating_mul(1 << 20));
    let source = ChatSource { model, revision, adapters, template, cache, ..ChatSource::default() };
    let model = chat::load(&source)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(chat::serve(model, &socket))?;
    Ok(())
}
