//! What is typed after `train` and `chat`: a recipe, and arguments that win over it.

use std::{
    io::{self, Read},
    path::Path,
};

use clap::CommandFactory;
use engine::files;
use recipe::{Argument, CommandLine, Lang, Problem};

use super::{Cli, CliError};

/// Bytes of the largest recipe that is read; a smaller one may be too large, which its reader says.
const LARGEST: u64 = 16 << 20;

/// A command line that asks for nothing that could be done.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct NotUnderstood(pub String);

/// The words as they are understood, and the text of the recipe that they name.
pub(super) struct Words {
    pub line: CommandLine,
    pub text: String,
}

impl Words {
    /// Reads words and recipe.
    ///
    /// # Errors
    /// The words are not understood, or the recipe cannot be read.
    pub(super) fn read(words: &[String]) -> Result<Words, CliError> {
        let line = CommandLine::parse(words).map_err(|problems| {
            let said: Vec<_> = problems.iter().map(Problem::to_string).collect();
            NotUnderstood(said.join("\n"))
        })?;
        let text = match &line.recipe {
            None => String::new(),
            Some(_) if line.reads_stdin() => io::read_to_string(io::stdin().take(LARGEST))
                .map_err(|e| format!("cannot read a recipe from standard input: {e}"))?,
            Some(path) => {
                files::read_text(Path::new(path), LARGEST).map_err(|e| format!("cannot read {path}: {e}"))?
            }
        };
        Ok(Words { line, text })
    }

    /// All that is wrong with the recipe, one a line, each led by where it was said.
    pub(super) fn refusal(&self, problems: &[Problem]) -> CliError {
        let said: Vec<_> = problems.iter().map(|problem| self.line.place(problem)).collect();
        said.join("\n").into()
    }
}

/// Whether the words ask for help, and for how much of it; what follows a first word never reaches the parser of
/// options.
pub(super) fn show_help(command: &str, words: &[String]) -> io::Result<bool> {
    let (short, long) = (words.iter().any(|word| word == "-h"), words.iter().any(|word| word == "--help"));
    if !short && !long {
        return Ok(false);
    }
    let mut cli = Cli::command();
    cli.build();
    if let Some(command) = cli.find_subcommand_mut(command) {
        if long { command.print_long_help()? } else { command.print_help()? }
    }
    Ok(true)
}

/// Arguments with what they take, one a line, as a help text lists them.
pub(super) fn listed<'a>(arguments: impl Iterator<Item = &'a Argument>) -> String {
    let line = |argument: &Argument| {
        let name = argument.key;
        let default = argument.default_text();
        let default = match (default.is_empty(), argument.placeholder) {
            (false, _) => format!(" [default: {default}]"),
            (true, Some(placeholder)) => format!(" [default: {}]", placeholder.en),
            (true, None) => String::new(),
        };
        let (help, takes) = (argument.help.en.trim_end_matches('.'), argument.takes(Lang::En));
        format!("  --{name}\n          {help} ({takes}){default}\n")
    };
    arguments.map(line).collect()
}
