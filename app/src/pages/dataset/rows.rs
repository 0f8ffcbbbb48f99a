//! Rows as conversations or as they stand in their files, a page at a time.

use leptos::ev::SubmitEvent;
use leptos::html::Input;
use leptos::prelude::*;
use wire::{PreviewRow, PreviewTurn};

use super::asked::Encoded;
use super::look::Look;
use super::speaker::{speaker_key, speaker_name};
use super::tokens::TokenPanel;
use crate::components::failure::Failure;
use crate::components::link::A;
use crate::components::navigate::navigate;
use crate::format;
use crate::i18n::{fill, words};

/// Rows of a page, as the server gives them.
const PAGE: u64 = 20;

/// Which rows are shown, how to come to others, and how they are shown.
#[component]
pub fn Pager(look: Memo<Look>, first: u64, count: usize, more: bool, total: Option<u64>) -> AnyView {
    let w = words();
    let at = move |first: u64| Look { first, row: None, ..look.get() }.address();
    let view_link = move |raw: bool, name: &'static str, test: &'static str| {
        view! {
            <A
                href=move || Look { raw, ..look.get() }.address()
                scroll=false
                attr:class="tab"
                attr:data-test=test
                attr:aria-current=move || if look.with(|look| look.raw) == raw { "true" } else { "false" }
            >
                {name}
            </A>
        }
    };
    let last = first + count as u64 - u64::from(count > 0);
    let range = match (count, total) {
        (0, _) => w.data_no_rows.to_owned(),
        (_, total) => {
            let [first, last, total_text] = [first, last, total.unwrap_or_default()].map(format::count);
            let form = if total.is_some() { w.data_range_of } else { w.data_range };
            fill(form, &[("first", &first), ("last", &last), ("total", &total_text)])
        }
    };
    view! {
        <div class="data-bar">
            <div class="tabs" role="group" aria-label=w.data_view>
                {view_link(false, w.data_conversation, "view-chat")}
                {view_link(true, w.data_raw, "view-raw")}
            </div>
            <nav class="pager" aria-label=w.data_pages>
                {(first > 1).then(|| view! {
                    <A href=move || at(first.saturating_sub(PAGE).max(1)) attr:class="button small" attr:data-test="page-before">
                        {w.data_before}
                    </A>
                })}
                <span class="muted number" data-test="range">{range}</span>
                {more.then(|| view! {
                    <A href=move || at(first + PAGE) attr:class="button small" attr:data-test="page-after">
                        {w.data_after}
                    </A>
                })}
                {(first > 1 || more).then(|| view! { <Jump look total/> })}
            </nav>
        </div>
    }
    .into_any()
}

/// Leads to a row by its number; a plain form, so it works without script.
#[component]
fn Jump(look: Memo<Look>, total: Option<u64>) -> AnyView {
    let w = words();
    let navigate = navigate();
    let rest = move || {
        let kept = look.get().parts().into_iter().filter(|(key, _)| !["first", "row"].contains(key));
        kept.map(|(key, value)| view! { <input type="hidden" name=key value=value/> }).collect_view()
    };
    let input = NodeRef::<Input>::new();
    let go = move |event: SubmitEvent| {
        event.prevent_default();
        let typed = input.get_untracked().and_then(|input| input.value().trim().parse::<u64>().ok());
        if let Some(first) = typed.filter(|first| *first > 0) {
            navigate.to(&Look { first, row: None, ..look.get_untracked() }.address());
        }
    };
    view! {
        <form class="jump" method="get" on:submit=go>
            {rest}
            <input
                node_ref=input
                type="number"
                name="first"
                min="1"
                max=total
                placeholder=w.data_jump
                aria-label=w.data_jump
                data-test="jump"
            />
            <button type="submit" class="button small" data-test="jump-go">{w.data_go}</button>
        </form>
    }
    .into_any()
}

#[component]
pub fn RowList(rows: Vec<PreviewRow>, look: Memo<Look>, encoded: Encoded) -> AnyView {
    let rows = rows.into_iter().map(|row| view! { <RowCard row look encoded/> }).collect_view();
    view! { <ol class="data-rows" data-test="rows">{rows}</ol> }.into_any()
}

#[component]
fn RowCard(row: PreviewRow, look: Memo<Look>, encoded: Encoded) -> AnyView {
    let w = words();
    let PreviewRow { number, raw, turns, problem } = row;
    let is_chosen = Memo::new(move |_| look.with(|look| look.row == Some(number)));
    let link = move || {
        let row = (!is_chosen.get()).then_some(number);
        format!("{}#row-{number}", Look { row, ..look.get() }.address())
    };
    let can_encode = problem.is_none();
    let bubbles = turns.into_iter().map(|turn| view! { <Bubble turn/> }).collect_view();
    let has_raw = !raw.is_empty();
    let is_raw = move || look.with(|look| look.raw);
    let is_broken = problem.is_some();
    view! {
        <li class="card data-row" id=format!("row-{number}") data-test="row" data-row=number>
            <header>
                <h3>{fill(w.data_row, &[("n", &format::count(number))])}</h3>
                {can_encode.then(|| view! {
                    <A
                        href=link
                        scroll=false
                        attr:class="button quiet small"
                        attr:data-test="show-tokens"
                        attr:aria-expanded=move || is_chosen.get().to_string()
                    >
                        {move || if is_chosen.get() { w.data_hide_tokens } else { w.data_show_tokens }}
                    </A>
                })}
            </header>
            {problem.map(|text| view! { <Failure text/> })}
            <div class="turns" hidden=is_raw>{bubbles}</div>
            {has_raw.then(|| view! {
                <pre class="code" tabindex="0" data-test="raw" hidden=move || !is_raw() && !is_broken>{raw}</pre>
            })}
            {move || is_chosen.get().then(|| view! { <TokenPanel encoded/> })}
        </li>
    }
    .into_any()
}

#[component]
fn Bubble(turn: PreviewTurn) -> impl IntoView {
    let name = speaker_name(turn.speaker, words());
    view! {
        <div class="turn" data-speaker=speaker_key(turn.speaker) data-test="turn">
            <span class="turn-speaker">{name}</span>
            <div class="turn-text">{turn.text}</div>
        </div>
    }
}
