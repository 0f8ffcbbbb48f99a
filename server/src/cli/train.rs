//! `chandler train`

use std::{
    fs,
    io::{self, IsTerminal},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use recipe::{Outcome, Recipe};
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
    match (args.run_dir, args.recipe) {
        (Some(run_dir), _) => worker::work(&run_dir).map(|()| ExitCode::SUCCESS).map_err(Into::into),
        (None, Some(path)) => in_terminal(&path, &args.overrides),
        (None, None) => Err("give a recipe".into()),
    }
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
            eprintln!("Stopped with a checkpoint in {}; the same command goes on from it", recipe.output_dir);
            Ok(ExitCode::from(INTERRUPTED))
        }
        Outcome::Failed => Err(reason.unwrap_or_default().into()),
    }
}

/// The first Ctrl-C stops after the current step, the second ends at once.
fn stop_on_signals() -> io::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let flag = stop.clone();
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for _ in signals.forever() {
            if flag.swap(true, Ordering::Relaxed) {
                std::process::exit(INTERRUPTED.into());
            }
            eprintln!("\nStopping after this step, with a checkpoint; press Ctrl-C again to end at once");
        }
    })?;
    Ok(stop)
}
