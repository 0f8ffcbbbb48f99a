//! What rows are encoded with: model, template, cutoff, and what counts in the loss.

use leptos::ev::SubmitEvent;
use leptos::prelude::*;
use serde::{Deserialize, Serialize};
use wire::{Encoding, FormChoices, Holds, ModelChoice};

use super::look::{Look, Settings};
use crate::calls::CallError;
use crate::components::failure::BoardFailure;
use crate::components::navigate::navigate;
use crate::i18n::words;

/// The model that is there from the start.
const BUNDLED: &str = "wick";

/// Models on this machine, and templates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Offer {
    models: Vec<ModelChoice>,
    templates: Vec<String>,
}

impl Offer {
    pub fn new(choices: FormChoices) -> Offer {
        let models = choices.models.into_iter().filter(|model| model.present).collect();
        Offer { models, templates: choices.templates }
    }

    /// The settings with their defaults: the bundled model, the template that fits the model, the form's cutoff.
    pub fn encoding(&self, settings: &Settings) -> Encoding {
        let is_chosen = |model: &&ModelChoice| model.path == settings.model;
        let bundled = || self.models.iter().find(|model| model.label == BUNDLED).or(self.models.first());
        let listed = match settings.model.is_empty() {
            true => bundled(),
            false => self.models.iter().find(is_chosen),
        };
        let fitting = || listed.and_then(|model| model.template.clone()).unwrap_or_default();
        Encoding {
            model: listed.map_or_else(|| settings.model.clone(), |model| model.path.clone()),
            template: if settings.template.is_empty() { fitting() } else { settings.template.clone() },
            cutoff_len: settings.cutoff_len.unwrap_or_else(|| recipe::Recipe::default().cutoff_len),
            plain_text: settings.plain_text,
            train_on_prompt: settings.train_on_prompt,
            mask_history: settings.mask_history,
            default_system: settings.default_system.clone(),
            enable_thinking: match settings.enable_thinking.as_str() {
                "" => recipe::Recipe::default().enable_thinking,
                chosen => chosen.parse().ok(),
            },
        }
    }
}

#[component]
pub fn EncodingForm(look: Memo<Look>, holds: Holds, offer: Resource<Result<Offer, CallError>>) -> AnyView {
    view! {
        <Transition>
            {move || Suspend::new(async move {
                match offer.await {
                    Ok(offer) => view! { <Pickers look holds offer/> }.into_any(),
                    Err(error) => view! { <BoardFailure error retry=move |()| offer.refetch()/> }.into_any(),
                }
            })}
        </Transition>
    }
    .into_any()
}

#[component]
fn Pickers(look: Memo<Look>, holds: Holds, offer: Offer) -> AnyView {
    let w = words();
    let navigate = navigate();
    let offer = StoredValue::new(offer);
    let now = Memo::new(move |_| offer.with_value(|offer| look.with(|look| offer.encoding(&look.settings))));
    let go = move |change: &dyn Fn(&mut Settings)| {
        let mut next = look.get_untracked();
        change(&mut next.settings);
        navigate.stay_at(&next.address());
    };
    // Another model brings its own template with it.
    let choose_model = move |model: String| {
        go(&|settings| {
            settings.model.clone_from(&model);
            settings.template.clear();
        })
    };
    let cutoff =
        move |typed: String| go(&|settings| settings.cutoff_len = typed.parse().ok().filter(|n| *n > 0));
    let models =
        offer.with_value(|offer| offer.models.iter().map(|m| (m.path.clone(), m.label.clone())).collect());
    let own = (String::new(), w.chat_template_own.to_owned());
    let templates = offer.with_value(|offer| {
        offer.templates.iter().map(|name| (name.clone(), name.clone())).collect::<Vec<_>>()
    });
    let templates = [own].into_iter().chain(templates).collect();
    // What the form does not ask for stays as it is when it is sent without script.
    let kept = move || {
        let parts = look.get().parts().into_iter().filter(|(key, _)| ["first", "view", "row"].contains(key));
        parts.map(|(key, value)| view! { <input type="hidden" name=key value=value/> }).collect_view()
    };
    view! {
        <form class="card data-encoding" method="get" on:submit=|event: SubmitEvent| event.prevent_default()>
            <h2>{w.data_encoding}</h2>
            {kept}
            <Choice
                name="model"
                label=w.chat_model
                options=models
                chosen=Signal::derive(move || now.with(|now| now.model.clone()))
                choose=Callback::new(choose_model)
            />
            <Choice
                name="template"
                label=w.chat_template
                options=templates
                chosen=Signal::derive(move || now.with(|now| now.template.clone()))
                choose=Callback::new(move |template: String| go(&|settings| settings.template.clone_from(&template)))
            />
            <label>
                <span>{w.data_cutoff}</span>
                <input
                    type="number"
                    name="cutoff_len"
                    min="1"
                    step="1"
                    inputmode="numeric"
                    data-test="data-cutoff"
                    value=now.get_untracked().cutoff_len.to_string()
                    prop:value=move || now.with(|now| now.cutoff_len.to_string())
                    on:change:target=move |event| cutoff(event.target().value())
                />
            </label>
            {(holds != Holds::Text).then(|| view! { <Advanced look holds now go/> })}
            <noscript>
                <button type="submit" class="button">{w.runs_apply}</button>
            </noscript>
        </form>
    }
    .into_any()
}

