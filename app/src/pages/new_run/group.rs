//! The fields in their groups: essentials first, the advanced behind a fold.

use leptos::prelude::*;
use recipe::{Argument, Group, Tier};
use wire::FormChoices;

use super::asked::asked;
use super::datasets::DatasetPicker;
use super::field::ArgumentField;
use super::form::Form;
use super::pickers::{ModelPicker, TemplatePicker};
use crate::i18n::{fill, lang, words};

/// What comes first, in the order in which one decides it.
const ESSENTIALS: [&str; 5] = ["model_name_or_path", "template", "stage", "finetuning_type", "dataset"];

/// Name of the run, and what a run cannot be described without.
#[component]
pub fn Essentials(form: Form, choices: StoredValue<FormChoices>) -> AnyView {
    let w = words();
    let fields = ESSENTIALS
        .iter()
        .filter_map(|key| recipe::args::find(key))
        .map(|argument| pick(argument, form, choices));
    view! {
        <section class="card essentials">
            {fields.collect_view()}
            <div class="field">
                <label class="field-label" for="field-name">{w.new_name}</label>
                <input
                    type="text"
                    id="field-name"
                    name="run_name"
                    data-test="run-name"
                    maxlength="120"
                    autocomplete="off"
                    placeholder=w.new_name_placeholder
                    aria-describedby="help-name"
                    value=form.name.get_untracked()
                    prop:value=move || form.name.get()
                    on:input:target=move |event| form.rename(event.target().value())
                />
                <p class="field-help" id="help-name">{w.new_name_help}</p>
            </div>
        </section>
    }
    .into_any()
}

/// The control of an argument: a picker where there is something to pick from.
fn pick(argument: &'static Argument, form: Form, choices: StoredValue<FormChoices>) -> AnyView {
    match argument.key {
        "model_name_or_path" => view! { <ModelPicker argument form choices/> }.into_any(),
        "template" => view! { <TemplatePicker argument form choices/> }.into_any(),
        "dataset" | "eval_dataset" => view! { <DatasetPicker argument form choices/> }.into_any(),
        _ => view! { <ArgumentField argument form/> }.into_any(),
    }
}

/// The same once the argument applies: what does not need not be sent. Drawn once it stays, with what was typed into it.
fn pick_if_applies(argument: &'static Argument, form: Form, choices: StoredValue<FormChoices>) -> AnyView {
    let is_drawn =
        Memo::new(move |drawn: Option<&bool>| drawn.is_some_and(|drawn| *drawn) || form.applies(argument));
    let field = move || match is_drawn.get() {
        true => pick(argument, form, choices),
        false => ().into_any(),
    };
    field.into_any()
}

/// Everything else, a card for each group.
#[component]
pub fn Groups(form: Form, choices: StoredValue<FormChoices>) -> impl IntoView {
    Group::ALL.map(|group| view! { <GroupCard group form choices/> }).collect_view()
}

#[component]
fn GroupCard(group: Group, form: Form, choices: StoredValue<FormChoices>) -> impl IntoView {
    let of_tier = move |tier: Tier| -> Vec<&'static Argument> {
        asked().filter(|argument| argument.group == group && argument.tier == tier).collect()
    };
    let (common, advanced) = (of_tier(Tier::Common), of_tier(Tier::Advanced));
    if common.is_empty() && advanced.is_empty() {
        return ().into_any();
    }
    let all: Vec<_> = common.iter().chain(&advanced).copied().collect();
    let applies = move || all.iter().any(|argument| form.applies(argument));
    let fields = common.into_iter().map(|argument| pick_if_applies(argument, form, choices)).collect_view();
    view! {
        <section class="card group" data-test=format!("group-{}", group.name()) hidden=move || !applies()>
            <h2>{group.label().get(lang())}</h2>
            <div class="fields">{fields}</div>
            {(!advanced.is_empty()).then(|| view! { <Advanced arguments=advanced form choices/> })}
        </section>
    }
    .into_any()
}

#[component]
fn Advanced(arguments: Vec<&'static Argument>, form: Form, choices: StoredValue<FormChoices>) -> AnyView {
    let w = words();
    let (counted, listed) = (arguments.clone(), arguments.clone());
    let title = move || match form.changed(&counted) {
        0 => w.new_advanced.to_owned(),
        n => fill(w.new_advanced_changed, &[("n", &n.to_string())]),
    };
    let applies = move || listed.iter().any(|argument| form.applies(argument));
    // Folded fields come when all that is seen is there, and the browser has nothing else to do.
    let is_drawn = RwSignal::new(false);
    Effect::new(move |_| {
        request_idle_callback(move || {
            is_drawn.try_set(true);
        });
    });
    let fields = move || {
        let arguments = is_drawn.get().then(|| arguments.iter());
        arguments.map(|arguments| {
            arguments.map(|argument| pick_if_applies(argument, form, choices)).collect_view()
        })
    };
    view! {
        <details class="advanced" hidden=move || !applies() on:toggle=move |_| is_drawn.set(true)>
            <summary>{title}</summary>
            <div class="fields">{fields}</div>
        </details>
    }
    .into_any()
}
