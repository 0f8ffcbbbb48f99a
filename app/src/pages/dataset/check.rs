//! The check of all rows: started here, done by the server, watched until it ends.

use std::time::Duration;

use leptos::ev::SubmitEvent;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::{Check, CheckState, Encoding, RowProblem};

use super::asked::Asked;
use super::look::Look;
use crate::base::at;
use crate::browser;
use crate::calls;
use crate::calls::CallError;
use crate::components::failure::{self, BoardFailure, Failure};
use crate::components::link::A;
use crate::format;
use crate::i18n::{Words, fill, words};

/// How often a check that goes on is asked for.
const EVERY: Duration = Duration::from_secs(1);

#[component]
pub fn CheckCard(look: Memo<Look>, asked: Asked) -> AnyView {
    let w = words();
    let error = RwSignal::new(None::<String>);
    view! {
        <section class="card data-check" data-test="check">
            <h2>{w.data_check}</h2>
            <Transition>
                {move || Suspend::new(async move {
                    let (check, offer) = match (asked.check.await, asked.offer.await) {
                        (Ok(check), Ok(offer)) => (check, offer),
                        (Err(error), _) | (_, Err(error)) => return view! { <BoardFailure error retry=move |()| asked.again()/> }.into_any(),
                    };
                    let Look { name, settings, .. } = look.get_untracked();
                    let encoding = offer.encoding(&settings);
                    keep_fresh(check.state, asked);
                    let goes_on = goes_on(check.state);
                    view! {
                        <Report check look/>
                        {if goes_on {
                            view! { <StopForm name asked error/> }.into_any()
                        } else {
                            view! { <StartForm name encoding asked error/> }.into_any()
                        }}
                    }
                    .into_any()
                })}
            </Transition>
            {move || error.get().map(|text| view! { <Failure text/> })}
        </section>
    }
    .into_any()
}

fn goes_on(state: CheckState) -> bool {
    matches!(state, CheckState::Waiting | CheckState::Running)
}

/// Asks again while the check goes on and somebody looks.
fn keep_fresh(state: CheckState, asked: Asked) {
    if !goes_on(state) {
        return;
    }
    Effect::new(move |_| {
        let ask = move || {
            if browser::is_visible() {
                asked.check.refetch();
            }
        };
        if let Ok(handle) = set_interval_with_handle(ask, EVERY) {
            on_cleanup(move || handle.clear());
        }
    });
}

/// Sends a form's request by script; errors are shown, and the check is asked for anew.
fn send(
    call: impl Future<Output = Result<(), CallError>> + 'static,
    asked: Asked,
    error: RwSignal<Option<String>>,
    w: &'static Words,
) {
    error.set(None);
    spawn_local(async move {
        match call.await {
            Ok(()) => asked.check.refetch(),
            Err(problem) => drop(error.try_set(Some(failure::message(&problem, w)))),
        }
    });
}

#[component]
fn StartForm(name: String, encoding: Encoding, asked: Asked, error: RwSignal<Option<String>>) -> AnyView {
    let w = words();
    let (named, chosen) = (name.clone(), encoding.clone());
    let on_submit = move |event: SubmitEvent| {
        event.prevent_default();
        send(calls::start_dataset_check(named.clone(), chosen.clone()), asked, error, w);
    };
    view! {
        <form method="post" action=at("/api/start_dataset_check") on:submit=on_submit>
            <input type="hidden" name="name" value=name/>
            {hidden(encoding)}
            <button type="submit" class="button" data-test="check-start">{w.data_check_start}</button>
        </form>
    }
    .into_any()
}

/// The encoding as fields of a form that is sent without script.
fn hidden(encoding: Encoding) -> impl IntoView {
    let Encoding {
        model,
        template,
        cutoff_len,
        plain_text,
        train_on_prompt,
        mask_history,
        default_system,
        enable_thinking,
    } = encoding;
    let fields = [
        ("model", Some(model)),
        ("template", Some(template)),
        ("cutoff_len", Some(cutoff_len.to_string())),
        ("plain_text", Some(plain_text.to_string())),
        ("train_on_prompt", Some(train_on_prompt.to_string())),
        ("mask_history", Some(mask_history.to_string())),
        ("default_system", Some(default_system)),
        ("enable_thinking", enable_thinking.map(|on| on.to_string())),
    ];
    let field = |(name, value): (&str, Option<String>)| {
        value.map(|value| view! { <input type="hidden" name=format!("encoding[{name}]") value=value/> })
    };
    fields.map(field).collect_view()
}

#[component]
fn StopForm(name: String, asked: Asked, error: RwSignal<Option<String>>) -> AnyView {
    let w = words();
    let stopped = name.clone();
    let on_submit = move |event: SubmitEvent| {
        event.prevent_default();
        send(calls::stop_dataset_check(stopped.clone()), asked, error, w);
    };
    view! {
        <form method="post" action=at("/api/stop_dataset_check") on:submit=on_submit>
            <input type="hidden" name="name" value=name/>
            <button type="submit" class="button" data-test="check-stop">{w.data_check_stop}</button>
        </form>
    }
    .into_any()
}

#[component]
fn Report(check: Check, look: Memo<Look>) -> AnyView {
    let w = words();
    let Check { state, rows, bad, problems, error, .. } = check;
    let numbers = [("rows", format::count(rows)), ("bad", format::count(bad))];
    let numbers = numbers.each_ref().map(|(key, value)| (*key, value.as_str()));
    let text = match state {
        CheckState::None => w.data_check_none.to_owned(),
        CheckState::Waiting => w.data_check_waiting.to_owned(),
        CheckState::Running => fill(w.data_check_running, &numbers),
        CheckState::Stopped => fill(w.data_check_stopped, &numbers),
        CheckState::Done if bad == 0 => fill(w.data_check_good, &numbers),
        CheckState::Done => fill(w.data_check_bad, &numbers),
    };
    let name = match state {
        CheckState::None => "none",
        CheckState::Waiting => "waiting",
        CheckState::Running => "running",
        CheckState::Stopped => "stopped",
        CheckState::Done => "done",
    };
    let left_out = bad.saturating_sub(problems.len() as u64);
    let is_listed = !problems.is_empty();
    let problems = problems.into_iter().map(|problem| view! { <Problem problem look/> }).collect_view();
    view! {
        <p role="status" data-test="check-state" data-state=name data-bad=bad>{text}</p>
        {goes_on(state).then(|| view! { <progress aria-label=w.data_check></progress> })}
        {error.map(|text| view! { <Failure text/> })}
        {is_listed.then(|| view! { <ol class="data-problems">{problems}</ol> })}
        {(left_out > 0).then(|| view! {
            <p class="muted">{fill(w.data_check_more, &[("n", &format::count(left_out))])}</p>
        })}
    }
    .into_any()
}

#[component]
fn Problem(problem: RowProblem, look: Memo<Look>) -> impl IntoView {
    let w = words();
    let RowProblem { row, key, message } = problem;
    let there = move || Look { first: row, row: None, ..look.get() }.address();
    view! {
        <li data-test="row-problem" data-row=row data-key=key.clone()>
            <A href=there>{fill(w.data_row, &[("n", &format::count(row))])}</A>
            {(!key.is_empty()).then(|| view! { <code>{key.clone()}</code> })}
            <span>{message}</span>
        </li>
    }
}
