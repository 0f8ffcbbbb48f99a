//! A recipe that comes from elsewhere: pasted, or from a file.

use leptos::html::{Dialog, Input};
use leptos::prelude::*;
use leptos::task::spawn_local;
use recipe::Problem;

use super::form::Form;
use crate::browser;
use crate::i18n::{Lang, Words, fill, lang, words};

#[component]
pub fn LoadRecipe(form: Form, open: RwSignal<bool>) -> AnyView {
    let w = words();
    let text = RwSignal::new(String::new());
    let problems = RwSignal::new(Vec::<String>::new());
    let dialog = NodeRef::<Dialog>::new();
    let file = NodeRef::<Input>::new();
    Effect::new(move |_| {
        let Some(dialog) = dialog.get() else { return };
        if open.get() { browser::show_dialog(&dialog) } else { browser::close_dialog(&dialog) }
    });
    let (left_out, language) = (RwSignal::new(false), lang());
    let apply = move |_| {
        let loaded = form.load_what_can_be(&text.get_untracked());
        left_out.set(loaded.is_ok());
        match loaded {
            Ok(found) => {
                form.changed.set(true);
                open.set(!found.is_empty());
                problems.set(told(&found, language, w));
            }
            Err(found) => problems.set(told(&found, language, w)),
        }
    };
    let read_file = move |_| {
        spawn_local(async move {
            let Some(input) = file.get_untracked() else { return };
            if let Some(content) = browser::chosen_file(&input).await {
                problems.try_set(Vec::new());
                text.try_set(content);
            }
        });
    };
    view! {
        <dialog node_ref=dialog class="dialog wide" data-test="load-dialog" on:close=move |_| open.set(false)>
            <h2>{w.new_load_title}</h2>
            <p>{w.new_load_text}</p>
            <div class="load-body">
                <label class="field">
                    <span class="field-label">{w.new_load_file}</span>
                    <input node_ref=file type="file" accept=".yaml,.yml,.json" data-test="load-file" on:change=read_file/>
                </label>
                <textarea
                    rows="12"
                    spellcheck="false"
                    class="mono"
                    data-test="load-text"
                    aria-label=w.new_load_title
                    prop:value=move || text.get()
                    on:input:target=move |event| text.set(event.target().value())
                ></textarea>
                <p data-test="load-left-out" hidden=move || !left_out.get() || problems.with(Vec::is_empty)>{w.new_load_left_out}</p>
                <ul class="problems" role="alert" data-test="load-problems">
                    {move || problems.get().into_iter().map(|line| view! { <li>{line}</li> }).collect_view()}
                </ul>
            </div>
            <div class="dialog-actions">
                <button type="button" class="button" on:click=move |_| open.set(false)>{w.new_load_cancel}</button>
                <button
                    type="button"
                    class="button primary"
                    data-test="load-apply"
                    disabled=move || text.with(|text| text.trim().is_empty())
                    on:click=apply
                >
                    {w.new_load_apply}
                </button>
            </div>
        </dialog>
    }
    .into_any()
}

/// Problems with their lines, a sentence each.
fn told(found: &[Problem], lang: Lang, w: &'static Words) -> Vec<String> {
    let told = |problem: &Problem| match problem.line {
        Some(line) => {
            let (line, text) = (line.to_string(), problem.text(lang));
            fill(w.new_load_line, &[("line", &line), ("problem", text)])
        }
        None => problem.text(lang).to_owned(),
    };
    found.iter().map(told).collect()
}
