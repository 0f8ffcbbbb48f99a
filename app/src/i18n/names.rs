//! What states, stages and methods are called.

use recipe::{FinetuningType, JobKind, RunState};
use wire::RunSummary;

use super::{Words, lang};

pub fn state_name(state: RunState, words: &'static Words) -> &'static str {
    match state {
        RunState::Queued => words.state_queued,
        RunState::Preparing => words.state_preparing,
        RunState::Running => words.state_running,
        RunState::Stopping => words.state_stopping,
        RunState::Finished => words.state_finished,
        RunState::Stopped => words.state_stopped,
        RunState::Failed => words.state_failed,
        RunState::Interrupted => words.state_interrupted,
    }
}

/// A stage by its name in a recipe, short enough for a table.
pub fn stage_name(stage: &str, words: &'static Words) -> String {
    match stage {
        "pt" => words.stage_pt.into(),
        "sft" => words.stage_sft.into(),
        other => other.to_ascii_uppercase(),
    }
}

/// What a run does, short enough for a table.
pub fn work_name(run: &RunSummary, words: &'static Words) -> String {
    let stage = stage_name(&run.stage, words);
    match run.kind {
        JobKind::Train => format!("{stage} · {}", method_name(&run.method)),
        JobKind::Evaluate => format!("{stage} · {}", words.run_evaluation),
        JobKind::Predict => format!("{stage} · {}", words.run_prediction),
    }
}

/// A method by its name in a recipe.
fn method_name(method: &str) -> String {
    FinetuningType::from_name(method)
        .map_or_else(|| method.to_owned(), |method| method.label().get(lang()).to_owned())
}
