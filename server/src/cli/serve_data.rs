//! `chandler serve-data`: the processes behind the dashboard's pages of data sets. Not for users.

use super::CliError;
use crate::{config::Folders, datasets::Reader, helper};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    folders: Folders,
}

pub(super) fn run(args: Args) -> Result<(), CliError> {
    let reader = Reader::new(args.folders);
    helper::serve(move |ask, progress| reader.answer(ask, progress))?;
    Ok(())
}
