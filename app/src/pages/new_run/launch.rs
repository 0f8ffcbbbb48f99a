//! What is still to fix, and the button that starts the run.

use std::time::Duration;

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::{BoardError, FieldProblem, Findings};

use super::asked::{asked, field_id};
use super::draft::Keeper;
use super::form::Form;
use super::memory::MemoryBar;
use crate::browser;
use crate::calls;
use crate::calls::CallError;
use crate::components::failure::{self, Failure};
use crate::components::icon::{Icon, IconName};
use crate::components::navigate::navigate;
use crate::i18n::{fill, lang, words};

/// The server is asked about the recipe when nothing was changed for so long.
const PAUSE: Duration = Duration::from_millis(400);

#[component]
pub fn Launch(form: Form, keeper: Keeper) -> AnyView {
    let w = words();
    let checking = RwSignal::new(false);
    let launching = RwSignal::new(false);
    let error = RwSignal::new(None::<String>);
    let navigate = navigate();
    let unchecked = RwSignal::new(None::<String>);
    let check_again = keep_checked(form, checking, unchecked);
    let problems = form.problems;

    let launch = move |_| {
        form.tried.set(true);
        // What the server found may be out of date by now; it looks again.
        let seen = form.seen_problems();
        if !seen.is_empty() {
            return lead_to_first(&seen);
        }
        launching.set(true);
        error.set(None);
        let (name, yaml) = (form.name.get_untracked(), untrack(|| form.yaml_to_launch()));
        spawn_local(async move {
            match calls::launch(name, yaml).await {
                Ok(id) => {
                    keeper.forget();
                    navigate.to(&format!("/runs/{id}"));
                }
                Err(CallError(BoardError::Invalid(found))) => {
                    let keys: Vec<String> = found.iter().filter_map(|problem| problem.key.clone()).collect();
                    form.from_server.try_set(found);
                    lead_to_first(&keys);
                }
                Err(other) => drop(error.try_set(Some(failure::message(&other, w)))),
            }
            launching.try_set(false);
        });
    };
    let sentence = move || match problems.with(Vec::len) {
        0 if checking.get() => w.new_checking.to_owned(),
        0 => w.new_no_problems.to_owned(),
        1 => w.new_problem_one.to_owned(),
        n => fill(w.new_problems, &[("n", &n.to_string())]),
    };
    view! {
        <section class="card launch">
            <ul class="problems" data-test="problems">
                {move || problems.get().into_iter().map(|problem| view! { <ProblemItem problem/> }).collect_view()}
            </ul>
            <ul class="problems warnings" data-test="warnings" aria-live="polite">
                {move || form.warnings.get().into_iter().map(|problem| view! { <ProblemItem problem/> }).collect_view()}
            </ul>
            {move || unchecked.get().map(|text| view! { <Failure text retry=check_again/> })}
            {move || form.memory.get().map(|memory| view! { <MemoryBar memory/> })}
            {move || error.get().map(|text| view! { <Failure text/> })}
            <div class="launch-bar">
            <p class="launch-state" role="status" data-test="form-state" data-problems=move || problems.with(Vec::len)>
                {sentence}
            </p>
            <button
                type="button"
                class="button primary large"
                data-test="launch"
                disabled=move || launching.get() || !form.ready.get()
                on:click=launch
            >
                <Icon name=IconName::Play/>
                {move || if launching.get() { w.new_launching } else { w.new_launch }}
            </button>
            </div>
        </section>
    }
    .into_any()
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

/// Puts the focus on the first field that has a problem, unfolded if it is among the advanced ones.
fn lead_to_first(keys: &[String]) {
    let first = asked().find(|argument| keys.iter().any(|key| key == argument.key));
    if let Some(argument) = first {
        browser::unfold_and_focus(&field_id(argument.key));
    }
}

/// Asks the server about the recipe whenever it has changed and then rested for a moment.
fn keep_checked(form: Form, checking: RwSignal<bool>, lost: RwSignal<Option<String>>) -> Callback<()> {
    let w = words();
    let again = RwSignal::new(());
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
            match answer {
                Ok(Findings { problems, warnings, memory, model }) => {
                    lost.try_set(None);
                    form.from_server.try_set(problems);
                    form.warnings.try_set(warnings);
                    // An estimate is of the recipe that was asked about, and of no other.
                    form.memory.try_set(memory);
                    if let Some(model) = model {
                        form.suit(model);
                    }
                }
                Err(error) => drop(lost.try_set(Some(failure::message(&error, w)))),
            }
        });
    });
    Effect::new(move |_| {
        again.track();
        let yaml = form.yaml();
        checking.set(true);
        ask(yaml);
    });
    Callback::new(move |()| again.notify())
}
