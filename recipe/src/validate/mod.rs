//! What must hold between the arguments of a training run, topic by topic: all of it that is known without model and
//! data. Values alone were checked when they were read.

mod data;
mod evaluation;
mod lists;
mod method;
mod needed;
mod optimizer;
mod output;
mod place;
mod prediction;
mod reinforcement;
mod training;

use crate::args::Recipe;
use crate::problem::Problem;

/// The topics, in the order in which their problems are told.
static TOPICS: &[fn(&Recipe, &mut Vec<Problem>)] = &[
    lists::check,
    needed::check,
    place::check,
    method::check,
    data::check,
    data::check_mixing,
    data::check_streaming,
    reinforcement::check,
    training::check,
    optimizer::check,
    evaluation::check,
    evaluation::check_best,
    evaluation::check_early_stopping,
    evaluation::check_schedule,
    prediction::check,
    output::check,
];

impl Recipe {
    /// Everything that keeps this recipe from being trained.
    pub fn validate(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        for check in TOPICS {
            check(self, &mut problems);
        }
        problems
    }

    /// What is allowed and hardly ever goes well.
    pub fn doubts(&self) -> Vec<Problem> {
        let mut doubts = Vec::new();
        training::doubt(self, &mut doubts);
        doubts
    }
}
