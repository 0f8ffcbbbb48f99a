//! `/runs/:id`: one run, live.

mod actions;
mod facts;
mod log;
mod name;
mod panels;
mod progress;

use leptos::prelude::*;
use leptos_router::hooks::use_params_map;
use recipe::RunState;
use wire::{BoardError, RunDetail, RunSummary};

use crate::calls;
use crate::calls::CallError;
use crate::chart::LineChart;
use crate::components::failure::BoardFailure;
use crate::components::icon::{Icon, IconName};
use crate::components::link::A;
use crate::components::state_badge::StateBadge;
use crate::components::title::PageTitle;
use crate::i18n::{lang, said, words};
use crate::live::{Connection, Fold};
use crate::pages::not_found::NotFoundPage;
use actions::Actions;
use facts::{CheckpointList, Facts};
use name::RunName;
use panels::Panels;
use progress::Progress;

#[component]
pub fn RunPage() -> AnyView {
    let params = use_params_map();
    let id = Memo::new(move |_| params.with(|params| params.get("id").unwrap_or_default()));
    let detail = Resource::new(move || id.get(), calls::run);
    view! {
        <Suspense fallback=Skeleton>
            {move || Suspend::new(async move {
                match detail.await {
                    Ok(detail) => view! { <RunView detail/> }.into_any(),
                    Err(CallError(BoardError::NotFound(_))) => view! { <NotFoundPage/> }.into_any(),
                    Err(error) => view! { <div class="page"><BoardFailure error retry=move |()| detail.refetch()/></div> }.into_any(),
                }
            })}
        </Suspense>
    }
    .into_any()
}

#[component]
fn RunView(detail: RunDetail) -> AnyView {
    let w = words();
    let id = detail.summary.id.clone();
    let fold = Fold::new(detail.clone());
    let connection = RwSignal::new(Connection::Off);
    #[cfg(feature = "hydrate")]
    {
        let id = id.clone();
        Effect::new(move |_| crate::live::connect(id.clone(), fold, connection));
    }
    let summary = fold.summary;
    let title = Signal::derive(move || summary.with(title_of));
    view! {
        <PageTitle text=title/>
        <div class="page" data-test="page-run" data-id=id.clone() data-live=move || connection.get().name()>
            <nav class="crumbs" aria-label=w.nav_crumbs><A href="/">{w.nav_runs}</A></nav>
            <header class="page-head run-head">
                <div class="run-title">
                    <RunName summary/>
                    <StateBadge
                        state=Signal::derive(move || summary.with(|run| run.state))
                        reason=Signal::derive(move || summary.with(|run| run.reason.clone()))
                    />
                    <LiveMark connection summary/>
                </div>
                <Actions fold connection/>
            </header>
            <Reason summary/>
            <Progress fold/>
            <div class="run-columns">
                <div class="run-main">
                    <div class="card">
                        <LineChart points=fold.points evals=fold.evals file_name=id.clone()/>
                    </div>
                    <Panels log=fold.log recipe=detail.recipe.clone() id=id.clone()/>
                </div>
                <aside class="run-side">
                    <Facts detail=detail sizes=fold.sizes/>
                    <CheckpointList checkpoints=fold.checkpoints/>
                </aside>
            </div>
        </div>
    }
    .into_any()
}

/// What the browser's tab says of a run: how far it is, while it is under way.
fn title_of(run: &RunSummary) -> String {
    match (run.state.is_over(), run.total_steps) {
        (true, _) | (_, 0) => run.name.clone(),
        (false, total) => format!("{} % · {}", 100 * run.step.min(total) / total, run.name),
    }
}

/// Why the run is where it is; an error where it did not end as it should.
#[component]
fn Reason(summary: RwSignal<RunSummary>) -> impl IntoView {
    let lang = lang();
    let reason = Memo::new(move |_| summary.with(|run| run.reason.clone().map(|reason| (run.state, reason))));
    move || {
        let (state, reason) = reason.get()?;
        let is_bad = matches!(state, RunState::Failed | RunState::Interrupted);
        let icon = is_bad.then(|| view! { <Icon name=IconName::Alert/> });
        Some(view! {
            <div class="notice run-reason" class:error=is_bad role="status">
                {icon}
                <p data-test="reason">{said(&reason, lang)}</p>
            </div>
        })
    }
}

/// Whether the page hears from the server; of a run that is over there is nothing to hear.
#[component]
fn LiveMark(connection: RwSignal<Connection>, summary: RwSignal<RunSummary>) -> impl IntoView {
    let w = words();
    let is_quiet = move || connection.get() == Connection::Open && summary.with(|run| run.state.is_over());
    let text = move || match connection.get() {
        Connection::Off => "",
        Connection::Connecting => w.live_connecting,
        Connection::Open => w.live_open,
        Connection::Retrying => w.live_retrying,
    };
    view! {
        <span class="live" data-test="live" data-live=move || connection.get().name() role="status" hidden=is_quiet>
            <span class="live-dot" aria-hidden="true"></span>
            {text}
        </span>
    }
}

#[component]
fn Skeleton() -> impl IntoView {
    view! {
        <div class="page" aria-busy="true">
            <div class="skeleton title"></div>
            <div class="skeleton block"></div>
        </div>
    }
}
