//! `chandler train`

use std::{
    borrow::Cow,
    io::{self, IsTerminal},
    path::PathBuf,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use engine::observer::Observer;
use recipe::{CommandLine, Group, Outcome, Recipe, Resume, arguments};
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::Signals,
};

use super::{
    CliError, check,
    progress::Progress,
    words::{self, Words},
};
use crate::{datasets::preflight, worker};

/// Asks what would be done.
const CHECK: &str = "--check";

/// What shells report for a command that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

#[derive(Debug, clap::Args)]
#[command(
    override_usage = "chandler train [RECIPE] [KEY=VALUE]... [--key value]...",
    arg_required_else_help = true,
    after_help = EXAMPLES,
    after_long_help = format!("{EXAMPLES}\n\n{}", flags())
)]
pub(super) struct Args {
    /// Work on the folder of a run, as the dashboard's workers do
    #[arg(long, value_name = "DIR", conflicts_with = "words")]
    run_dir: Option<PathBuf>,
    /// The number of the last event that the dashboard has of this run
    #[arg(long, hide = true, requires = "run_dir", default_value_t = 0, value_name = "SEQ")]
    events_after: u64,
    /// Say what would be done and what is wrong, and end
    #[arg(long)]
    check: bool,
    /// A recipe, YAML or JSON in LLaMA-Factory's words, or `-` for standard input; and arguments that win over it
    #[arg(value_name = "WORDS", trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

const EXAMPLES: &str = "\
Examples:
  chandler train recipe.yaml
  chandler train recipe.yaml learning_rate=1e-4 --num_train_epochs 1
  chandler train --stage sft --do_train --model_name_or_path models/wick --dataset identity --output_dir out
  chandler train - < recipe.json
  chandler train --check recipe.yaml

`chandler train --help` lists all arguments; so does docs/arguments.md.";

/// The arguments that mean something to a run.
fn flags() -> String {
    let mut text = String::new();
    for group in Group::ALL.into_iter().filter(|group| *group != Group::Generating) {
        let of_group = arguments().iter().filter(|argument| argument.group == group);
        text += &format!("{}:\n{}\n", group.label().en, words::listed(of_group));
    }
    text.trim_end().to_owned()
}

pub(super) fn run(args: &Args) -> Result<ExitCode, CliError> {
    keep_memory();
    if let Some(run_dir) = &args.run_dir {
        return worker::work(run_dir, args.events_after).map(|()| ExitCode::SUCCESS).map_err(Into::into);
    }
    if words::show_help("train", &args.words)? {
        return Ok(ExitCode::SUCCESS);
    }
    // What follows a recipe never reaches the parser of options.
    let (flags, words): (Vec<_>, Vec<_>) = args.words.iter().cloned().partition(|word| word == CHECK);
    let words = Words::read(&words)?;
    let recipe = words.line.to_run(&words.text).map_err(|problems| words.refusal(&problems))?;
    if args.check || !flags.is_empty() {
        engine::job::check_files(&recipe).map_err(|error| error.to_string())?;
        print!("{}", check::described(&recipe, preflight::memory::of(&recipe)));
        return Ok(ExitCode::SUCCESS);
    }
    in_terminal(&words, &recipe)
}

/// Leaves with this process what it frees: each step wants the same memory again, and pages that are given back
/// are new ones, cleared by the operating system, on the next.
fn keep_memory() {
    /// `mi_option_purge_delay`, which the bindings do not name.
    const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;
    // SAFETY: sets a number; −1 is for never.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, -1) };
}

fn in_terminal(words: &Words, recipe: &Recipe) -> Result<ExitCode, CliError> {
    let stop = stop_on_signals()?;
    let mut progress = Progress::new(io::stderr().is_terminal());
    let (outcome, reason) = worker::run(recipe, &mut Observer::new(|event| progress.show(&event), stop));
    progress.finish();
    match outcome {
        Outcome::Finished => {
            eprintln!("Finished. The result is in {}", recipe.output_dir);
            Ok(ExitCode::SUCCESS)
        }
        Outcome::Stopped => {
            match reason {
                Some(reason) => eprintln!("{}", capitalised(&reason)),
                None => eprintln!(
                    "Stopped with a checkpoint in {}; to go on from it{}:\n  {}",
                    recipe.output_dir,
                    if words.line.reads_stdin() { ", with the same recipe on standard input" } else { "" },
                    going_on(&words.line, recipe)
                ),
            }
            Ok(ExitCode::from(INTERRUPTED))
        }
        Outcome::Failed => Err(reason.unwrap_or_default().into()),
    }
}

/// The command that goes on from the newest checkpoint. It says so itself where the recipe would start afresh, or
/// from another checkpoint.
fn going_on(line: &CommandLine, recipe: &Recipe) -> String {
    const KEY: &str = "resume_from_checkpoint";
    let says_so = match recipe.resume() {
        Resume::Newest => true,
        Resume::Auto => !recipe.overwrite_output_dir,
        Resume::From(_) => false,
    };
    let mut words = vec!["chandler".to_owned(), "train".to_owned()];
    words.extend(line.words_without(Some(KEY).filter(|_| !says_so)));
    if !says_so {
        words.push(format!("{KEY}=true"));
    }
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

/// A word as a shell takes it.
fn quoted(word: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_alphanumeric() || "_-./=,:@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        Cow::Borrowed(word)
    } else {
        Cow::Owned(format!("'{}'", word.replace('\'', r"'\''")))
    }
}

fn capitalised(sentence: &str) -> String {
    let mut rest = sentence.chars();
    rest.next().map(|first| first.to_uppercase().chain(rest).collect()).unwrap_or_default()
}

/// The first Ctrl-C stops, in training after the current step; the second ends at once.
fn stop_on_signals() -> io::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let flag = stop.clone();
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for _ in signals.forever() {
            if flag.swap(true, Ordering::Relaxed) {
                std::process::exit(INTERRUPTED.into());
            }
            eprintln!("\nStopping, in training after this step and with a checkpoint; press Ctrl-C again to end at once");
        }
    })?;
    Ok(stop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_that_goes_on_wins_over_the_recipe() {
        let command = |recipe: Recipe, words: &[&str]| {
            let words: Vec<_> =
                ["my recipe.yaml"].iter().chain(words).map(|word| (*word).to_owned()).collect();
            going_on(&CommandLine::parse(&words).unwrap(), &recipe)
        };
        let overwrites = Recipe { overwrite_output_dir: true, ..Recipe::default() };
        let from = Recipe { resume_from_checkpoint: Some("a/checkpoint-1".into()), ..Recipe::default() };
        assert_eq!(command(Recipe::default(), &["seed=7"]), "chandler train 'my recipe.yaml' seed=7");
        assert_eq!(
            command(overwrites, &["--dataset", "it's"]),
            r"chandler train 'my recipe.yaml' --dataset 'it'\''s' resume_from_checkpoint=true"
        );
        assert_eq!(
            command(from, &["resume_from_checkpoint=a/checkpoint-1"]),
            "chandler train 'my recipe.yaml' resume_from_checkpoint=true"
        );
    }
}