/// Settings that few change.
#[component]
fn Advanced(
    look: Memo<Look>,
    holds: Holds,
    now: Memo<Encoding>,
    go: impl Fn(&dyn Fn(&mut Settings)) + Copy + Send + Sync + 'static,
) -> AnyView {
    let w = words();
    let pair = |value: &str, label: &str| (value.to_owned(), label.to_owned());
    let stages = vec![pair("", w.data_stage_chat), pair("pt", w.data_stage_text)];
    let thinking = vec![pair("", "true"), pair("false", "false"), pair("null", "null")];
    let is_set = look.with_untracked(|look| look.settings.has_advanced());
    view! {
        <details class="advanced" open=is_set data-test="data-advanced">
            <summary>{w.new_advanced}</summary>
            {(holds == Holds::Answers || holds == Holds::Judged).then(|| view! {
                <Choice
                    name="stage"
                    label=w.data_stage
                    options=stages
                    chosen=Signal::derive(move || now.with(|now| if now.plain_text { "pt" } else { "" }.to_owned()))
                    choose=Callback::new(move |stage: String| go(&|settings| settings.plain_text = stage == "pt"))
                />
            })}
            {(holds == Holds::Answers).then(|| view! {
                <Switch name="train_on_prompt" label=w.data_train_on_prompt of=train_on_prompt look go/>
                <Switch name="mask_history" label=w.data_mask_history of=mask_history look go/>
            })}
            <label>
                <span>{w.data_default_system}</span>
                <input
                    type="text"
                    name="default_system"
                    autocomplete="off"
                    placeholder=w.data_default_system_own
                    data-test="data-default_system"
                    value=now.get_untracked().default_system
                    prop:value=move || now.with(|now| now.default_system.clone())
                    on:change:target=move |event| {
                        let system = event.target().value();
                        go(&|settings| settings.default_system.clone_from(&system));
                    }
                />
            </label>
            <Choice
                name="enable_thinking"
                label=w.data_thinking
                options=thinking
                chosen=Signal::derive(move || {
                    now.with(|now| match now.enable_thinking {
                        Some(true) => String::new(),
                        Some(false) => "false".to_owned(),
                        None => "null".to_owned(),
                    })
                })
                choose=Callback::new(move |on: String| go(&|settings| settings.enable_thinking.clone_from(&on)))
            />
        </details>
    }
    .into_any()
}

/// One of the settings that are one of several values, which come with their labels.
#[component]
fn Choice(
    name: &'static str,
    label: &'static str,
    options: Vec<(String, String)>,
    chosen: Signal<String>,
    choose: Callback<String>,
) -> AnyView {
    let options = options.into_iter().map(|(value, label)| {
        let same = value.clone();
        view! { <option value=value selected=move || chosen.with(|chosen| *chosen == same)>{label}</option> }
    });
    view! {
        <label>
            <span>{label}</span>
            <select
                name=name
                data-test=format!("data-{name}")
                on:change:target=move |event| choose.run(event.target().value())
            >
                {options.collect_view()}
            </select>
        </label>
    }
    .into_any()
}

/// One of the settings that are on or off.
type Flag = fn(&mut Settings) -> &mut bool;

fn train_on_prompt(settings: &mut Settings) -> &mut bool {
    &mut settings.train_on_prompt
}

fn mask_history(settings: &mut Settings) -> &mut bool {
    &mut settings.mask_history
}

#[component]
fn Switch(
    name: &'static str,
    label: &'static str,
    of: Flag,
    look: Memo<Look>,
    go: impl Fn(&dyn Fn(&mut Settings)) + Copy + 'static,
) -> impl IntoView {
    let is_on = move || look.with(|look| *of(&mut look.settings.clone()));
    view! {
        <label class="check">
            <input
                type="checkbox"
                name=name
                value="true"
                data-test=format!("data-{name}")
                checked=untrack(is_on)
                prop:checked=is_on
                on:change:target=move |event| {
                    let on = event.target().checked();
                    go(&|settings| *of(settings) = on);
                }
            />
            {label}
        </label>
    }
}
