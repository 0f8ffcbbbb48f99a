//! Names of models on hubs, offered while one is typed.

use leptos::prelude::*;

/// The list's identifier, for the `list` of an input.
pub const ID: &str = "hub-models";

#[component]
pub fn HubModels() -> impl IntoView {
    let names = recipe::registry::models().map(|model| view! { <option value=model.hub_id></option> });
    view! { <datalist id=ID>{names.collect_view()}</datalist> }
}
