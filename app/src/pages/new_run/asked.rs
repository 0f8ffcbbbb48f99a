//! Which arguments have a place in the form, and what the board says of the others.

use recipe::{Argument, Group, Recipe, arguments};

/// Arguments that the board sets itself, and those that few runs need: a recipe that is loaded may have them.
const NOT_ASKED: [&str; 9] = [
    "do_train",
    "output_dir",
    "logging_dir",
    "dataset_dir",
    "overwrite_output_dir",
    "resume_from_checkpoint",
    "use_cpu",
    "plot_loss",
    "fp16",
];

/// What the board sets itself: each run has a folder of its own.
pub const FIXED: [(&str, &str); 2] = [("do_train", "true"), ("output_dir", "output")];

/// Arguments with a place in the form.
pub fn asked() -> impl Iterator<Item = &'static Argument> {
    arguments().iter().filter(|argument| has_field(argument))
}

pub fn has_field(argument: &Argument) -> bool {
    !NOT_ASKED.contains(&argument.key)
}

/// Whether an argument means something for a run: those of how answers are drawn do where it learns from its own.
pub fn applies(argument: &Argument, recipe: &Recipe) -> bool {
    let is_drawn = argument.group != Group::Generating || recipe.trains_on_answers();
    is_drawn && argument.applies_to(recipe.stage, recipe.finetuning_type)
}

/// The identifier of a field's control, for its label and for browser tests.
pub fn field_id(key: &str) -> String {
    format!("field-{key}")
}
