//! Training: from a recipe to a trained model on disk.

mod checkpoint;
mod evaluate;
mod plan;
mod plot;
mod records;
mod resume;
mod setup;
mod trainer;

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use recipe::{EventBody, LogLevel, Outcome, Phase, Recipe};

use crate::hub::resolve_model;
use crate::text;
use crate::{Error, Result};

pub use evaluate::Evaluation;
pub use plan::Plan;

/// Where events go. A worker appends them to its run's file, a terminal draws a progress bar.
pub type Sink<'a> = &'a mut dyn FnMut(EventBody);

/// What a run has come to.
#[derive(Clone, Debug)]
pub struct TrainSummary {
    /// `Finished`, or `Stopped` when asked to stop: then a checkpoint was written.
    pub outcome: Outcome,
    pub steps: u64,
    pub total_steps: u64,
    /// Mean loss of all steps.
    pub train_loss: f64,
    pub evaluation: Option<Evaluation>,
    pub output_dir: PathBuf,
}

/// Trains as the recipe says. Blocks until the run is finished, or `stop` is set and the current step done.
///
/// # Errors
/// One sentence for the person who started the run; what is on disk by then stays intact.
pub fn train(recipe: &Recipe, sink: Sink, stop: &AtomicBool) -> Result<TrainSummary> {
    for notice in recipe.notices() {
        let message = format!("{}: {} ({})", notice.key, notice.value, notice.reason.en);
        sink(EventBody::Log { level: LogLevel::Warning, message });
    }
    let output = Path::new(&recipe.output_dir);
    let start = resume::find(recipe, output, sink)?;
    std::fs::create_dir_all(output).map_err(|error| Error::io(output, error))?;

    sink(EventBody::Phase { phase: Phase::LoadingModel, detail: Some(recipe.model_name_or_path.clone()) });
    let mut log = |message: String| sink(EventBody::Log { level: LogLevel::Info, message });
    let folder = resolve_model(&recipe.model_name_or_path, Some(&recipe.model_revision), &mut log)?;
    let mut base = setup::open(recipe, &folder, &mut log)?;
    let template = text::prepare_tokenizer(recipe, &mut base.tokenizer, &mut log)?;
    let checkpoint = start.as_ref().map(|start| start.folder.as_path());
    let loaded = setup::load(recipe, base, checkpoint, &mut log)?;

    sink(EventBody::Phase { phase: Phase::EncodingData, detail: Some(recipe.dataset.join(", ")) });
    let mut log = |message: String| sink(EventBody::Log { level: LogLevel::Info, message });
    let data = text::prepare(recipe, &loaded.tokenizer, &template, &mut log)?;
    setup::check_vocabulary(&loaded, &data)?;

    trainer::Trainer::new(recipe, loaded, data, start)?.run(sink, stop)
}
