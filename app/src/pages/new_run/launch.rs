//! What is still to fix, and the button that starts the run.

use std::time::Duration;

use leptos::prelude::*;
use leptos::task::spawn_local;

use super::field::field_id;
use super::form::Form;
use crate::api::{BoardError, FieldProblem, Findings, Memory};
use crate::calls;
use crate::components::failure::{self, Failure};
use crate::components::icon::{Icon, IconName};
use crate::components::navigate::navigate;
use crate::format;
use crate::i18n::{fill, lang, words};

/// The server is asked about the recipe when nothing was changed for so long.
const PAUSE: Duration = Duration::from_millis(400);

#[component]
pub fn Launch(form: Form) -> AnyView {
    let w = words();
    let checking = RwSignal::new(false);
    let launching = RwSignal::new(false);
    let error = RwSignal::new(None::<String>);
    let navigate = navigate();
    keep_checked(form, checking);
    let problems = Memo::new(move |_| form.problems());

    let launch = move |_| {
        form.tried.set(true);
        // What the server found may be out of date by now; it looks again.
        if !form.is_complete() {
            return;
        }
        launching.set(true);
        error.set(None);
        let (name, yaml) = (form.name.get_untracked(), untrack(|| form.yaml_to_launch()));
        spawn_local(async move {
            match calls::launch(name, yaml).await {
                Ok(id) => navigate.to(&format!("/runs/{id}")),
                Err(BoardError::Invalid(found)) => drop(form.from_server.try_set(found)),
                Err(other) => drop(error.try_set(Some(failure::message(&other, w)))),
            }
            launching.try_set(false);
        });
    };
    let sentence = move || match problems.with(Vec::len) {
        0 if checking.get() => w.new_checking.to_owned(),
        0 => w.new_no_problems.to_owned(),
        n => fill(w.new_problems, &[("n", &n.to_string())]),
    };
    view! {
        <section class="card launch">
            <p class="launch-state" role="status" data-test="form-state" data-problems=move || problems.with(Vec::len)>
                {sentence}
            </p>
            <ul class="problems" data-test="problems">
                {move || problems.get().into_iter().map(|problem| view! { <ProblemItem problem/> }).collect_view()}
            </ul>
            <ul class="problems warnings" data-test="warnings" aria-live="polite">
                {move || form.warnings.get().into_iter().map(|problem| view! { <ProblemItem problem/> }).collect_view()}
            </ul>
            {move || form.memory.get().map(|memory| view! { <MemoryLine memory/> })}
            {move || error.get().map(|text| view! { <Failure text/> })}
            <button
                type="button"
                class="button primary large"
                data-test="launch"
                disabled=move || launching.get()
                on:click=launch
            >
                <Icon name=IconName::Play/>
                {move || if launching.get() { w.new_launching } else { w.new_launch }}
            </button>
        </section>
    }
    .into_any()
}

/// What the run takes at its peak, beside what there is.
#[component]
fn MemoryLine(memory: Memory) -> impl IntoView {
    let w = words();
    let is_short = memory.needed > memory.free;
    let sentence = if is_short { w.new_memory_short } else { w.new_memory };
    let (needed, free) = (format::bytes(memory.needed), format::bytes(memory.free));
    view! {
        <p class=if is_short { "field-problem" } else { "field-help" } data-test="memory">
            {fill(sentence, &[("needed", &needed), ("free", &free)])}
        </p>
    }
}

/// A problem that leads to its field.
#[component]
fn ProblemItem(problem: FieldProblem) -> impl IntoView {
    let argument = problem.key.as_deref().and_then(recipe::args::find);
    view! {
        <li data-key=problem.key.clone()>
            {argument.map(|argument| view! {
                <a href=format!("#{}", field_id(argument.key)) rel="external">{argument.label.get(lang())}</a>
                " "
            })}
            {problem.message}
        </li>
    }
}

/// Asks the server about the recipe whenever it has changed and then rested for a moment.
fn keep_checked(form: Form, checking: RwSignal<bool>) {
    let asked = StoredValue::new(String::new());
    let mut ask = leptos::leptos_dom::helpers::debounce(PAUSE, move |yaml: String| {
        asked.set_value(yaml.clone());
        spawn_local(async move {
            let answer = calls::check(yaml.clone()).await;
            // A later question may be on its way already.
            if asked.try_with_value(|asked| *asked == yaml) != Some(true) {
                return;
            }
            checking.try_set(false);
            if let Ok(Findings { problems, warnings, memory }) = answer {
                form.from_server.try_set(problems);
                form.warnings.try_set(warnings);
                form.memory.try_set(memory);
            }
        });
    });
    Effect::new(move |_| {
        let yaml = form.yaml();
        checking.set(true);
        ask(yaml);
    });
}
