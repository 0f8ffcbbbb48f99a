//! Evaluation alone: how a model does on held-out data, as it is.

use std::path::Path;

use recipe::{Outcome, Phase, Recipe};
use serde_json::Map;

use super::Job;
use super::fetch::fetch;
use super::setup;
use crate::observer::Observer;
use crate::stage;
use crate::train::Summary;
use crate::train::evaluate::{Evaluating, evaluate};
use crate::train::records::{eval_metrics, write_results};
use crate::world::World;
use crate::{Error, Result};

pub(super) struct Evaluate;

impl Job for Evaluate {
    fn run(&self, recipe: &Recipe, world: &dyn World, observer: &mut Observer) -> Result<Summary> {
        let output = Path::new(&recipe.output_dir);
        std::fs::create_dir_all(output).map_err(|error| Error::io(output, error))?;
        let folders = fetch(recipe, observer)?;
        let opened = setup::open(recipe, &folders, None, observer)?;
        let data = setup::prepare(recipe, &opened, world, observer)?;

        let stage = stage::of(recipe)?;
        let (mut evaluations, mut metrics) = (Vec::with_capacity(data.eval.len()), Map::new());
        for set in &data.eval {
            observer.phase(Phase::Evaluating, set.name.clone());
            let evaluation =
                evaluate(stage.given()?, &opened.loaded, set, Evaluating::of(recipe), world, observer)?;
            observer.event(evaluation.event(0, 0.0));
            metrics.extend(eval_metrics(&evaluation));
            evaluations.push(evaluation);
        }
        if world.writes() {
            write_results(output, "eval", &metrics)?;
        }
        Ok(Summary { outcome: Outcome::Finished, evaluations, ..Summary::before_training(output) })
    }
}
