//! Which model is talked to: picked, loaded, unloaded, or given up while it loads.

use leptos::prelude::*;
use leptos_router::hooks::use_query_map;
use wire::{ChatStatus, ChatTarget};

use super::loading::{Loading, ON_HUB, latest, name_of};
use crate::components::failure::Failure;
use crate::components::hub_models::{self, HubModels};
use crate::components::navigate::navigate;
use crate::i18n::words;

#[component]
pub fn TargetPanel(
    targets: Vec<ChatTarget>,
    templates: Vec<String>,
    status: RwSignal<ChatStatus>,
) -> AnyView {
    let w = words();
    let query = use_query_map();
    let wanted = query.with_untracked(|query| query.get("target"));
    let is_linked = wanted.is_some();
    let loading = Loading::new(targets, wanted, status);
    loading.keep_asking();
    // The link from a run asks for its model: one click is enough.
    let navigate = navigate();
    Effect::new(move |before: Option<()>| {
        if before.is_none() && is_linked && loading.chosen.with_untracked(|id| !id.is_empty()) {
            navigate.stay_at("/chat");
            if !loading.is_there() {
                loading.load();
            }
        }
    });
    view! {
        <section class="card chat-target">
            <h2>{w.chat_model}</h2>
            {loading.targets.with_value(Vec::is_empty).then(|| view! { <p class="muted">{w.chat_no_targets}</p> })}
            <ModelField loading/>
            <CheckpointField loading/>
            <TemplateField loading templates/>
            <Buttons loading/>
            <p class="chat-status" role="status" data-test="chat-status" data-state=move || name_of(&status.get())>
                {move || loading.sentence()}
            </p>
            {move || loading.is_loading().then(|| view! { <progress aria-label=w.phase_loading_model></progress> })}
            {move || loading.error.get().map(|text| view! { <Failure text/> })}
        </section>
    }
    .into_any()
}

/// The model, or the run whose result it is; the name of one on a hub.
#[component]
fn ModelField(loading: Loading) -> AnyView {
    let w = words();
    let Loading { targets, chosen, .. } = loading;
    // Of a run only what it left last; its checkpoints have a list of their own.
    let group = move |label: &'static str, of_runs: bool| {
        let members: Vec<ChatTarget> = targets.with_value(|targets| {
            let of_kind = targets.iter().filter(|target| target.run.is_some() == of_runs);
            of_kind.filter(|target| latest(targets, &target.id) == target.id).cloned().collect()
        });
        (!members.is_empty()).then(|| {
            let options = members.into_iter().map(|target| {
                let id = target.id.clone();
                let selected =
                    move || targets.with_value(|targets| chosen.with(|chosen| latest(targets, chosen) == id));
                view! { <option value=target.id selected=selected>{target.label}</option> }
            });
            view! { <optgroup label=label>{options.collect_view()}</optgroup> }
        })
    };
    let hub_name = move || loading.hub_name();
    view! {
        <label class="field">
            <span class="field-label">{w.chat_target}</span>
            <select
                name="target"
                data-test="chat-target"
                prop:value=move || match hub_name() {
                    Some(_) => ON_HUB.to_owned(),
                    None => targets.with_value(|targets| chosen.with(|id| latest(targets, id).to_owned())),
                }
                on:change:target=move |event| loading.choose(event.target().value())
            >
                <option value="" selected=move || chosen.with(String::is_empty)>{w.chat_target_choose}</option>
                {group(w.chat_base_models, false)}
                {group(w.chat_from_runs, true)}
                <option value=ON_HUB selected=move || hub_name().is_some()>{w.chat_hub}</option>
            </select>
            <input
                type="text"
                data-test="chat-hub"
                list=hub_models::ID
                aria-label=w.chat_hub_name
                placeholder="owner/name"
                autocomplete="off"
                spellcheck="false"
                hidden=move || hub_name().is_none()
                prop:value=move || hub_name().unwrap_or_default()
                on:input:target=move |event| chosen.set(format!("{ON_HUB}{}", event.target().value().trim()))
            />
            <HubModels wanted=Signal::derive(move || hub_name().is_some())/>
        </label>
    }
    .into_any()
}

/// Which of the things that a run has left, where there are several.
#[component]
fn CheckpointField(loading: Loading) -> impl IntoView {
    let w = words();
    move || {
        let siblings = loading.siblings();
        (siblings.len() > 1).then(|| {
            view! {
                <label class="field">
                    <span class="field-label">{w.chat_checkpoint}</span>
                    <select
                        name="checkpoint"
                        data-test="chat-checkpoint"
                        on:change:target=move |event| loading.choose(event.target().value())
                    >
                        {siblings.into_iter().map(|(id, label)| {
                            let selected = loading.chosen.with_untracked(|chosen| *chosen == id);
                            view! { <option value=id selected=selected>{label}</option> }
                        }).collect_view()}
                    </select>
                </label>
            }
        })
    }
}

#[component]
fn TemplateField(loading: Loading, templates: Vec<String>) -> AnyView {
    let w = words();
    let template = loading.template;
    let options = templates.into_iter().map(move |name| {
        let (value, same) = (name.clone(), name.clone());
        view! { <option value=value selected=move || template.get() == same>{name}</option> }
    });
    view! {
        <label class="field">
            <span class="field-label">{w.chat_template}</span>
            <select
                name="template"
                data-test="chat-template"
                prop:value=move || template.get()
                on:change:target=move |event| template.set(event.target().value())
            >
                <option value="" selected=move || template.with(String::is_empty)>{w.chat_template_own}</option>
                {options.collect_view()}
            </select>
        </label>
    }
    .into_any()
}

#[component]
fn Buttons(loading: Loading) -> AnyView {
    let w = words();
    let chosen = loading.chosen;
    view! {
        <div class="chat-load">
            {move || {
                let same = loading.loaded().is_some_and(|target| target == chosen.get());
                (!same && !loading.is_loading()).then(|| view! {
                    <button
                        type="button"
                        class="button primary"
                        data-test="load"
                        disabled=move || chosen.with(|id| id.is_empty() || id == ON_HUB)
                        on:click=move |_| loading.load()
                    >
                        {if loading.loaded().is_some() { w.chat_reload } else { w.chat_load }}
                    </button>
                })
            }}
            {move || loading.is_loading().then(|| view! {
                <button type="button" class="button" data-test="cancel-load" on:click=move |_| loading.unload()>
                    {w.chat_cancel}
                </button>
            })}
            {move || loading.loaded().map(|_| view! {
                <button type="button" class="button" data-test="unload" on:click=move |_| loading.unload()>
                    {w.chat_unload}
                </button>
            })}
        </div>
    }
    .into_any()
}
