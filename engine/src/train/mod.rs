//! Training: from a recipe to a trained model on disk.

mod batch;
mod checkpoint;
mod digests;
mod evaluate;
mod pace;
mod plan;
mod plot;
mod records;
mod resume;
mod setup;
mod tensorboard;
mod trainer;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use recipe::{EventBody, LogLevel, Outcome, Phase, Recipe};

use crate::hub;
use crate::method::Loaded;
use crate::optim::Optimizer;
use crate::text;
use crate::weights::clear_partial;
use crate::{Error, Result};
use resume::Start;
use setup::Folders;

pub use evaluate::Evaluation;
pub use plan::Plan;
pub use resume::{can_resume, checkpoints};

/// Where events go. A worker appends them to its run's file, a terminal draws a progress bar.
pub type Sink<'a> = &'a mut dyn FnMut(EventBody);

/// What a run has come to.
#[derive(Clone, Debug)]
pub struct TrainSummary {
    /// `Finished`, or `Stopped` when asked to stop: then a checkpoint was written, if there was a step to write.
    pub outcome: Outcome,
    pub steps: u64,
    pub total_steps: u64,
    /// Mean loss of all steps.
    pub train_loss: f64,
    /// The last evaluation: one, or one for each data set.
    pub evaluations: Vec<Evaluation>,
    pub output_dir: PathBuf,
}

impl TrainSummary {
    /// Of a run that was stopped before its first step; nothing is written, it starts anew.
    fn before_training(output: &Path) -> TrainSummary {
        TrainSummary {
            outcome: Outcome::Stopped,
            steps: 0,
            total_steps: 0,
            train_loss: 0.0,
            evaluations: Vec::new(),
            output_dir: output.to_owned(),
        }
    }
}

/// Trains as the recipe says, or evaluates alone. Blocks until the run is finished, or `stop` is set: before training
/// that ends it at once, later after the current step.
///
/// ```
/// use std::sync::Arc;
/// use recipe::{EventBody, Outcome, Recipe};
///
/// let output = tempfile::tempdir()?;
/// let mut recipe = Recipe::from_yaml(
///     "model_name_or_path: ../models/wick\ndataset_dir: ../data\ndataset: identity\ntemplate: chatml\n\
///      do_train: true\nfinetuning_type: lora\ncutoff_len: 64\nmax_steps: 2\nlogging_steps: 1\noutput_dir: to be set\n",
/// )
/// .map_err(|problems| format!("{problems:?}"))?;
/// recipe.output_dir = output.path().display().to_string();
///
/// let mut losses = Vec::new();
/// let mut sink = |event| {
///     if let EventBody::Point(point) = event {
///         losses.extend(point.metrics.get("loss"));
///     }
/// };
/// let summary = engine::train::train(&recipe, &mut sink, &Arc::default())?;
/// assert_eq!((summary.outcome, losses.len()), (Outcome::Finished, 2));
/// assert!(output.path().join("adapter_model.safetensors").exists());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// One sentence for the person who started the run; what is on disk by then stays intact.
pub fn train(recipe: &Recipe, sink: Sink, stop: &Arc<AtomicBool>) -> Result<TrainSummary> {
    match run(recipe, sink, stop) {
        Err(Error::Stopped) => Ok(TrainSummary::before_training(Path::new(&recipe.output_dir))),
        ended => ended,
    }
}

