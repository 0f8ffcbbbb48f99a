//! `/entry?name=` and `/entry?file=`: an entry of `dataset_info.json`, to be added, changed or deleted.

use std::collections::BTreeMap;

use leptos::ev::SubmitEvent;
use leptos::prelude::*;
use leptos::task::spawn_local;
use leptos_router::hooks::use_query_map;
use wire::{ALPACA_COLUMNS, EntryDraft, EntryForm, MESSAGE_COLUMNS, SHARED_COLUMNS, TAGS};

use crate::calls;
use crate::calls::CallError;
use crate::components::confirm::{Confirm, DeleteButton};
use crate::components::failure::{self, BoardFailure, Failure};
use crate::components::link::A;
use crate::components::navigate::navigate;
use crate::components::title::PageTitle;
use crate::i18n::{fill, words};
use crate::pages::datasets::address;

#[component]
pub fn EntryPage() -> AnyView {
    let query = use_query_map();
    let of = Memo::new(move |_| {
        query.with(|query| {
            let text = |key: &str| query.get(key).unwrap_or_default();
            (text("name"), text("file"))
        })
    });
    let form = Resource::new(move || of.get(), |(name, file)| calls::dataset_entry(name, file));
    view! {
        <div class="page" data-test="page-entry">
            <Transition fallback=|| view! { <div class="skeleton block" aria-busy="true"></div> }>
                {move || Suspend::new(async move {
                    match form.await {
                        Ok(form) => view! { <Entry form/> }.into_any(),
                        Err(error) => view! { <BoardFailure error retry=move |()| form.refetch()/> }.into_any(),
                    }
                })}
            </Transition>
        </div>
    }
    .into_any()
}

#[component]
fn Entry(form: EntryForm) -> AnyView {
    let w = words();
    let EntryForm { original, draft, own_file } = form;
    let title = match &original {
        Some(name) => fill(w.entry_edit, &[("name", name)]),
        None => w.entry_add.to_owned(),
    };
    let back = original.clone().map(|name| view! { <A href=address(&name)>{name}</A> });
    let draft = RwSignal::new(draft);
    let (busy, error) = (RwSignal::new(false), RwSignal::new(None::<String>));
    let navigate = navigate();
    let original = StoredValue::new(original);
    let send = move |call: std::pin::Pin<Box<dyn Future<Output = Result<(), CallError>>>>, then: String| {
        busy.set(true);
        error.set(None);
        spawn_local(async move {
            let answer = call.await;
            busy.try_set(false);
            match answer {
                Ok(()) => navigate.to(&then),
                Err(problem) => drop(error.try_set(Some(failure::message(&problem, w)))),
            }
        });
    };
    let save = move |event: SubmitEvent| {
        event.prevent_default();
        let draft = draft.get_untracked();
        let page = address(draft.name.trim());
        send(Box::pin(calls::save_dataset(original.get_value(), draft)), page);
    };
    view! {
        <PageTitle text=title.clone()/>
        <nav class="crumbs" aria-label=w.nav_crumbs>
            <A href="/datasets">{w.nav_data}</A>
            {back.map(|back| view! { " / " {back} })}
        </nav>
        <h1 class="data-title">{title}</h1>
        <form class="card entry-form" data-test="entry-form" on:submit=save>
            <Field label=w.data_name key="name" value=Part::Name draft/>
            <Field label=w.entry_file key="file_name" value=Part::File draft/>
            <Field label=w.entry_hub key="hf_hub_url" value=Part::HuggingFace draft/>
            <Field label=w.entry_scope key="ms_hub_url" value=Part::ModelScope draft/>
            <div class="entry-names">
                <Field label=w.entry_subset key="subset" value=Part::Subset draft/>
                <Field label=w.entry_split key="split" value=Part::Split draft/>
                <Field label=w.entry_folder key="folder" value=Part::Folder draft/>
                <Field label=w.entry_samples key="num_samples" value=Part::Samples draft/>
            </div>
            <Layout draft/>
            {move || error.get().map(|text| view! { <Failure text/> })}
            <div class="data-buttons">
                <button type="submit" class="button primary" data-test="entry-save" disabled=move || busy.get()>
                    {w.entry_save}
                </button>
                {original.get_value().map(|name| view! {
                    <Delete name own_file busy on_delete=move |name: String| {
                        send(Box::pin(calls::delete_dataset(name)), "/datasets".into());
                    }/>
                })}
            </div>
            <noscript><p class="muted">{w.entry_script}</p></noscript>
        </form>
    }
    .into_any()
}

