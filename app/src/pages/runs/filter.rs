//! Search and state filter; both live in the address, so that a view can be kept and shared.

use std::time::Duration;

use leptos::ev::SubmitEvent;
use leptos::prelude::*;
use recipe::RunState;
use wire::RunFilter;

use crate::base::at;
use crate::components::icon::{Icon, IconName};
use crate::components::navigate::navigate;
use crate::i18n::{state_name, words};

/// Typing is over when nothing was typed for so long.
const PAUSE: Duration = Duration::from_millis(250);

#[component]
pub fn FilterBar(filter: Memo<RunFilter>) -> AnyView {
    let w = words();
    let search = RwSignal::new(filter.get_untracked().search);
    let state = RwSignal::new(filter.get_untracked().state);
    let navigate = navigate();
    let go = move || navigate.stay_at(&address(&search.get_untracked(), state.get_untracked(), 1));
    let mut typed = leptos::leptos_dom::helpers::debounce(PAUSE, move |()| go());
    // The address may change otherwise: by the back button, or by a link that clears the filter.
    Effect::new(move |_| {
        let now = filter.get();
        search.set(now.search);
        state.set(now.state);
    });
    let options = move || {
        RunState::ALL
            .map(|option| {
                view! {
                    <option value=option.name() selected=move || state.get() == Some(option)>{state_name(option, w)}</option>
                }
            })
            .collect_view()
    };
    let on_submit = move |event: SubmitEvent| {
        event.prevent_default();
        go();
    };
    view! {
        <form class="filter" method="get" action=at("/") role="search" on:submit=on_submit>
            <label class="search">
                <Icon name=IconName::Search/>
                <span class="visually-hidden">{w.runs_search}</span>
                <input
                    type="search"
                    name="q"
                    autocomplete="off"
                    placeholder=w.runs_search
                    data-test="search"
                    prop:value=move || search.get()
                    value=search.get_untracked()
                    on:input:target=move |event| {
                        search.set(event.target().value());
                        typed(());
                    }
                />
            </label>
            <label>
                <span class="visually-hidden">{w.runs_state_filter}</span>
                <select
                    name="state"
                    data-test="state-filter"
                    prop:value=move || state.get().map_or("", RunState::name)
                    on:change:target=move |event| {
                        state.set(RunState::from_name(&event.target().value()));
                        go();
                    }
                >
                    <option value="" selected=move || state.get().is_none()>{w.runs_all_states}</option>
                    {options()}
                </select>
            </label>
            <noscript>
                <button type="submit" class="button">{w.runs_apply}</button>
            </noscript>
        </form>
    }
    .into_any()
}

/// Where page number `page`, from 1, of what a filter lets through is.
pub fn address(search: &str, state: Option<RunState>, page: u64) -> String {
    let search = search.trim();
    let parts = [
        (!search.is_empty()).then(|| format!("q={}", leptos_router::location::Url::escape(search))),
        state.map(|state| format!("state={}", state.name())),
        (page > 1).then(|| format!("page={page}")),
    ];
    let query: Vec<String> = parts.into_iter().flatten().collect();
    if query.is_empty() { "/".into() } else { format!("/?{}", query.join("&")) }
}
