//! Recipes that differ from the smallest one in some lines.

use recipe::{Problem, Recipe};

pub const SMALLEST: &str = "\
model_name_or_path: models/wick
do_train: true
dataset: identity
template: chatml
output_dir: out
";

pub fn with(lines: &str) -> Result<Recipe, Vec<Problem>> {
    Recipe::from_yaml(&format!("{SMALLEST}{lines}"))
}

pub fn problems(lines: &str) -> Vec<String> {
    with(lines).err().unwrap_or_default().iter().map(Problem::to_string).collect()
}
