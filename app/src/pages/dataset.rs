//! `/datasets/:name`: rows of a data set, what they are encoded to, how long they are, and which cannot be used.

mod asked;
mod check;
mod encoding;
mod histogram;
mod look;
mod rows;
mod speaker;
mod tokens;

use leptos::prelude::*;
use leptos_router::hooks::{use_params_map, use_query_map};
use leptos_router::location::Url;
use wire::{BoardError, DatasetEntry, DatasetPlace, Preview};

use crate::calls::CallError;
use crate::components::failure::BoardFailure;
use crate::components::icon::{Icon, IconName};
use crate::components::link::A;
use crate::components::title::PageTitle;
use crate::format;
use crate::i18n::words;
use crate::pages::datasets::kind_text;
use crate::pages::not_found::NotFoundPage;
use asked::Asked;
use check::CheckCard;
use encoding::EncodingForm;
use histogram::HistogramCard;
use look::Look;
use rows::{Pager, RowList};

#[component]
pub fn DatasetPage() -> AnyView {
    let (params, query) = (use_params_map(), use_query_map());
    let look = Memo::new(move |_| {
        let name = params.with(|params| params.get("name").unwrap_or_default());
        query.with(|query| Look::read(name, query))
    });
    let asked = Asked::new(look);
    view! {
        <Transition fallback=|| view! { <div class="page"><div class="skeleton block" aria-busy="true"></div></div> }>
            {move || Suspend::new(async move {
                match asked.preview.await {
                    Ok(preview) => view! { <DatasetView preview look asked/> }.into_any(),
                    Err(CallError(BoardError::NotFound(_))) => view! { <NotFoundPage/> }.into_any(),
                    Err(error) => view! { <Unreadable look asked error/> }.into_any(),
                }
            })}
        </Transition>
    }
    .into_any()
}

#[component]
fn Crumbs() -> impl IntoView {
    let w = words();
    view! { <nav class="crumbs" aria-label=w.nav_crumbs><A href="/datasets">{w.nav_data}</A></nav> }
}

/// A data set that cannot be opened: its entry is wrong, or its data are elsewhere.
#[component]
fn Unreadable(look: Memo<Look>, asked: Asked, error: CallError) -> AnyView {
    let name = look.get_untracked().name;
    view! {
        <PageTitle text=name.clone()/>
        <div class="page" data-test="page-dataset">
            <Crumbs/>
            <header class="page-head">
                <h1 class="data-title">{name.clone()}</h1>
                <EditLink name/>
            </header>
            <BoardFailure error retry=move |()| asked.again()/>
        </div>
    }
    .into_any()
}

#[component]
fn DatasetView(preview: Preview, look: Memo<Look>, asked: Asked) -> AnyView {
    let Preview { entry, first, rows, more } = preview;
    let (name, holds) = (entry.name.clone(), entry.holds);
    let is_away = entry.is_on_hub() && rows.is_empty();
    let total = entry.rows;
    let body = if is_away {
        view! { <p class="notice" data-test="not-downloaded">{words().data_not_downloaded}</p> }.into_any()
    } else {
        view! {
            <div class="columns data-columns">
                <aside class="data-side">
                    <EncodingForm look holds offer=asked.offer/>
                    <HistogramCard lengths=asked.lengths check=asked.check/>
                    <CheckCard look asked/>
                </aside>
                <section class="data-main">
                    <Pager look first count=rows.len() more total/>
                    <RowList rows look encoded=asked.encoded/>
                </section>
            </div>
        }
        .into_any()
    };
    view! {
        <PageTitle text=entry.name.clone()/>
        <div class="page" data-test="page-dataset">
            <Crumbs/>
            <header class="page-head">
                <div>
                    <h1 class="data-title">{entry.name.clone()}</h1>
                    <Facts entry/>
                </div>
                <div class="actions">
                    <EditLink name=name.clone()/>
                    <A href=format!("/new?dataset={}", Url::escape(&name)) attr:class="button primary" attr:data-test="use-dataset">
                        <Icon name=IconName::Plus/>
                        {words().data_use}
                    </A>
                </div>
            </header>
            {body}
        </div>
    }
    .into_any()
}

/// To the form of the entry, where it can be deleted, too.
#[component]
fn EditLink(name: String) -> impl IntoView {
    let link = format!("/entry?name={}", Url::escape(&name));
    view! {
        <A href=link attr:class="button" attr:data-test="edit-entry">
            <Icon name=IconName::Pencil/>
            {words().entry_edit_link}
        </A>
    }
}

#[component]
fn Facts(entry: DatasetEntry) -> impl IntoView {
    let w = words();
    let place = match &entry.place {
        DatasetPlace::File(path) | DatasetPlace::Hub(path) => path.clone(),
        DatasetPlace::Unknown => String::new(),
    };
    let rows = entry.rows.map(|rows| format::rows(rows, w));
    let facts = [Some(place), Some(kind_text(&entry, w)), rows, entry.bytes.map(format::bytes)];
    let facts: Vec<String> = facts.into_iter().flatten().filter(|fact| !fact.is_empty()).collect();
    view! { <p class="muted path" data-test="dataset-facts">{facts.join(" · ")}</p> }
}
