//! Arguments of a loaded recipe that have no field in the form: kept, shown, and taken out one by one.

use leptos::prelude::*;
use recipe::{Recipe, Resume, arguments};

use super::field::field_id;
use super::form::{FIXED, Form, has_field};
use crate::components::icon::{Icon, IconName};
use crate::i18n::{fill, words};

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

#[component]
pub fn FurtherKeys(form: Form) -> impl IntoView {
    let w = words();
    let further = form.further;
    let chip = move |(key, text): Further| {
        let label = fill(w.new_data_remove, &[("name", key)]);
        view! {
            <li>
                <button
                    type="button"
                    class="chip"
                    id=field_id(key)
                    data-test=format!("further-{key}")
                    title=label.clone()
                    aria-label=label
                    on:click=move |_| {
                        form.changed.set(true);
                        further.update(|kept| kept.retain(|(other, _)| *other != key));
                    }
                >
                    <code>{format!("{key}: {text}")}</code>
                    <Icon name=IconName::Cross/>
                </button>
            </li>
        }
    };
    let overruled = move || form.overruled.with(|keys| keys.join(", "));
    view! {
        <div class="preview-note" data-test="further" hidden=move || further.with(Vec::is_empty)>
            <h3>{w.new_further}</h3>
            <ul class="chips">{move || further.get().into_iter().map(chip).collect_view()}</ul>
        </div>
        <p class="preview-note" data-test="overruled" hidden=move || form.overruled.with(Vec::is_empty)>
            {move || fill(w.new_overruled, &[("keys", &overruled())])}
        </p>
    }
}
