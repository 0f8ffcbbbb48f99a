//! What a job has come to.

use std::path::{Path, PathBuf};

use recipe::Outcome;

use super::Evaluation;

/// The end of a job, in numbers.
#[derive(Clone, Debug)]
pub struct Summary {
    /// `Finished`, or `Stopped` when asked to stop: then a checkpoint was written, if there was a step to write.
    pub outcome: Outcome,
    /// Steps that are done, those before a resumed checkpoint included.
    pub steps: u64,
    /// Steps of the whole run.
    pub total_steps: u64,
    /// Mean loss of all steps.
    pub train_loss: f64,
    /// The last evaluation: one, or one for each data set.
    pub evaluations: Vec<Evaluation>,
    /// Where its files are.
    pub output_dir: PathBuf,
}

impl Summary {
    /// Of a run that was stopped before its first step; nothing is written, it starts anew.
    pub fn before_training(output: &Path) -> Summary {
        Summary {
            outcome: Outcome::Stopped,
            steps: 0,
            total_steps: 0,
            train_loss: 0.0,
            evaluations: Vec::new(),
            output_dir: output.to_owned(),
        }
    }
}
