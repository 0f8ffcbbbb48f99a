//! Checkpoints: everything a run needs to go on with the very same numbers.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::digests;
use super::resume::{checkpoints, step_of};
use crate::method::Loaded;
use crate::optim::{Optimizer, Watched};
use crate::weights::{replace_folder, write_json};
use crate::{Error, Result};

const STATE: &str = "chandler_state.json";
pub(crate) const OPTIMIZER: &str = "optimizer.safetensors";

/// The checkpoint whose evaluation was the best so far.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Best {
    pub metric: f64,
    pub step: u64,
}

/// What early stopping remembers.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Patience {
    /// The best evaluation so far.
    pub best: Option<f64>,
    /// Evaluations since then.
    pub since: u64,
}

/// Where a run stands. Data order and dropout masks are functions of seed and step.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct State {
    pub step: u64,
    /// Updates that were made in these steps; one each, but where a stage makes several of what it draws.
    #[serde(default)]
    pub updates: u64,
    /// Numbers that the stage carries from step to step.
    #[serde(default)]
    pub carried: BTreeMap<String, f64>,
    pub seed: u64,
    /// Examples of a batch, where their number was found by the memory there was.
    #[serde(default)]
    pub batch: Option<usize>,
    /// Examples of the training data and the digest of their contents, to notice when they have changed. A stream
    /// has no digest.
    pub examples: usize,
    #[serde(default)]
    pub data: Option<String>,
    pub total_steps: u64,
    /// Tokens trained on.
    pub tokens: u64,
    pub elapsed_s: f64,
    /// Σ of the losses of all steps.
    pub loss_sum: f64,
    /// Σ and number of the losses since the last log line.
    pub unlogged_loss: f64,
    pub unlogged_steps: u64,
    /// Steps that were skipped because their loss or its gradient was no number: of all, and since the last log line.
    #[serde(default)]
    pub skipped: u64,
    #[serde(default)]
    pub unlogged_skips: u64,
    /// Σ of what else their stage measured, by name.
    #[serde(default)]
    pub unlogged_metrics: BTreeMap<String, f64>,
    /// The best checkpoint, where the recipe asks for it.
    #[serde(default)]
    pub best: Option<Best>,
    /// Where early stopping stands.
    #[serde(default)]
    pub patience: Patience,
    /// The evaluation after this step was broken off.
    #[serde(default)]
    pub owes_evaluation: bool,
    /// Where a learning rate stands that follows evaluations.
    #[serde(default)]
    pub watched: Watched,
    /// `log_history` of `trainer_state.json`.
    pub history: Vec<serde_json::Value>,
    /// Sizes of the checkpoint's other files, to notice when one is missing or cut short.
    #[serde(default)]
    pub files: BTreeMap<String, u64>,
}

impl State {
    /// Moves that the optimiser has made. Earlier versions made one each step, and did not say so.
    pub(crate) fn moves(&self) -> u64 {
        self.updates.max(self.step.saturating_sub(self.skipped))
    }

    /// # Errors
    /// If the folder is no complete checkpoint: every file must be there with the size and the contents it was written
    /// with, and the step must be one of the run.
    pub(crate) fn read(folder: &Path) -> Result<State> {
        let path = folder.join(STATE);
        if !folder.join(OPTIMIZER).exists() {
            let message = "is not a checkpoint that can be gone on from: it has no optimizer state";
            return Err(Error::file(folder, message));
        }
        let text = std::fs::read_to_string(&path).map_err(|error| Error::io(&path, error))?;
        let state: State = serde_json::from_str(&text)
            .map_err(|error| Error::file(&path, format!("is not valid: {error}")))?;
        for (name, size) in &state.files {
            let path = folder.join(name);
            let found = std::fs::metadata(&path).map_err(|error| Error::io(&path, error))?.len();
            if found != *size {
                let message = format!("is damaged: it has {found} bytes, {size} were written");
                return Err(Error::file(&path, message));
            }
        }
        digests::check(folder, state.files.keys().map(String::as_str).chain([STATE]))?;
        let named = folder.file_name().and_then(|name| step_of(&name.to_string_lossy()));
        if state.step == 0 || state.step > state.total_steps || named.is_some_and(|step| step != state.step) {
            let message = format!(
                "is not valid: step {} of {} is none that this checkpoint can be of",
                state.step, state.total_steps
            );
            return Err(Error::file(&path, message));
        }
        Ok(state)
    }

    /// Going on with other data or another seed would silently be another run.
    ///
    /// # Errors
    /// Names what is another than when the checkpoint was written.
    pub(crate) fn check_unchanged(&self, seed: u64, examples: usize, data: Option<&str>) -> Result<()> {
        if self.examples != examples {
            let message = format!(
                "the checkpoint was written when the data had {} examples, now they are {examples}; \
                 restore the data, or start afresh with overwrite_output_dir: true",
                self.examples
            );
            return Err(Error::recipe("dataset", message));
        }
        if let (Some(written), Some(now)) = (self.data.as_deref(), data)
            && written != now
        {
            let message = format!(
                "the {examples} examples are others than when the checkpoint was written: rows, or settings that decide \
                 how they are encoded, have changed; restore them, or start afresh with overwrite_output_dir: true"
            );
            return Err(Error::recipe("dataset", message));
        }
        if self.seed != seed {
            let message =
                format!("the checkpoint was written with seed {}, the recipe says {seed}", self.seed);
            return Err(Error::recipe("seed", message));
        }
        Ok(())
    }
}

/// Sizes of the files in a folder.
fn sizes(folder: &Path) -> Result<BTreeMap<String, u64>> {
    let size = |entry: std::io::Result<std::fs::DirEntry>| {
        let entry = entry?;
        Ok((entry.file_name().to_string_lossy().into_owned(), entry.metadata()?.len()))
    };
    let entries = std::fs::read_dir(folder).map_err(|error| Error::io(folder, error))?;
    entries.map(size).collect::<std::io::Result<_>>().map_err(|error| Error::io(folder, error))
}

/// Writes `checkpoint-N` as a whole and removes the oldest ones beyond `limit`.
pub(crate) fn save(
    output: &Path,
    loaded: &Loaded,
    optimizer: &Optimizer,
    state: &State,
    trainer_state: &serde_json::Value,
    (limit, model_only): (Option<usize>, bool),
) -> Result<String> {
    let name = format!("checkpoint-{}", state.step);
    replace_folder(&output.join(&name), |folder| {
        loaded.save(folder, true)?;
        write_json(&folder.join("trainer_state.json"), trainer_state)?;
        if !model_only {
            optimizer.save(&loaded.trainable(), &folder.join(OPTIMIZER))?;
            let state = State { files: sizes(folder)?, ..state.clone() };
            let state =
                serde_json::to_value(state).map_err(|error| Error::file(folder, error.to_string()))?;
            write_json(&folder.join(STATE), &state)?;
        }
        digests::write(folder)
    })?;
    if let Some(limit) = limit {
        // Those of later steps are left from an attempt that is void, and go first; the best one stays.
        let mut all = checkpoints(output);
        all.sort_by_key(|(step, _)| (*step <= state.step, *step));
        let surplus = all.len().saturating_sub(limit.max(1));
        let best = state.best.map(|best| best.step);
        let goes = |step: &u64| Some(*step) != best && *step != state.step;
        for (_, old) in all.iter().filter(|(step, _)| goes(step)).take(surplus) {
            std::fs::remove_dir_all(old).map_err(|error| Error::io(old, error))?;
        }
    }
    Ok(name)
}
