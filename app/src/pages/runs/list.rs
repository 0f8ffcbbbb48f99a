//! The table of runs, kept up to date while anybody looks at it.

use std::time::Duration;

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::{RunFilter, RunSummary};

use super::filter::address;
use super::pager::{self, Listed, Pager};
use super::row::RunRow;
use crate::browser;
use crate::components::icon::{Flame, Icon, IconName};
use crate::components::link::A;
use crate::components::place::keep_place;
use crate::i18n::words;

/// How often the list is asked for while a run in it is under way; otherwise every fifth time.
const EVERY: Duration = Duration::from_secs(2);

#[component]
pub fn RunsList(first: Listed, filter: RunFilter, page: u64) -> impl IntoView {
    let w = words();
    let rows = RwSignal::new(first.runs);
    let total = RwSignal::new(first.total);
    let lost = RwSignal::new(false);
    keep_fresh(rows, total, lost, filter.clone(), page);
    keep_place(address(&filter.search, filter.state, page));

    let filtered = filter != RunFilter::default();
    let body = move || {
        if rows.with(Vec::is_empty) && page == 1 {
            return if filtered { no_match() } else { first_time() };
        }
        view! {
            <Table rows/>
            <Pager total filter=filter.clone() page/>
        }
        .into_any()
    };
    let is_empty = Memo::new(move |_| rows.with(Vec::is_empty));
    view! {
        <p class="notice" role="status" hidden=move || !lost.get()>{w.live_retrying}</p>
        {move || {
            is_empty.track();
            untrack(&body)
        }}
    }
}

/// Asks for the list again and again, less often when nothing goes on, not at all in a hidden tab.
fn keep_fresh(
    rows: RwSignal<Vec<RunSummary>>,
    total: RwSignal<u64>,
    lost: RwSignal<bool>,
    filter: RunFilter,
    page: u64,
) {
    Effect::new(move |_| {
        let filter = filter.clone();
        let turn = StoredValue::new(0u32);
        let busy = StoredValue::new(false);
        let ask = move || {
            turn.update_value(|turn| *turn += 1);
            let live = rows.with_untracked(|rows| rows.iter().any(|run| !run.state.is_over()));
            if busy.get_value() || !browser::is_visible() || !(live || turn.get_value().is_multiple_of(5)) {
                return;
            }
            busy.set_value(true);
            let filter = filter.clone();
            spawn_local(async move {
                let answer = pager::fetch(filter, page).await;
                // The page may be gone by now, and its signals with it.
                busy.try_update_value(|busy| *busy = false);
                lost.try_set(answer.is_err());
                if let Ok(fresh) = answer {
                    rows.try_set(fresh.runs);
                    total.try_set(fresh.total);
                }
            });
        };
        if let Ok(handle) = set_interval_with_handle(ask, EVERY) {
            on_cleanup(move || handle.clear());
        }
    });
}

#[component]
fn Table(rows: RwSignal<Vec<RunSummary>>) -> AnyView {
    let w = words();
    view! {
        <div class="card table-card">
            <table class="listing runs" data-test="runs">
                <thead>
                    <tr>
                        <th scope="col">{w.runs_run}</th>
                        <th scope="col">{w.runs_state}</th>
                        <th scope="col">{w.runs_model}</th>
                        <th scope="col">{w.runs_data}</th>
                        <th scope="col">{w.runs_method}</th>
                        <th scope="col" class="end">{w.runs_loss}</th>
                        <th scope="col"><span class="visually-hidden">{w.runs_sparkline}</span></th>
                        <th scope="col" class="end">{w.runs_time}</th>
                    </tr>
                </thead>
                <tbody>
                    <For each=move || rows.get() key=look_of let:run>
                        <RunRow run/>
                    </For>
                </tbody>
            </table>
        </div>
    }
    .into_any()
}

/// What a row shows: it is drawn anew when (and only when) this changes.
fn look_of(run: &RunSummary) -> impl std::hash::Hash + Eq + Clone + Send + Sync + 'static + use<> {
    let loss = run.last_loss.map(f64::to_bits);
    let time = (run.started, run.worked, run.working_since);
    (run.id.clone(), run.name.clone(), run.state, run.reason.clone(), run.step, loss, time)
}

fn first_time() -> AnyView {
    let w = words();
    view! {
        <div class="empty" data-test="empty">
            <Flame/>
            <h2>{w.runs_empty_title}</h2>
            <p>{w.runs_empty_text}</p>
            <A href="/new" attr:class="button primary large">
                <Icon name=IconName::Plus/>
                {w.runs_empty_action}
            </A>
        </div>
    }
    .into_any()
}

fn no_match() -> AnyView {
    let w = words();
    view! {
        <div class="empty" data-test="no-match">
            <h2>{w.runs_no_match}</h2>
            <A href="/" attr:class="button">{w.runs_clear}</A>
        </div>
    }
    .into_any()
}
