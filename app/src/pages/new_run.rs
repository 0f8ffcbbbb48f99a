//! `/new`: the form of a new run, drawn from the recipe's argument table; `?clone=ID` starts from a run, `?dataset=NAME`
//! with a dataset ticked.

mod asked;
mod datasets;
mod draft;
mod field;
mod first;
mod form;
mod further;
mod group;
mod launch;
mod load;
mod memory;
mod pickers;
mod preview;
mod read;
mod start;

use leptos::prelude::*;
use leptos_router::hooks::use_query_map;
use wire::{FormChoices, RunRecipe};

use crate::calls;
use crate::calls::CallError;
use crate::components::failure::BoardFailure;
use crate::components::title::PageTitle;
use crate::i18n::{fill, words};
use draft::Keeper;
use form::Form;
use group::{Essentials, Groups};
use launch::Launch;
use load::LoadRecipe;
use preview::Preview;

/// What the form needs to know at first.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
struct Start {
    choices: FormChoices,
    /// The run to start from.
    original: Option<RunRecipe>,
}

async fn start(clone: Option<String>) -> Result<Start, CallError> {
    let original = match clone {
        Some(id) => Some(calls::recipe_of(id).await?),
        None => None,
    };
    Ok(Start { choices: calls::choices().await?, original })
}

#[component]
pub fn NewRunPage() -> AnyView {
    let w = words();
    let query = use_query_map();
    let clone = Memo::new(move |_| query.with(|query| query.get("clone")));
    let start = Resource::new(move || clone.get(), start);
    view! {
        <PageTitle text=w.nav_new/>
        <div class="page" data-test="page-new">
            <Suspense fallback=|| view! { <div class="skeleton block" aria-busy="true"></div> }>
                {move || Suspend::new(async move {
                    match start.await {
                        Ok(start) => view! { <RunForm start/> }.into_any(),
                        Err(error) => view! { <BoardFailure error retry=move |()| start.refetch()/> }.into_any(),
                    }
                })}
            </Suspense>
        </div>
    }
    .into_any()
}

#[component]
fn RunForm(start: Start) -> AnyView {
    let w = words();
    let Start { choices, original } = start;
    let form = Form::new(&choices);
    let intro = match &original {
        Some(original) => {
            form.fill_from(&original.recipe);
            form.name.set(fill(w.new_clone_name, &[("name", &original.name)]));
            fill(w.new_clone_of, &[("name", &original.name)])
        }
        None => w.new_intro.to_owned(),
    };
    let keeper = Keeper::new(form, original.as_ref().map(|original| original.id.as_str()));
    Effect::new(move |_| form.suit_evaluation());
    let wanted = use_query_map().with_untracked(|query| query.get("dataset"));
    Effect::new(move |_| {
        if let (true, Some(name)) = (form.ready.get(), &wanted) {
            untrack(|| datasets::tick(form, name));
        }
    });
    let choices = StoredValue::new(choices);
    let loads = RwSignal::new(false);
    view! {
        <header class="page-head">
            <div>
                <h1>{w.nav_new}</h1>
                <p class="muted">{intro}</p>
            </div>
            <button type="button" class="button" data-test="load-yaml" on:click=move |_| loads.set(true)>
                {w.new_load}
            </button>
        </header>
        <noscript><p class="notice">{w.needs_script}</p></noscript>
        <div class="notice draft" data-test="draft" role="status" hidden=move || !keeper.taken_up.get()>
            <p>{w.new_draft}</p>
            <button type="button" class="button small" data-test="draft-discard" on:click=move |_| keeper.discard()>
                {w.new_draft_discard}
            </button>
        </div>
        <form class="columns new-run" data-test="new-run" on:submit=move |event| event.prevent_default()>
            <div class="form-groups">
                <Essentials form choices/>
                <Groups form choices/>
            </div>
            <aside class="form-side">
                <Launch form keeper/>
                <Preview form/>
            </aside>
        </form>
        <LoadRecipe form open=loads/>
    }
    .into_any()
}
