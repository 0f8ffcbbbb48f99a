//! Which model is talked to: picked, loaded, unloaded, or given up while it loads. What is loaded is the server's truth, asked for
//! again and again; the page only shows it.

use std::time::Duration;

use leptos::prelude::*;
use leptos::task::spawn_local;
use leptos_router::hooks::use_query_map;
use wire::{ChatStatus, ChatTarget};

use crate::browser;
use crate::calls;
use crate::components::failure::{self, Failure};
use crate::components::hub_models::{self, HubModels};
use crate::components::navigate::navigate;
use crate::i18n::{fill, words};

/// Begins the ids of targets that are models on a hub.
const ON_HUB: &str = "hub:";

/// How often the status is asked for while a model loads; otherwise every third time.
const EVERY: Duration = Duration::from_secs(1);

#[component]
pub fn TargetPanel(
    targets: Vec<ChatTarget>,
    templates: Vec<String>,
    status: RwSignal<ChatStatus>,
) -> AnyView {
    let w = words();
    let query = use_query_map();
    let wanted = query.with_untracked(|query| query.get("target"));
    let targets = StoredValue::new(targets);
    let first =
        targets.with_value(|targets| preselected(targets, wanted.as_deref(), &status.get_untracked()));
    let listed = first.as_ref().map(|target| target.id.clone());
    let unlisted = wanted.or_else(|| busy(&status.get_untracked())).filter(|id| on_hub(id).is_some());
    let chosen = RwSignal::new(listed.or(unlisted).unwrap_or_default());
    let template = RwSignal::new(first.and_then(|target| target.template).unwrap_or_default());
    let error = RwSignal::new(None::<String>);
    // A failure is told to the tab that asked for the model, not to everyone who looks.
    let asked = RwSignal::new(busy(&status.get_untracked()));
    let label_of = move |id: &str| {
        targets.with_value(|targets| {
            let listed = targets.iter().find(|target| target.id == id).map(|target| target.label.clone());
            listed.unwrap_or_else(|| on_hub(id).unwrap_or(id).to_owned())
        })
    };
    keep_asking(status);

    let choose = move |id: String| {
        let fits =
            targets.with_value(|targets| targets.iter().find(|target| target.id == id)?.template.clone());
        template.set(fits.unwrap_or_default());
        chosen.set(id);
    };
    let load = move || {
        let target = chosen.get_untracked();
        asked.set(Some(target.clone()));
        let template = Some(template.get_untracked()).filter(|name| !name.is_empty());
        error.set(None);
        status.set(ChatStatus::Loading { target: target.clone(), progress: None });
        spawn_local(async move {
            if let Err(refused) = calls::load_chat(target, template).await {
                error.try_set(Some(failure::message(&refused, w)));
            }
            ask(status).await;
        });
    };
    let unload = move |_| {
        error.set(None);
        spawn_local(async move {
            if let Err(refused) = calls::unload_chat().await {
                error.try_set(Some(failure::message(&refused, w)));
            }
            ask(status).await;
        });
    };
    let is_loading = move || matches!(status.get(), ChatStatus::Loading { .. });
    let loaded = move || match status.get() {
        ChatStatus::Ready { target, .. } => Some(target),
        _ => None,
    };
    let sentence = move || match status.get() {
        ChatStatus::Unloaded => w.chat_unloaded.to_owned(),
        ChatStatus::Loading { target, progress: None } => {
            fill(w.chat_loading, &[("label", &label_of(&target))])
        }
        ChatStatus::Loading { progress: Some(progress), .. } => {
            format!("{} · {progress}", w.phase_downloading)
        }
        ChatStatus::Ready { label, .. } => fill(w.chat_ready, &[("label", &label)]),
        ChatStatus::Failed { target, .. } if asked.with(|asked| asked.as_ref() != Some(&target)) => {
            w.chat_unloaded.to_owned()
        }
        ChatStatus::Failed { target, reason } => {
            fill(w.chat_failed, &[("label", &label_of(&target)), ("reason", &reason)])
        }
    };
    // The link from a run asks for its model: one click is enough.
    let navigate = navigate();
    let is_linked = query.with_untracked(|query| query.get("target")).is_some();
    Effect::new(move |before: Option<()>| {
        let is_there = status.with_untracked(|status| busy(status) == Some(chosen.get_untracked()));
        if before.is_none() && is_linked && chosen.with_untracked(|id| !id.is_empty()) {
            navigate.stay_at("/chat");
            if !is_there {
                load();
            }
        }
    });
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
    let siblings = move || {
        targets
            .with_value(|targets| {
                chosen.with(|id| {
                    let run = targets.iter().find(|target| target.id == *id)?.run.clone()?;
                    let of_run = targets.iter().filter(|target| target.run.as_ref() == Some(&run));
                    Some(of_run.map(|target| (target.id.clone(), target.label.clone())).collect::<Vec<_>>())
                })
            })
            .unwrap_or_default()
    };
    let hub_name = move || chosen.with(|id| on_hub(id).map(str::to_owned));
    let template_options = templates.into_iter().map(move |name| {
        let (value, same) = (name.clone(), name.clone());
        view! { <option value=value selected=move || template.get() == same>{name}</option> }
    });
    view! {
        <section class="card chat-target">
            <h2>{w.chat_model}</h2>
            {targets.with_value(Vec::is_empty).then(|| view! { <p class="muted">{w.chat_no_targets}</p> })}
            <label class="field">
                <span class="field-label">{w.chat_target}</span>
                <select
                    name="target"
                    data-test="chat-target"
                    prop:value=move || match hub_name() {
                        Some(_) => ON_HUB.to_owned(),
                        None => targets.with_value(|targets| chosen.with(|id| latest(targets, id).to_owned())),
                    }
                    on:change:target=move |event| choose(event.target().value())
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
            {move || {
                let siblings = siblings();
                (siblings.len() > 1).then(|| view! {
                    <label class="field">
                        <span class="field-label">{w.chat_checkpoint}</span>
                        <select
                            name="checkpoint"
                            data-test="chat-checkpoint"
                            on:change:target=move |event| choose(event.target().value())
                        >
                            {siblings.into_iter().map(|(id, label)| {
                                let selected = chosen.with_untracked(|chosen| *chosen == id);
                                view! { <option value=id selected=selected>{label}</option> }
                            }).collect_view()}
                        </select>
                    </label>
                })
            }}
            <label class="field">
                <span class="field-label">{w.chat_template}</span>
                <select
                    name="template"
                    data-test="chat-template"
                    prop:value=move || template.get()
                    on:change:target=move |event| template.set(event.target().value())
                >
                    <option value="" selected=move || template.with(String::is_empty)>{w.chat_template_own}</option>
                    {template_options.collect_view()}
                </select>
            </label>
            <div class="chat-load">
                {move || {
                    let same = loaded().is_some_and(|target| target == chosen.get());
                    (!same && !is_loading()).then(|| view! {
                        <button
                            type="button"
                            class="button primary"
                            data-test="load"
                            disabled=move || chosen.with(|id| id.is_empty() || id == ON_HUB)
                            on:click=move |_| load()
                        >
                            {if loaded().is_some() { w.chat_reload } else { w.chat_load }}
                        </button>
                    })
                }}
                {move || is_loading().then(|| view! {
                    <button type="button" class="button" data-test="cancel-load" on:click=unload>{w.chat_cancel}</button>
                })}
                {move || loaded().map(|_| view! {
                    <button type="button" class="button" data-test="unload" on:click=unload>{w.chat_unload}</button>
                })}
            </div>
            <p class="chat-status" role="status" data-test="chat-status" data-state=move || name_of(&status.get())>
                {sentence}
            </p>
            {move || is_loading().then(|| view! { <progress aria-label=w.phase_loading_model></progress> })}
            {move || error.get().map(|text| view! { <Failure text/> })}
        </section>
    }
    .into_any()
}

