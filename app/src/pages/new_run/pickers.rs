//! The fields with something to pick from: model and template.

use std::time::Duration;

use leptos::leptos_dom::helpers::debounce;
use leptos::prelude::*;
use leptos::task::spawn_local;
use recipe::Argument;
use wire::{FormChoices, ModelChoice, ModelFacts};

use super::asked::field_id;
use super::field::Labelled;
use super::form::Form;
use crate::calls;
use crate::components::hub_models::{self, HubModels};
use crate::format;
use crate::i18n::{fill, words};

/// The value of the option that asks for a path instead.
pub const OTHER: &str = "\u{2026}";

/// The name of the control that such a path is typed into.
pub const TYPED: &str = "typed-model";

/// The server is asked for the template of a name when nothing was typed for so long.
const PAUSE: Duration = Duration::from_millis(200);

/// The field of the model, and whether a path is typed into it.
#[derive(Clone, Copy)]
struct Picked {
    argument: &'static Argument,
    form: Form,
    choices: StoredValue<FormChoices>,
    path: RwSignal<String>,
    other: RwSignal<bool>,
}

impl Picked {
    fn new(argument: &'static Argument, form: Form, choices: StoredValue<FormChoices>) -> Picked {
        let path = form.field(argument.key);
        let picked = Picked { argument, form, choices, path, other: RwSignal::new(false) };
        let is_other = move |path: &String| !path.is_empty() && picked.listed(path).is_none();
        picked.other.set(path.with_untracked(is_other));
        picked
    }

    fn listed(self, path: &str) -> Option<ModelChoice> {
        self.choices.with_value(|choices| choices.models.iter().find(|model| model.path == path).cloned())
    }

    /// Models of the list: those that are here, or the others.
    fn models(self, present: bool) -> Vec<ModelChoice> {
        self.choices.with_value(|choices| {
            choices.models.iter().filter(|model| model.present == present).cloned().collect()
        })
    }

    /// Fills in what suits a model of the list: its template, and values for its size. Whether it is one.
    fn suit(self, path: &str) -> bool {
        let model = self.listed(path);
        if let Some(model) = &model {
            self.form.suit_template(model.template.clone());
            self.form.suit(model.facts());
        }
        model.is_some()
    }

    fn choose(self, chosen: String) {
        self.form.touch(self.argument.key);
        self.other.set(chosen == OTHER);
        if chosen == OTHER {
            self.path.set(String::new());
            return;
        }
        self.suit(&chosen);
        self.path.set(chosen);
    }
}

#[component]
pub fn ModelPicker(argument: &'static Argument, form: Form, choices: StoredValue<FormChoices>) -> AnyView {
    let w = words();
    let picked = Picked::new(argument, form, choices);
    let Picked { path, other, .. } = picked;
    // A recipe that is loaded may name a model that is not in the list.
    Effect::new(move |_| {
        let path = path.get();
        if !path.is_empty() {
            other.set(picked.listed(&path).is_none());
        }
    });
    let mut suit_template = debounce(PAUSE, move |typed: String| {
        spawn_local(async move {
            // Where the server does not answer, the template is chosen by hand.
            let known = calls::known_template(typed.clone()).await;
            if let Ok(known) = known
                && path.try_with_untracked(|path| *path == typed) == Some(true)
            {
                form.suit_template(known);
            }
        });
    });
    // Of a model that is not in the list only its name is known; the server may know more, and says so when it
    // checks the recipe.
    let mut type_in = move |typed: String| {
        form.touch(argument.key);
        if !picked.suit(&typed) {
            form.suit(ModelFacts { parameters: recipe::registry::size_in_name(&typed), context: None });
            suit_template(typed.clone());
        }
        path.set(typed);
        other.set(true);
    };
    let hints =
        picked.models(false).into_iter().filter_map(|model| model.hint.map(|hint| (model.label, hint)));
    let hints = hints.map(|(label, hint)| {
        let bring = fill(w.new_model_bring, &[("name", &label)]);
        view! { <li>{bring} " " <code>{hint}</code></li> }
    });
    let note = view! { <ul class="field-hints">{hints.collect_view()}</ul> }.into_any();
    view! {
        <Labelled argument form note>
            <ModelList picked/>
            <input
                type="text"
                name=TYPED
                data-test="model-path"
                aria-label=w.new_model_path
                placeholder=w.new_model_path
                autocomplete="off"
                spellcheck="false"
                list=hub_models::ID
                hidden=move || !other.get()
                prop:value=move || path.get()
                on:input:target=move |event| type_in(event.target().value())
            />
            <HubModels wanted=other/>
        </Labelled>
    }
    .into_any()
}

/// The models to choose from, and the way to one that is not among them.
#[component]
fn ModelList(picked: Picked) -> AnyView {
    let w = words();
    let Picked { argument, path, other, .. } = picked;
    let option = move |model: ModelChoice| {
        let size = model.parameters.map(|count| format!(" · {}", format::large(count))).unwrap_or_default();
        let value = model.path.clone();
        view! {
            <option
                value=model.path
                disabled=!model.present
                selected=move || !other.get() && path.with(|path| *path == value)
            >
                {format!("{}{size}", model.label)}
            </option>
        }
    };
    let elsewhere = picked.models(false);
    view! {
        <select
            id=field_id(argument.key)
            name=argument.key
            data-test=field_id(argument.key)
            prop:value=move || if other.get() { OTHER.to_owned() } else { path.get() }
            on:change:target=move |event| picked.choose(event.target().value())
        >
            <option value="" selected=move || !other.get() && path.with(String::is_empty)>{w.new_model_choose}</option>
            <optgroup label=w.new_models_here>
                {picked.models(true).into_iter().map(option).collect_view()}
            </optgroup>
            {(!elsewhere.is_empty()).then(|| view! {
                <optgroup label=w.new_models_elsewhere>{elsewhere.into_iter().map(option).collect_view()}</optgroup>
            })}
            <option value=OTHER selected=move || other.get()>{w.new_model_other}</option>
        </select>
    }
    .into_any()
}

#[component]
pub fn TemplatePicker(argument: &'static Argument, form: Form, choices: StoredValue<FormChoices>) -> AnyView {
    let w = words();
    let template = form.field(argument.key);
    let names = choices.with_value(|choices| choices.templates.clone());
    // A template that was loaded or filled in stays visible, whether it is in the list or not.
    let unlisted = {
        let names = names.clone();
        move || template.with(|name| (!name.is_empty() && !names.contains(name)).then(|| name.clone()))
    };
    let options = names.into_iter().map(move |name| {
        let (value, same) = (name.clone(), name.clone());
        view! { <option value=value selected=move || template.with(|chosen| *chosen == same)>{name}</option> }
    });
    view! {
        <Labelled argument form>
            <select
                id=field_id(argument.key)
                name=argument.key
                data-test=field_id(argument.key)
                aria-invalid=move || form.problem_at(argument.key).is_some().to_string()
                prop:value=move || template.get()
                on:change:target=move |event| {
                    form.touch(argument.key);
                    template.set(event.target().value());
                }
            >
                <option value="" selected=move || template.with(String::is_empty)>{w.chat_template_own}</option>
                {move || unlisted().map(|name| view! { <option value=name.clone() selected=true>{name.clone()}</option> })}
                {options.collect_view()}
            </select>
        </Labelled>
    }
    .into_any()
}
