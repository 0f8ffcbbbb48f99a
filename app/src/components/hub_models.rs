//! Names of models on hubs, offered while one is typed.

use leptos::prelude::*;

/// The list's identifier, for the `list` of an input.
pub const ID: &str = "hub-models";

/// The browser knows the names: the page need not carry them.
#[component]
pub fn HubModels() -> impl IntoView {
    let names = || {
        recipe::registry::models().map(|model| view! { <option value=model.hub_id></option> }).collect_view()
    };
    let is_here = RwSignal::new(false);
    Effect::new(move |_| is_here.set(true));
    view! { <datalist id=ID>{move || is_here.get().then(names)}</datalist> }
}
