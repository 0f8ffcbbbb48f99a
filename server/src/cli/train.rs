//! `chandler train`

use std::{
    borrow::Cow,
    fs,
    io::{self, IsTerminal},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use recipe::{Outcome, Recipe, Resume};
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::Signals,
};

use super::{CliError, overrides, progress::Progress};
use crate::worker;

/// What shells report for a command that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The recipe: YAML or JSON, in LLaMA-Factory's words
    #[arg(required_unless_present = "run_dir", value_name = "RECIPE")]
    recipe: Option<PathBuf>,
    /// Arguments that win over the recipe's
    #[arg(value_name = "KEY=VALUE", value_parser = overrides::parse)]
    overrides: Vec<(String, String)>,
    /// Work on the folder of a run, as the dashboard's workers do
    #[arg(long, value_name = "DIR", conflicts_with_all = ["recipe", "overrides"])]
    run_dir: Option<PathBuf>,
}

pub fn run(args: Args) -> Result<ExitCode, CliError> {
    keep_memory();
    match (args.run_dir, args.recipe) {
        (Some(run_dir), _) => worker::work(&run_dir).map(|()| ExitCode::SUCCESS).map_err(Into::into),
        (None, Some(path)) => in_terminal(&path, &args.overrides),
        (None, None) => Err("give a recipe".into()),
    }
}

/// Leaves with this process what it frees: each step wants the same memory again, and pages that are given back
/// are new ones, cleared by the operating system, on the next.
fn keep_memory() {
    /// `mi_option_purge_delay`, which the bindings do not name.
    const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;
    // SAFETY: sets a number; −1 is for never.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, -1) };
}

fn in_terminal(path: &Path, overrides: &[(String, String)]) -> Result<ExitCode, CliError> {
    let text = fs::read_to_string(path).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
    let recipe = Recipe::from_yaml_with(&text, overrides)
        .map_err(|problems| worker::problems_text(path, &problems))?;
    let stop = stop_on_signals()?;
    let mut progress = Progress::new(io::stderr().is_terminal());
    let (outcome, reason) = worker::run(&recipe, &mut |event| progress.show(&event), &stop);
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
                    "Stopped with a checkpoint in {}; to go on from it:\n  {}",
                    recipe.output_dir,
                    going_on(path, overrides, &recipe)
                ),
            }
            Ok(ExitCode::from(INTERRUPTED))
        }
        Outcome::Failed => Err(reason.unwrap_or_default().into()),
    }
}

/// The command that goes on from the newest checkpoint. It says so itself where the recipe would start afresh, or
/// from another checkpoint.
fn going_on(path: &Path, overrides: &[(String, String)], recipe: &Recipe) -> String {
    const KEY: &str = "resume_from_checkpoint";
    let says_so = match recipe.resume() {
        Resume::Newest => true,
        Resume::Auto => !recipe.overwrite_output_dir,
        Resume::From(_) => false,
    };
    let kept = overrides.iter().filter(|(key, _)| says_so || key != KEY);
    let mut words = vec!["chandler".to_owned(), "train".to_owned(), path.display().to_string()];
    words.extend(kept.map(|(key, value)| format!("{key}={value}")));
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
        let command = |recipe: Recipe, overrides: &[(&str, &str)]| {
            let overrides: Vec<_> = overrides.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
            going_on(Path::new("my recipe.yaml"), &overrides, &recipe)
        };
        let overwrites = Recipe { overwrite_output_dir: true, ..Recipe::default() };
        let from = Recipe { resume_from_checkpoint: Some("a/checkpoint-1".into()), ..Recipe::default() };
        assert_eq!(command(Recipe::default(), &[("seed", "7")]), "chandler train 'my recipe.yaml' seed=7");
        assert_eq!(
            command(overwrites, &[("dataset", "it's")]),
            r"chandler train 'my recipe.yaml' 'dataset=it'\''s' resume_from_checkpoint=true"
        );
        assert_eq!(
            command(from, &[("resume_from_checkpoint", "a/checkpoint-1")]),
            "chandler train 'my recipe.yaml' resume_from_checkpoint=true"
        );
    }
}
