//! Prediction: the model answers held-out data, or scores their answers as a reward model does; what came of each example is
//! written beside what the data give, and measured.

mod answers;
mod scores;

use std::path::Path;
use std::time::Instant;

use recipe::metrics::{EVAL_PREFIX, EVAL_RUNTIME};
use recipe::{Metrics, Outcome, Recipe};
use serde_json::{Map, Value};

use super::Job;
use super::fetch::fetch;
use super::setup::{self, Opened};
use crate::observer::Observer;
use crate::text::{EvalSet, pyjson};
use crate::train::Summary;
use crate::train::evaluate::Evaluation;
use crate::train::records::{eval_metrics, round, write_results};
use crate::weights::write_atomic;
use crate::world::World;
use crate::{Error, Result};

/// What came of each example, one JSON object a line, as LLaMA-Factory calls the file.
const PREDICTIONS: &str = "generated_predictions.jsonl";

pub(super) struct Predict;

/// What is needed to predict a data set.
struct Setting<'a> {
    recipe: &'a Recipe,
    opened: &'a Opened,
    world: &'a dyn World,
}

/// What came of a data set.
struct Predicted {
    /// An object for each example, in their order; none in processes that write nothing.
    lines: Vec<Value>,
    /// Means over the examples, by name.
    metrics: Vec<(String, f64)>,
}

impl Job for Predict {
    fn run(&self, recipe: &Recipe, world: &dyn World, observer: &mut Observer) -> Result<Summary> {
        let output = Path::new(&recipe.output_dir);
        std::fs::create_dir_all(output).map_err(|error| Error::io(output, error))?;
        let folders = fetch(recipe, observer)?;
        let opened = setup::open(recipe, &folders, None, observer)?;
        let data = setup::prepare(recipe, &opened, world, observer)?;

        let setting = Setting { recipe, opened: &opened, world };
        let (mut evaluations, mut lines) = (Vec::with_capacity(data.eval.len()), Vec::new());
        for set in &data.eval {
            let (evaluation, more) = setting.predict(set, observer)?;
            observer.event(evaluation.event(0, 0.0));
            evaluations.push(evaluation);
            lines.extend(more);
        }
        if world.writes() {
            write(recipe, output, &evaluations, &lines)?;
        }
        Ok(Summary { outcome: Outcome::Finished, evaluations, ..Summary::before_training(output) })
    }
}

impl Setting<'_> {
    fn predict(&self, set: &EvalSet, observer: &mut Observer) -> Result<(Evaluation, Vec<Value>)> {
        let begin = Instant::now();
        let Predicted { lines, metrics } = if self.recipe.generates() {
            answers::predict(self, set, observer)?
        } else {
            scores::predict(self, set, observer)?
        };
        let named = metrics.into_iter().map(|(name, value)| (format!("{EVAL_PREFIX}{name}"), value));
        let mut metrics: Metrics = named.collect();
        metrics.set(EVAL_RUNTIME, round(begin.elapsed().as_secs_f64(), 4));
        let examples = set.examples.len();
        let batches = examples.div_ceil(self.batch_size());
        Ok((Evaluation { dataset: set.name.clone(), metrics, examples, batches }, lines))
    }

    /// Examples that are worked on together.
    fn batch_size(&self) -> usize {
        self.recipe.per_device_eval_batch_size.max(1)
    }
}

/// Writes results and predictions, those that are asked for.
fn write(recipe: &Recipe, output: &Path, evaluations: &[Evaluation], lines: &[Value]) -> Result<()> {
    let metrics: Map<String, Value> = evaluations.iter().flat_map(eval_metrics).collect();
    if recipe.evaluates() {
        write_results(output, "eval", &metrics)?;
    }
    if recipe.do_predict {
        let renamed = |(name, value): (String, Value)| {
            let name = name.strip_prefix(EVAL_PREFIX).map_or(name.clone(), |name| format!("predict_{name}"));
            (name, value)
        };
        write_results(output, "predict", &metrics.into_iter().map(renamed).collect())?;
        let lines: String = lines.iter().map(|line| pyjson::dumps(line) + "\n").collect();
        write_atomic(&output.join(PREDICTIONS), lines.as_bytes())?;
    }
    Ok(())
}
