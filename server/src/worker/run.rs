//! A run inside this process: the engine, with its end told in words whatever happens.

use std::{
    any::Any,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicBool},
};

use engine::{job, kernel::on_pool, observer::Observer, train::can_resume};
use recipe::{EventBody, Outcome, Problem, Recipe, shortened};
use signal_hook::consts::{SIGHUP, SIGTERM};

use super::{EVENTS_FILE, EventWriter, OUTPUT_DIR, RECIPE_FILE, RunLock};

/// What became of a run that was stopped before its first step.
pub const BEFORE_TRAINING: &str = "stopped before training began";

/// Why a worker cannot work.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    #[error("another worker is at work in {}", .0.display())]
    Busy(PathBuf),
    #[error("cannot {what} {path}: {source}", path = .path.display())]
    Io { what: &'static str, path: PathBuf, source: io::Error },
    #[error("{}", problems_text(.path, .problems))]
    Recipe { path: PathBuf, problems: Vec<Problem> },
    #[error("{0}")]
    Failed(String),
}

impl WorkerError {
    fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> WorkerError {
        move |source| match source.kind() {
            io::ErrorKind::WouldBlock => WorkerError::Busy(path.to_owned()),
            _ => WorkerError::Io { what, path: path.to_owned(), source },
        }
    }
}

/// All problems of a recipe, one a line, each led by the file it stands in.
pub fn problems_text(path: &Path, problems: &[Problem]) -> String {
    let lines = problems.iter().map(|problem| format!("{}: {problem}", path.display()));
    lines.collect::<Vec<_>>().join("\n")
}

/// Works on a run folder: reads its recipe, appends to its events, goes on from its newest checkpoint. The board has
/// seen events up to number `after`.
///
/// # Errors
/// The run failed; its last event says the same, unless it could not be written.
pub fn work(run_dir: &Path, after: u64) -> Result<(), WorkerError> {
    // First of all, so that a request to stop never ends the process unasked.
    let stop = Arc::new(AtomicBool::new(false));
    let listen = || {
        signal_hook::flag::register(SIGTERM, stop.clone())?;
        // The terminal that the server was started from may go; the run goes on.
        signal_hook::flag::register(SIGHUP, Arc::default())
    };
    listen().map_err(WorkerError::io("listen for signals in", run_dir))?;
    let _lock = RunLock::take(run_dir).map_err(WorkerError::io("lock", run_dir))?;
    let path = run_dir.join(EVENTS_FILE);
    let mut events = EventWriter::open(&path, after).map_err(WorkerError::io("open", &path))?;

    let ended = read_recipe(run_dir).map(|recipe| {
        let take = |body| {
            if let Err(e) = events.write(body) {
                give_up(&mut events, WorkerError::io("write", &path)(e));
            }
        };
        run(&recipe, &mut Observer::new(take, stop))
    });
    let (outcome, reason) = ended.unwrap_or_else(|e| (Outcome::Failed, Some(e.to_string())));
    let end = EventBody::End { outcome, reason: reason.clone() };
    if let Err(e) = events.write(end) {
        let reason = reason.map(|reason| format!("{reason}; ")).unwrap_or_default();
        return Err(WorkerError::Failed(format!("{reason}{}", WorkerError::io("write", &path)(e))));
    }
    match outcome {
        Outcome::Failed => Err(WorkerError::Failed(reason.unwrap_or_default())),
        Outcome::Finished | Outcome::Stopped => Ok(()),
    }
}

/// Ends the process in the middle of training, as nobody would see it go on, and a checkpoint would be ahead of the
/// events before it: the next attempt would never tell of these steps.
fn give_up(events: &mut EventWriter, why: WorkerError) -> ! {
    let end = EventBody::End { outcome: Outcome::Failed, reason: Some(why.to_string()) };
    // There is room left for this one, if a full disk is what is wrong.
    let _ = events.write(end);
    eprintln!("error: {why}");
    std::process::exit(1)
}

fn read_recipe(run_dir: &Path) -> Result<Recipe, WorkerError> {
    let path = run_dir.join(RECIPE_FILE);
    let yaml =
        engine::files::read_text(&path, engine::files::SETTINGS).map_err(WorkerError::io("read", &path))?;
    let mut recipe = Recipe::from_yaml(&yaml).map_err(|problems| WorkerError::Recipe { path, problems })?;
    // Where the run began matters until there is a checkpoint to go on from. The folder is the run's own:
    // without one, what lies there is the rest of an attempt that came to nothing.
    if can_resume(&run_dir.join(OUTPUT_DIR)) {
        recipe.resume_from_checkpoint = Some("true".to_owned());
    }
    recipe.overwrite_output_dir = true;
    Ok(recipe)
}

/// Does what the recipe asks for; a panic of the engine is a failure like any other.
pub fn run(recipe: &Recipe, observer: &mut Observer) -> (Outcome, Option<String>) {
    let work = || on_pool(|| job::run(recipe, observer));
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(summary)) => {
            let early = summary.outcome == Outcome::Stopped && summary.steps == 0;
            (summary.outcome, early.then(|| BEFORE_TRAINING.to_owned()))
        }
        Ok(Err(e)) => (Outcome::Failed, Some(shortened(e.to_string()))),
        Err(panic) => (Outcome::Failed, Some(format!("the engine broke: {}", panic_text(&*panic)))),
    }
}

/// What a panic says.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Whatever an attempt has left that nothing can go on from, the run starts from its beginning.
    #[test]
    fn a_run_without_a_whole_checkpoint_starts_afresh() {
        let dir = tempfile::tempdir().unwrap();
        let recipe = Recipe {
            model_name_or_path: "m".to_owned(),
            dataset: vec!["d".to_owned()],
            template: Some("default".to_owned()),
            output_dir: dir.path().join(OUTPUT_DIR).display().to_string(),
            do_train: true,
            ..Recipe::default()
        };
        fs::write(dir.path().join(RECIPE_FILE), recipe.to_yaml()).unwrap();
        let broken = dir.path().join(OUTPUT_DIR).join("checkpoint-3");
        fs::create_dir_all(&broken).unwrap();
        fs::write(broken.join("adapter_model.safetensors"), "").unwrap();
        let read = read_recipe(dir.path()).unwrap();
        assert_eq!((read.resume_from_checkpoint, read.overwrite_output_dir), (None, true));
    }
}
