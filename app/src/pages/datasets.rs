//! `/datasets`: the data sets of the data folder.

mod upload;

use leptos::prelude::*;
use leptos_router::location::Url;
use wire::{BrokenList, DatasetEntry, DatasetList, DatasetPlace, Holds};

use crate::calls;
use crate::components::failure::{BoardFailure, Failure};
use crate::components::link::A;
use crate::components::title::PageTitle;
use crate::format;
use crate::i18n::{Words, fill, words};
use upload::AddCard;

#[component]
pub fn DatasetsPage() -> AnyView {
    let w = words();
    let list = Resource::new(|| (), |()| calls::datasets());
    view! {
        <PageTitle text=w.nav_data/>
        <div class="page" data-test="page-datasets">
            <Suspense fallback=|| view! { <div class="skeleton block" aria-busy="true"></div> }>
                {move || Suspend::new(async move {
                    match list.await {
                        Ok(list) => view! { <Shelf list/> }.into_any(),
                        Err(error) => view! { <h1>{w.nav_data}</h1> <BoardFailure error retry=move |()| list.refetch()/> }.into_any(),
                    }
                })}
            </Suspense>
        </div>
    }
    .into_any()
}

/// The page of a data set.
pub fn address(name: &str) -> String {
    format!("/datasets/{}", Url::escape(name))
}

/// What the rows of an entry are, in a few words.
pub fn kind_text(entry: &DatasetEntry, w: &'static Words) -> String {
    let holds = match entry.holds {
        Holds::Text => w.data_holds_text,
        Holds::Answers => w.data_holds_answers,
        Holds::Pairs => w.data_holds_pairs,
        Holds::Judged => w.data_holds_judged,
    };
    if entry.format.is_empty() { String::new() } else { format!("{} · {holds}", entry.format) }
}

#[component]
fn Shelf(list: DatasetList) -> AnyView {
    let w = words();
    let DatasetList { folder, entries, largest_upload, broken } = list;
    let is_empty = entries.is_empty() && broken.is_none();
    let can_add = broken.is_none();
    let (hub, here): (Vec<_>, Vec<_>) = entries.into_iter().partition(DatasetEntry::is_on_hub);
    view! {
        <header class="page-head">
            <div>
                <h1>{w.nav_data}</h1>
                <p class="muted">{fill(w.data_intro, &[("folder", &folder)])}</p>
            </div>
        </header>
        {broken.map(|broken| view! { <Broken broken/> })}
        {can_add.then(|| view! { <AddCard largest=largest_upload/> })}
        {is_empty.then(|| view! { <div class="empty" data-test="empty"><p>{w.data_none}</p></div> })}
        {(!here.is_empty()).then(|| view! { <Table title=w.data_here entries=here test="datasets-here"/> })}
        {(!hub.is_empty()).then(|| view! { <Table title=w.data_on_hubs entries=hub test="datasets-hub"/> })}
    }
    .into_any()
}

/// Where `dataset_info.json` is broken.
#[component]
fn Broken(broken: BrokenList) -> AnyView {
    let w = words();
    let wrong = broken.line;
    let line = move |(number, text): (usize, String)| {
        view! {
            <li class:wrong=wrong == Some(number) aria-current=(wrong == Some(number)).then_some("true")>
                <span class="line-number number">{number}</span>
                <code>{text}</code>
            </li>
        }
    };
    let has_lines = !broken.lines.is_empty();
    let lines = broken.lines.into_iter().map(line).collect_view();
    view! {
        <section class="broken-list" data-test="broken-list">
            <Failure text=broken.message/>
            {has_lines.then(|| view! { <ol class="code source-lines">{lines}</ol> })}
            <p class="muted">{w.data_broken_help}</p>
        </section>
    }
    .into_any()
}

#[component]
fn Table(title: &'static str, entries: Vec<DatasetEntry>, test: &'static str) -> AnyView {
    let w = words();
    let rows = entries.into_iter().map(|entry| view! { <EntryRow entry/> }).collect_view();
    view! {
        <section class="data-section">
            <h2>{title}</h2>
            <div class="card table-card">
                <table class="listing datasets" data-test=test>
                    <thead>
                        <tr>
                            <th scope="col">{w.data_name}</th>
                            <th scope="col">{w.data_source}</th>
                            <th scope="col">{w.data_format}</th>
                            <th scope="col" class="end">{w.data_rows}</th>
                            <th scope="col" class="end">{w.data_size}</th>
                        </tr>
                    </thead>
                    <tbody>{rows}</tbody>
                </table>
            </div>
        </section>
    }
    .into_any()
}

#[component]
fn EntryRow(entry: DatasetEntry) -> AnyView {
    let w = words();
    let kind = kind_text(&entry, w);
    let source = match &entry.place {
        DatasetPlace::File(path) | DatasetPlace::Hub(path) => path.clone(),
        DatasetPlace::Unknown => "–".into(),
    };
    let (name, link) = (entry.name.clone(), address(&entry.name));
    let number = |value: Option<u64>, write: fn(u64) -> String| value.map_or_else(|| "–".into(), write);
    view! {
        <tr data-test="dataset" data-name=name>
            <td class="data-name">
                <A href=link attr:class="row-link">{entry.name}</A>
                {entry.problem.map(|problem| view! { <p class="field-problem">{problem}</p> })}
            </td>
            <td class="data-source" data-label=w.data_source><span class="path">{source}</span></td>
            <td data-label=w.data_format>{kind}</td>
            <td class="end number" data-label=w.data_rows>{number(entry.rows, format::count)}</td>
            <td class="end number" data-label=w.data_size>{number(entry.bytes, format::bytes)}</td>
        </tr>
    }
    .into_any()
}
