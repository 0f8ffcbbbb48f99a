//! Names of models on hubs, offered while one is typed.

use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::calls;

/// The list's identifier, for the `list` of an input.
pub const ID: &str = "hub-models";

/// The names, asked for once they are wanted: neither the page nor its code carries them.
#[component]
pub fn HubModels(#[prop(into)] wanted: Signal<bool>) -> impl IntoView {
    let names = RwSignal::new(Vec::<String>::new());
    Effect::new(move |_| {
        if wanted.get() && names.with_untracked(Vec::is_empty) {
            spawn_local(async move {
                // Without them a name is typed in full.
                if let Ok(known) = calls::hub_models().await {
                    names.try_set(known);
                }
            });
        }
    });
    let options =
        move || names.get().into_iter().map(|name| view! { <option value=name></option> }).collect_view();
    view! { <datalist id=ID>{options}</datalist> }
}