fn run(recipe: &Recipe, sink: Sink, stop: &Arc<AtomicBool>) -> Result<TrainSummary> {
    for notice in recipe.notices() {
        sink(EventBody::Log { level: LogLevel::Warning, message: notice.to_string() });
    }
    let output = Path::new(&recipe.output_dir);
    if recipe.do_train {
        clear_partial(output)?;
    }
    let mut start = if recipe.do_train { resume::find(recipe, output, sink)? } else { None };
    std::fs::create_dir_all(output).map_err(|error| Error::io(output, error))?;

    let folders = fetch(recipe, sink, stop)?;
    let (start, model) = loop {
        match load(recipe, &folders, start.as_ref(), sink, stop) {
            Ok(model) => break (start, model),
            Err(error) => match start.take() {
                Some(tried) if error.is_within(&tried.folder) => {
                    start = resume::before(recipe, output, tried, error, sink)?;
                }
                _ => return Err(error),
            },
        }
    };
    let Model { loaded, template, optimizer } = model;

    sink(EventBody::Phase { phase: Phase::EncodingData, detail: Some(recipe.dataset.join(", ")) });
    let mut log = |message: String| sink(EventBody::Log { level: LogLevel::Info, message });
    let data = text::prepare(recipe, &loaded.tokenizer, &template, stop, &mut log)?;
    setup::check_vocabulary(&loaded, &data)?;

    if !recipe.do_train {
        return evaluate::evaluate_alone(recipe, &loaded, &data.eval, sink, stop);
    }
    if stop.load(Ordering::Relaxed) {
        return Err(Error::Stopped);
    }
    trainer::Trainer::new(recipe, loaded, data, optimizer, start)?.run(sink, stop)
}

/// What is trained, with what its optimiser remembers.
struct Model {
    loaded: Loaded,
    template: text::Template,
    optimizer: Optimizer,
}

/// Loads the recipe's model from its folder, and what is trained as the checkpoint has it.
fn load(
    recipe: &Recipe,
    folders: &Folders,
    start: Option<&Start>,
    sink: Sink,
    stop: &Arc<AtomicBool>,
) -> Result<Model> {
    sink(EventBody::Phase { phase: Phase::LoadingModel, detail: Some(recipe.model_name_or_path.clone()) });
    let mut log = |message: String| sink(EventBody::Log { level: LogLevel::Info, message });
    let mut base = setup::open(recipe, &folders.model, &mut log)?;
    base.files.stop_with(stop);
    let template =
        text::prepare_tokenizer(recipe, &mut base.tokenizer, &mut |remark| log(remark.to_string()))?;
    let checkpoint = start.map(|start| start.folder.as_path());
    let loaded = setup::load(recipe, folders, base, &template, checkpoint, &mut log)?;
    let mut optimizer = Optimizer::of(recipe);
    if let Some(Start { folder, state }) = start {
        optimizer.load(&loaded.trainable(), &folder.join(checkpoint::OPTIMIZER), state.step)?;
    }
    Ok(Model { loaded, template, optimizer })
}

/// Fetches what of the recipe's models and data is on a hub and not here yet, until `stop` is set; answers with
/// where the models are.
fn fetch(recipe: &Recipe, sink: Sink, stop: &AtomicBool) -> Result<Folders> {
    const EVERY: Duration = Duration::from_secs(1);
    let named = recipe.ref_model.as_ref().filter(|_| recipe.stage.has_reference());
    let folders = {
        let mut say = hub::paced(EVERY, |progress| {
            sink(EventBody::Phase { phase: Phase::Downloading, detail: Some(progress.to_string()) });
        });
        let mut watch = |progress: &hub::Progress<'_>| {
            say(progress);
            if stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let model = hub::resolve_model(
            &recipe.model_name_or_path,
            Some(&recipe.model_revision),
            &recipe.tokens,
            &mut watch,
        )?;
        let reference = named.map(|name| hub::resolve_model(name, None, &recipe.tokens, &mut watch));
        let reference = reference.transpose()?;
        if text::fetch(recipe, &mut watch)?.is_break() {
            return Err(Error::Stopped);
        }
        Folders { model, reference }
    };
    let models =
        [(Some(&recipe.model_name_or_path), Some(&folders.model)), (named, folders.reference.as_ref())];
    for (name, folder) in models {
        if let (Some(name), Some(folder)) = (name, folder)
            && folder != Path::new(name)
        {
            let message = format!("{name} is in {}", folder.display());
            sink(EventBody::Log { level: LogLevel::Info, message });
        }
    }
    Ok(folders)
}
