//! `/`: the history of runs.

mod filter;
mod list;
mod row;

use leptos::prelude::*;
use leptos_router::hooks::use_query_map;
use recipe::RunState;

use crate::api::RunFilter;
use crate::calls;
use crate::components::failure::BoardFailure;
use crate::components::icon::{Icon, IconName};
use crate::components::link::A;
use crate::components::title::PageTitle;
use crate::i18n::words;
use filter::FilterBar;
use list::RunsList;

#[component]
pub fn RunsPage() -> AnyView {
    let w = words();
    let query = use_query_map();
    let filter = Memo::new(move |_| {
        query.with(|query| RunFilter {
            search: query.get("q").unwrap_or_default(),
            state: query.get("state").and_then(|name| RunState::from_name(&name)),
        })
    });
    let runs = Resource::new(move || filter.get(), |filter| calls::runs(filter.search, filter.state));
    view! {
        <PageTitle text=w.nav_runs/>
        <div class="page" data-test="page-runs">
            <header class="page-head">
                <h1>{w.nav_runs}</h1>
                <A href="/new" attr:class="button primary">
                    <Icon name=IconName::Plus/>
                    {w.nav_new}
                </A>
            </header>
            <FilterBar filter/>
            <Transition fallback=Skeleton>
                {move || Suspend::new(async move {
                    match runs.await {
                        Ok(first) => view! { <RunsList first filter=filter.get_untracked()/> }.into_any(),
                        Err(error) => view! { <BoardFailure error retry=move |()| runs.refetch()/> }.into_any(),
                    }
                })}
            </Transition>
        </div>
    }
    .into_any()
}

#[component]
fn Skeleton() -> impl IntoView {
    let rows = (0..4).map(|_| view! { <div class="skeleton row"></div> }).collect_view();
    view! { <div class="card" aria-busy="true">{rows}</div> }
}
