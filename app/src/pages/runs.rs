//! `/`: the history of runs.

mod filter;
mod list;
mod pager;
mod row;

use leptos::prelude::*;
use leptos_router::hooks::use_query_map;
use recipe::RunState;
use wire::RunFilter;

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
    let page = Memo::new(move |_| {
        query.with(|query| query.get("page").and_then(|page| page.parse().ok()).unwrap_or(1).max(1))
    });
    let runs = Resource::new(move || (filter.get(), page.get()), |(filter, page)| pager::fetch(filter, page));
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
                        Ok(first) => {
                            let (filter, page) = (filter.get_untracked(), page.get_untracked());
                            view! { <RunsList first filter page/> }.into_any()
                        }
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
