//! The run's name, which can be changed in place.

use leptos::ev::{KeyboardEvent, SubmitEvent};
use leptos::html::Input;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::RunSummary;

use crate::calls;
use crate::components::failure;
use crate::components::icon::{Icon, IconName};
use crate::i18n::words;

#[component]
pub fn RunName(summary: RwSignal<RunSummary>) -> AnyView {
    let w = words();
    let editing = RwSignal::new(false);
    let error = RwSignal::new(None::<String>);
    let input = NodeRef::<Input>::new();
    Effect::new(move |_| {
        if let Some(input) = input.get() {
            let _ = input.focus();
            input.select();
        }
    });
    let save = move |event: SubmitEvent| {
        event.prevent_default();
        let Some(name) = input.get_untracked().map(|input| input.value().trim().to_owned()) else { return };
        let (id, before) = summary.with_untracked(|run| (run.id.clone(), run.name.clone()));
        editing.set(false);
        if name.is_empty() || name == before {
            return;
        }
        summary.update(|run| run.name = name.clone());
        spawn_local(async move {
            let answer = calls::rename(id, name).await;
            if answer.is_err() {
                summary.try_update(|run| run.name = before);
            }
            error.try_set(answer.err().map(|error| failure::message(&error, w)));
        });
    };
    let cancel = move |event: KeyboardEvent| {
        if event.key() == "Escape" {
            editing.set(false);
        }
    };
    let name = move || summary.with(|run| run.name.clone());
    view! {
        {move || if editing.get() {
            view! {
                <form class="name-form" on:submit=save on:keydown=cancel>
                    <input node_ref=input type="text" maxlength="120" value=name aria-label=w.run_name data-test="name-input"/>
                    <button type="submit" class="button primary small" data-test="name-save">{w.run_name_save}</button>
                </form>
            }
            .into_any()
        } else {
            view! {
                <h1 data-test="run-name">{name}</h1>
                <button
                    type="button"
                    class="button quiet icon-only"
                    title=w.run_rename
                    aria-label=w.run_rename
                    data-test="rename"
                    on:click=move |_| editing.set(true)
                >
                    <Icon name=IconName::Pencil/>
                </button>
            }
            .into_any()
        }}
        {move || error.get().map(|text| view! { <small class="field-problem" role="alert">{text}</small> })}
    }
    .into_any()
}