/// How rows are laid out, and what their columns and the fields of their messages are called.
#[component]
fn Layout(draft: RwSignal<EntryDraft>) -> AnyView {
    let w = words();
    let is_alpaca = Signal::derive(move || draft.with(|draft| draft.formatting == "alpaca"));
    let never = Signal::stored(false);
    view! {
        <label class="field">
            <span class="field-label">{w.data_format}</span>
            <select
                data-test="entry-formatting"
                on:change:target=move |event| draft.update(|draft| draft.formatting = event.target().value())
            >
                {["alpaca", "sharegpt", "openai"].map(|name| view! {
                    <option value=name selected=move || draft.with(|draft| draft.formatting == name)>{name}</option>
                }).collect_view()}
            </select>
        </label>
        <label class="check entry-ranking">
            <input
                type="checkbox"
                data-test="entry-ranking"
                checked=draft.get_untracked().ranking
                prop:checked=move || draft.with(|draft| draft.ranking)
                on:change:target=move |event| draft.update(|draft| draft.ranking = event.target().checked())
            />
            {w.entry_ranking}
        </label>
        <fieldset>
            <legend>{w.entry_columns}</legend>
            <p class="muted">{w.entry_columns_help}</p>
            <div class="entry-names">
                <Names keys=&ALPACA_COLUMNS of=columns draft hidden=Signal::derive(move || !is_alpaca.get())/>
                <Names keys=&MESSAGE_COLUMNS of=columns draft hidden=is_alpaca/>
                <Names keys=&SHARED_COLUMNS of=columns draft hidden=never/>
            </div>
        </fieldset>
        <fieldset hidden=is_alpaca>
            <legend>{w.entry_tags}</legend>
            <div class="entry-names"><Names keys=&TAGS of=tags draft hidden=never/></div>
        </fieldset>
    }
    .into_any()
}

#[component]
fn Delete(
    name: String,
    own_file: Option<String>,
    busy: RwSignal<bool>,
    #[prop(into)] on_delete: Callback<String>,
) -> AnyView {
    let w = words();
    let asks = RwSignal::new(false);
    let title = fill(w.run_delete_title, &[("name", &name)]);
    let text = match own_file {
        Some(file) => fill(w.entry_delete_file, &[("file", &file)]),
        None => w.entry_delete_alone.to_owned(),
    };
    view! {
        <DeleteButton asks busy test="entry-delete"/>
        <Confirm
            open=asks
            title=Signal::stored(title)
            text=Signal::stored(text)
            action=w.run_delete
            test="entry-delete-confirm"
            on_confirm=move |()| on_delete.run(name.clone())
        />
    }
    .into_any()
}

/// One of the draft's plain texts.
#[derive(Clone, Copy)]
enum Part {
    Name,
    File,
    HuggingFace,
    ModelScope,
    Subset,
    Split,
    Folder,
    Samples,
}

impl Part {
    fn of(self, draft: &mut EntryDraft) -> &mut String {
        match self {
            Part::Name => &mut draft.name,
            Part::File => &mut draft.file_name,
            Part::HuggingFace => &mut draft.hf_hub_url,
            Part::ModelScope => &mut draft.ms_hub_url,
            Part::Subset => &mut draft.subset,
            Part::Split => &mut draft.split,
            Part::Folder => &mut draft.folder,
            Part::Samples => &mut draft.num_samples,
        }
    }
}

#[component]
fn Field(label: &'static str, key: &'static str, value: Part, draft: RwSignal<EntryDraft>) -> AnyView {
    let first = value.of(&mut draft.get_untracked()).clone();
    view! {
        <label class="field">
            <span class="field-label">{label}</span>
            <input
                type="text"
                name=key
                data-test=format!("entry-{key}")
                autocomplete="off"
                spellcheck="false"
                value=first
                on:input:target=move |event| draft.update(|draft| *value.of(draft) = event.target().value())
            />
        </label>
    }
    .into_any()
}

type Table = fn(&mut EntryDraft) -> &mut BTreeMap<String, String>;

fn columns(draft: &mut EntryDraft) -> &mut BTreeMap<String, String> {
    &mut draft.columns
}

fn tags(draft: &mut EntryDraft) -> &mut BTreeMap<String, String> {
    &mut draft.tags
}

/// What columns or tags are called.
#[component]
fn Names(
    keys: &'static [&'static str],
    of: Table,
    draft: RwSignal<EntryDraft>,
    hidden: Signal<bool>,
) -> impl IntoView {
    keys.iter()
        .map(|key| {
            let first = of(&mut draft.get_untracked()).get(*key).cloned().unwrap_or_default();
            view! {
                <label class="field" hidden=hidden>
                    <code>{*key}</code>
                    <input
                        type="text"
                        name=*key
                        data-test=format!("entry-{key}")
                        autocomplete="off"
                        spellcheck="false"
                        value=first
                        on:input:target=move |event| {
                            draft.update(|draft| drop(of(draft).insert((*key).to_owned(), event.target().value())));
                        }
                    />
                </label>
            }
        })
        .collect_view()
}
