//! Commands of `llamafactory-cli` that Chandler does not have.

use super::CliError;
use super::words::NotUnderstood;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    words: Vec<String>,
}

/// Says that a command is not there, and what to use instead.
pub(super) fn refuse(command: &str, instead: &str) -> CliError {
    let message =
        format!("`{command}` is a command of llamafactory-cli that Chandler does not have yet; {instead}");
    NotUnderstood(message).into()
}