/// The name of a model that a target's id takes from a hub.
fn on_hub(id: &str) -> Option<&str> {
    id.strip_prefix(ON_HUB)
}

/// The id of what the run of a target left last; of another target its own.
fn latest<'a>(targets: &'a [ChatTarget], id: &'a str) -> &'a str {
    let run = targets.iter().find(|target| target.id == id).and_then(|target| target.run.as_deref());
    let first = run.and_then(|run| targets.iter().find(|target| target.run.as_deref() == Some(run)));
    first.map_or(id, |target| target.id.as_str())
}

/// The target that the model's process is about.
fn busy(status: &ChatStatus) -> Option<String> {
    match status {
        ChatStatus::Unloaded => None,
        ChatStatus::Loading { target, .. }
        | ChatStatus::Ready { target, .. }
        | ChatStatus::Failed { target, .. } => Some(target.clone()),
    }
}

/// The status in `data-state`.
fn name_of(status: &ChatStatus) -> &'static str {
    match status {
        ChatStatus::Unloaded => "unloaded",
        ChatStatus::Loading { .. } => "loading",
        ChatStatus::Ready { .. } => "ready",
        ChatStatus::Failed { .. } => "failed",
    }
}

/// The target that the address names (by its id, or by its run's), else the one that is loaded.
fn preselected(targets: &[ChatTarget], wanted: Option<&str>, status: &ChatStatus) -> Option<ChatTarget> {
    let wanted = wanted.map(str::to_owned).or_else(|| busy(status))?;
    let by_id = targets.iter().find(|target| target.id == wanted);
    by_id.or_else(|| targets.iter().find(|target| target.run.as_deref() == Some(wanted.as_str()))).cloned()
}

async fn ask(status: RwSignal<ChatStatus>) {
    if let Ok(fresh) = calls::chat_status().await
        && status.try_with_untracked(|now| *now != fresh) == Some(true)
    {
        status.try_set(fresh);
    }
}

fn keep_asking(status: RwSignal<ChatStatus>) {
    Effect::new(move |_| {
        let turn = StoredValue::new(0u32);
        let tick = move || {
            turn.update_value(|turn| *turn += 1);
            let loading = matches!(status.get_untracked(), ChatStatus::Loading { .. });
            if browser::is_visible() && (loading || turn.get_value().is_multiple_of(3)) {
                spawn_local(ask(status));
            }
        };
        if let Ok(handle) = set_interval_with_handle(tick, EVERY) {
            on_cleanup(move || handle.clear());
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(id: &str, run: Option<&str>) -> ChatTarget {
        ChatTarget { id: id.into(), label: id.into(), run: run.map(Into::into), template: None }
    }

    #[test]
    fn the_address_picks_by_target_or_by_run() {
        let targets = [target("base", None), target("run:a:1", Some("a")), target("run:a:2", Some("a"))];
        let pick = |wanted| preselected(&targets, wanted, &ChatStatus::Unloaded).map(|target| target.id);
        assert_eq!(pick(Some("run:a:2")).as_deref(), Some("run:a:2"));
        assert_eq!(pick(Some("a")).as_deref(), Some("run:a:1"));
        assert_eq!(pick(Some("gone")), None);
        assert_eq!(pick(None), None);
        assert_eq!(
            ["run:a:2", "base", "hub:x/y"].map(|id| latest(&targets, id)),
            ["run:a:1", "base", "hub:x/y"]
        );
        let ready = ChatStatus::Ready { target: "base".into(), label: "b".into() };
        assert_eq!(preselected(&targets, None, &ready).map(|target| target.id).as_deref(), Some("base"));
    }
}
