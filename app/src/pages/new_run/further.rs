//! Arguments of a loaded recipe that have no field in the form: kept, and shown beside the recipe.

use recipe::{Recipe, Resume, arguments};

use super::asked::{FIXED, has_field};

/// Key and text of an argument.
pub type Further = (&'static str, String);

/// What a recipe says of arguments without a field, apart from what the board sets itself.
pub fn further(recipe: &Recipe) -> Vec<Further> {
    said(recipe).filter(|(key, _)| !is_the_boards(recipe, key)).collect()
}

/// What a recipe says otherwise than the board, which gives each run a folder of its own.
pub fn overruled(recipe: &Recipe) -> Vec<&'static str> {
    let differs = |(key, text): &Further| is_the_boards(recipe, key) && !FIXED.contains(&(key, text));
    said(recipe).filter(differs).map(|(key, _)| key).collect()
}

fn said(recipe: &Recipe) -> impl Iterator<Item = Further> {
    let unasked = arguments().iter().filter(|argument| !has_field(argument));
    let texts = unasked.filter_map(|argument| Some((argument, recipe.get(argument.key)?)));
    texts
        .filter(|(argument, text)| *text != argument.default_text())
        .map(|(argument, text)| (argument.key, text))
}

fn is_the_boards(recipe: &Recipe, key: &str) -> bool {
    match key {
        "do_train" | "output_dir" | "overwrite_output_dir" => true,
        // Without a path it speaks of the output folder, where a new run has nothing to go on from.
        "resume_from_checkpoint" => !matches!(recipe.resume(), Resume::From(_)),
        _ => false,
    }
}
