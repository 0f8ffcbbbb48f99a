//! From texts to a recipe.

use std::collections::BTreeSet;

use leptos::prelude::*;
use recipe::{Problem, Recipe};

use super::asked::FIXED;
use super::further::Further;

/// A recipe without the lines that have a problem, and those that belong to them.
pub fn without(yaml: &str, problems: &[Problem]) -> String {
    let wrong: BTreeSet<usize> = problems.iter().filter_map(|problem| problem.line).collect();
    let mut is_left_out = false;
    let kept = yaml.lines().enumerate().filter(|(place, line)| {
        let goes_on = line.starts_with([' ', '\t']) || line.starts_with("- ");
        is_left_out = wrong.contains(&(place + 1)) || is_left_out && goes_on;
        !is_left_out
    });
    kept.map(|(_, line)| line).collect::<Vec<_>>().join("\n")
}

/// Reads the fields that apply. An empty field stands for the default, one that cannot be read too.
pub fn read(
    fields: &[(&'static str, RwSignal<String>)],
    further: &[Further],
    without_effect: Vec<(String, String)>,
) -> (Recipe, Vec<Problem>) {
    let mut recipe = Recipe { without_effect, ..Recipe::default() };
    let mut problems = Vec::new();
    let mut set = |recipe: &mut Recipe, key: &str, text: &str| {
        if text.trim().is_empty() {
            return;
        }
        if let Err(problem) = recipe.set(key, text.trim()) {
            problems.push(problem);
        }
    };
    let text_of = |wanted: &str| {
        fields.iter().find(|(key, _)| *key == wanted).map(|(_, text)| text.get()).unwrap_or_default()
    };
    // These two decide which of the others apply.
    for key in ["stage", "finetuning_type"] {
        set(&mut recipe, key, &text_of(key));
    }
    for (key, text) in fields {
        let applies = recipe::args::find(key)
            .is_some_and(|argument| argument.applies_to(recipe.stage, recipe.finetuning_type));
        let text = text.get();
        if applies && !["stage", "finetuning_type"].contains(key) {
            set(&mut recipe, key, &text);
        }
    }
    for (key, text) in further.iter().map(|(key, text)| (*key, text.as_str())).chain(FIXED) {
        set(&mut recipe, key, text);
    }
    let unreadable: Vec<_> = problems.iter().filter_map(|problem: &Problem| problem.key.clone()).collect();
    let between = recipe.validate();
    let fresh = between.into_iter().filter(|p| p.key.as_ref().is_none_or(|key| !unreadable.contains(key)));
    problems.extend(fresh);
    (recipe, problems)
}
