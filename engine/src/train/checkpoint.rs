//! Checkpoints: everything a run needs to go on with the very same numbers.

use std::path::Path;

use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::resume::checkpoints;
use super::setup::Loaded;
use crate::optim::{AdamW, Moments};
use crate::weights::{replace_folder, save_tensors, write_json};
use crate::{Error, Result};

const STATE: &str = "chandler_state.json";
const OPTIMIZER: &str = "optimizer.safetensors";

/// Where a run stands. Data order and dropout masks are functions of seed and step.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct State {
    pub step: u64,
    pub seed: u64,
    /// Examples of the training data, to notice when they have changed.
    pub examples: usize,
    pub total_steps: u64,
    /// Tokens trained on.
    pub tokens: u64,
    pub elapsed_s: f64,
    /// Σ of the losses of all steps.
    pub loss_sum: f64,
    /// Σ and number of the losses since the last log line.
    pub unlogged_loss: f64,
    pub unlogged_steps: u64,
    /// `log_history` of `trainer_state.json`.
    pub history: Vec<serde_json::Value>,
}

impl State {
    /// # Errors
    /// If the folder is no complete checkpoint.
    pub fn read(folder: &Path) -> Result<State> {
        let path = folder.join(STATE);
        if !folder.join(OPTIMIZER).exists() {
            let message = "is not a checkpoint that can be gone on from: it has no optimizer state";
            return Err(Error::file(folder, message));
        }
        let text = std::fs::read_to_string(&path).map_err(|error| Error::io(&path, error))?;
        serde_json::from_str(&text).map_err(|error| Error::file(&path, format!("is not valid: {error}")))
    }
}

/// Writes `checkpoint-N` as a whole and removes the oldest ones beyond `limit`.
pub fn save(
    output: &Path,
    loaded: &Loaded,
    optimizer: &AdamW,
    state: &State,
    trainer_state: &serde_json::Value,
    (limit, model_only): (Option<usize>, bool),
) -> Result<String> {
    let name = format!("checkpoint-{}", state.step);
    replace_folder(&output.join(&name), |folder| {
        loaded.save(folder, true)?;
        write_json(&folder.join("trainer_state.json"), trainer_state)?;
        if model_only {
            return Ok(());
        }
        let state = serde_json::to_value(state).map_err(|error| Error::file(folder, error.to_string()))?;
        write_json(&folder.join(STATE), &state)?;
        save_optimizer(loaded, optimizer, &folder.join(OPTIMIZER))
    })?;
    if let Some(limit) = limit {
        let all = checkpoints(output);
        for (_, old) in &all[..all.len().saturating_sub(limit.max(1))] {
            std::fs::remove_dir_all(old).map_err(|error| Error::io(old, error))?;
        }
    }
    Ok(name)
}

fn save_optimizer(loaded: &Loaded, optimizer: &AdamW, path: &Path) -> Result<()> {
    let mut tensors: Vec<(String, Tensor)> = Vec::new();
    for param in loaded.decoder.trainable() {
        if let Some(moments) = optimizer.moments(&param) {
            tensors.push((format!("{}.first", param.name), moments.first.clone()));
            tensors.push((format!("{}.second", param.name), moments.second.clone()));
        }
    }
    save_tensors(&tensors, path)
}

/// Gives the optimiser back the state of a checkpoint.
pub fn load_optimizer(folder: &Path, loaded: &Loaded, optimizer: &mut AdamW, step: u64) -> Result<()> {
    let path = folder.join(OPTIMIZER);
    let mut tensors = candle_core::safetensors::load(&path, &Device::Cpu)
        .map_err(|error| Error::file(&path, format!("is not a readable safetensors file: {error}")))?;
    for param in loaded.decoder.trainable() {
        let mut take = |part: &str| {
            let name = format!("{}.{part}", param.name);
            let tensor = tensors.remove(&name).filter(|tensor| tensor.dims() == param.tensor.dims());
            let tensor = tensor.ok_or_else(|| {
                Error::file(&path, format!("has no tensor `{name}` of shape {:?}", param.tensor.dims()))
            })?;
            Ok::<_, Error>(tensor.to_device(param.tensor.device())?)
        };
        let moments = Moments { first: take("first")?, second: take("second")? };
        optimizer.set_moments(&param, moments);
    }
    optimizer.steps = step;
    Ok(())
}
