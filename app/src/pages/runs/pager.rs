//! Long histories come a page at a time; the page is in the address, as search and filter are.

use leptos::prelude::*;
use serde::{Deserialize, Serialize};
use wire::{RunFilter, RunSummary};

use super::filter::address;
use crate::base::at;
use crate::calls;
use crate::calls::CallError;
use crate::i18n::{fill, words};

/// Runs on a page.
const PAGE: u64 = 100;

/// The runs of a page, and how many there are on all of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Listed {
    pub runs: Vec<RunSummary>,
    pub total: u64,
}

/// Page number `page`, from 1.
pub async fn fetch(filter: RunFilter, page: u64) -> Result<Listed, CallError> {
    let from = (page - 1).saturating_mul(PAGE);
    let runs = calls::runs(filter.search.clone(), filter.state, Some(from), Some(PAGE)).await?;
    let short = (runs.len() as u64) < PAGE && (page == 1 || !runs.is_empty());
    let total = match short {
        true => from + runs.len() as u64,
        false => calls::count_runs(filter.search, filter.state).await?,
    };
    Ok(Listed { runs, total })
}

/// Where in the history this page is, with ways to its neighbours; nothing where there is one page.
#[component]
pub fn Pager(#[prop(into)] total: Signal<u64>, filter: RunFilter, page: u64) -> AnyView {
    let w = words();
    let link = move |page: u64, label: &'static str, test: &'static str| {
        let href = address(&filter.search, filter.state, page);
        // Not the router's link: it would call each page the current one, as their paths are alike.
        view! { <a href=at(&href) class="button" data-test=test>{label}</a> }
    };
    let body = move || {
        let total = total.get();
        if total <= PAGE && page == 1 {
            return None;
        }
        let last = total.div_ceil(PAGE).max(1);
        let (from, to) = ((page - 1).saturating_mul(PAGE), page.saturating_mul(PAGE).min(total));
        let place = (from < total).then(|| {
            let [from, to, n] = [from + 1, to, total].map(|number| number.to_string());
            fill(w.runs_place, &[("from", &from), ("to", &to), ("n", &n)])
        });
        Some(view! {
            <nav class="pager" aria-label=w.runs_pages data-test="pager">
                {(page > 1).then(|| link((page - 1).min(last), w.runs_newer, "newer"))}
                <span class="muted">{place}</span>
                {(page < last).then(|| link(page + 1, w.runs_older, "older"))}
            </nav>
        })
    };
    view! { {body} }.into_any()
}
