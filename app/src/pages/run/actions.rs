//! What can be done with a run, by its state.

use std::future::Future;

use leptos::prelude::*;
use leptos::task::spawn_local;
use recipe::RunState;

use crate::calls;
use crate::calls::CallError;
use crate::components::confirm::{Confirm, DeleteButton};
use crate::components::failure::{self, Failure};
use crate::components::icon::{Icon, IconName};
use crate::components::link::A;
use crate::components::navigate::navigate;
use crate::i18n::{Words, fill, words};
use crate::live::{Connection, Fold};

#[component]
pub fn Actions(fold: Fold, connection: RwSignal<Connection>) -> AnyView {
    let w = words();
    let summary = fold.summary;
    let id = StoredValue::new(summary.with_untracked(|run| run.id.clone()));
    let busy = RwSignal::new(false);
    let error = RwSignal::new(None::<String>);
    let asks_cancel = RwSignal::new(false);
    let asks_delete = RwSignal::new(false);
    let navigate = navigate();

    let ask = Ask { words: w, busy, error };
    // The row of the run comes over the websocket. It is asked for where that is down, and still is when the answer
    // comes: that may be older than a row which came there.
    let is_down = move || connection.try_get_untracked().is_some_and(|now| now != Connection::Open);
    let refresh = move || {
        if !is_down() {
            return;
        }
        spawn_local(async move {
            let fresh = calls::run(id.get_value()).await;
            if let Some(fresh) = fresh.ok().filter(|_| is_down()) {
                summary.try_set(fresh.summary);
            }
        });
    };
    let delete = move |()| {
        ask.of(calls::delete(id.get_value()), move || navigate.to("/"));
    };
    let state = Memo::new(move |_| summary.with(|run| run.state));
    let has_checkpoint = Memo::new(move |_| fold.checkpoints.with(|kept| !kept.is_empty()));
    let can_chat = Memo::new(move |_| state.get() == RunState::Finished || has_checkpoint.get());
    let name = move || summary.with(|run| run.name.clone());

    view! {
        <div class="actions">
            <StateButtons id state has_checkpoint asks_cancel ask refresh=Callback::new(move |()| refresh())/>
            {move || can_chat.get().then(|| view! {
                <A href=format!("/chat?target={}", id.get_value()) attr:class="button" attr:data-test="chat-with">
                    <Icon name=IconName::Chat/>
                    {w.run_chat}
                </A>
            })}
            <A href=format!("/new?clone={}", id.get_value()) attr:class="button" attr:data-test="clone" attr:title=w.run_clone_help>
                <Icon name=IconName::Copy/>
                {w.run_clone}
            </A>
            {move || state.get().is_over().then(|| view! {
                <DeleteButton asks=asks_delete busy test="delete"/>
            })}
        </div>
        {move || error.get().map(|text| view! { <Failure text/> })}
        <Confirm
            open=asks_cancel
            title=w.run_cancel_title
            text=Signal::derive(move || match state.get() {
                RunState::Queued => w.run_cancel_queued.to_owned(),
                _ => w.run_cancel_text.to_owned(),
            })
            action=w.run_cancel_confirm
            keep=w.run_cancel_keep
            test="cancel-confirm"
            on_confirm=move |()| ask.of(calls::cancel(id.get_value()), refresh)
        />
        <Confirm
            open=asks_delete
            title=Signal::derive(move || fill(w.run_delete_title, &[("name", &name())]))
            text=w.run_delete_text
            action=w.run_delete
            test="delete-confirm"
            on_confirm=delete
        />
    }
    .into_any()
}

/// Stop, cancel and resume, as far as the state of the run allows.
#[component]
fn StateButtons(
    id: StoredValue<String>,
    state: Memo<RunState>,
    has_checkpoint: Memo<bool>,
    asks_cancel: RwSignal<bool>,
    ask: Ask,
    refresh: Callback<()>,
) -> AnyView {
    let w = words();
    let stoppable = move || matches!(state.get(), RunState::Preparing | RunState::Running);
    view! {
        {move || stoppable().then(|| view! {
            <button
                type="button"
                class="button"
                data-test="stop"
                title=w.run_stop_help
                disabled=move || ask.busy.get()
                on:click=move |_| ask.of(calls::stop(id.get_value()), move || refresh.run(()))
            >
                <Icon name=IconName::Stop/>
                {w.run_stop}
            </button>
        })}
        {move || (!state.get().is_over()).then(|| view! {
            <button
                type="button"
                class="button"
                data-test="cancel"
                title=w.run_cancel_help
                disabled=move || ask.busy.get()
                on:click=move |_| asks_cancel.set(true)
            >
                <Icon name=IconName::Cross/>
                {w.run_cancel}
            </button>
        })}
        {move || state.get().can_resume().then(|| view! {
            <button
                type="button"
                class="button"
                class:primary=move || has_checkpoint.get()
                data-test="resume"
                title=move || if has_checkpoint.get() { w.run_resume_help } else { w.run_restart_help }
                disabled=move || ask.busy.get()
                on:click=move |_| ask.of(calls::resume(id.get_value()), move || refresh.run(()))
            >
                <Icon name=IconName::Play/>
                {move || if has_checkpoint.get() { w.run_resume } else { w.run_restart }}
            </button>
        })}
    }
    .into_any()
}

/// Asks the server for something; one thing at a time, errors shown.
#[derive(Clone, Copy)]
struct Ask {
    words: &'static Words,
    busy: RwSignal<bool>,
    error: RwSignal<Option<String>>,
}

impl Ask {
    fn of(self, call: impl Future<Output = Result<(), CallError>> + 'static, then: impl FnOnce() + 'static) {
        self.busy.set(true);
        self.error.set(None);
        spawn_local(async move {
            let answer = call.await;
            self.busy.try_set(false);
            match answer {
                Ok(()) => then(),
                Err(error) => drop(self.error.try_set(Some(failure::message(&error, self.words)))),
            }
        });
    }
}
