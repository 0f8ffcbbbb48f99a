//! The messages and the box to write in.

use leptos::ev::{KeyboardEvent, SubmitEvent};
use leptos::html::{Div, Textarea};
use leptos::prelude::*;
use wire::ChatStatus;

use super::message::Message;
use super::talk::{Role, Talk};
use crate::browser;
use crate::components::icon::{Flame, Icon, IconName};
use crate::i18n::{fill, words};

#[component]
pub fn Conversation(talk: Talk, status: RwSignal<ChatStatus>) -> AnyView {
    let w = words();
    let scroller = NodeRef::<Div>::new();
    let at_end = StoredValue::new(true);
    follow(talk, scroller, at_end);
    let on_scroll = move |_| {
        if let Some(scroller) = scroller.get_untracked() {
            at_end.set_value(browser::is_at_end(&scroller));
        }
    };
    let turns = move || talk.turns.get();
    let last = Memo::new(move |_| talk.turns.with(|turns| turns.last().map(|turn| turn.id)));
    let can_regenerate = move || {
        !talk.answering.get()
            && talk.turns.with(|turns| turns.last().is_some_and(|turn| turn.role == Role::Assistant))
    };
    view! {
        <section class="card conversation" aria-label=w.chat_conversation>
            <div class="messages" node_ref=scroller on:scroll=on_scroll data-test="messages" tabindex="0" role="log" aria-label=w.chat_conversation>
                {move || talk.turns.with(Vec::is_empty).then(|| view! { <Greeting status/> })}
                <For each=turns key=|turn| turn.id let:turn>
                    <Message talk turn is_answering=Signal::derive(move || talk.answering.get() && last.get() == Some(turn.id))/>
                </For>
            </div>
            <div class="chat-bar">
                <button
                    type="button"
                    class="button quiet small"
                    data-test="regenerate"
                    hidden=move || !can_regenerate()
                    on:click=move |_| talk.regenerate(w)
                >
                    <Icon name=IconName::Refresh/>
                    {w.chat_regenerate}
                </button>
                <button
                    type="button"
                    class="button quiet small"
                    data-test="clear"
                    hidden=move || talk.turns.with(Vec::is_empty)
                    on:click=move |_| talk.clear()
                >
                    <Icon name=IconName::Trash/>
                    {w.chat_clear}
                </button>
            </div>
            <Composer talk status/>
        </section>
    }
    .into_any()
}

/// Keeps the newest words in view, until the reader scrolls up.
fn follow(talk: Talk, scroller: NodeRef<Div>, at_end: StoredValue<bool>) {
    Effect::new(move |_| {
        let Some(scroller) = scroller.get() else { return };
        talk.turns.with(|turns| {
            if let Some(turn) = turns.last() {
                turn.text.track();
                turn.note.track();
                turn.error.track();
            }
        });
        if at_end.get_value() {
            // After the new words are in the page.
            request_animation_frame(move || browser::scroll_to_end(&scroller));
        }
    });
}

#[component]
fn Greeting(status: RwSignal<ChatStatus>) -> impl IntoView {
    let w = words();
    let title = move || match status.get() {
        ChatStatus::Ready { .. } => w.chat_ready_title,
        _ => w.chat_intro_title,
    };
    let text = move || match status.get() {
        ChatStatus::Ready { label, .. } => fill(w.chat_ready_text, &[("label", &label)]),
        _ => w.chat_intro_text.to_owned(),
    };
    view! {
        <div class="greeting">
            <Flame/>
            <h2>{title}</h2>
            <p class="muted">{text}</p>
        </div>
    }
}

#[component]
fn Composer(talk: Talk, status: RwSignal<ChatStatus>) -> AnyView {
    let w = words();
    let draft = talk.draft;
    let input = NodeRef::<Textarea>::new();
    let is_ready = Memo::new(move |_| matches!(status.get(), ChatStatus::Ready { .. }));
    // Ready to be written to as soon as the model is.
    Effect::new(move |_| {
        if let (true, Some(input)) = (is_ready.get(), input.get()) {
            browser::focus_in_place(&input);
            // On a narrow screen the conversation has come to the top.
            browser::scroll_back(0.0);
        }
    });
    let send = move || {
        if is_ready.get_untracked() && !talk.answering.get_untracked() {
            talk.send(draft.get_untracked(), w);
            draft.set(String::new());
        }
    };
    let on_key = move |event: KeyboardEvent| {
        // Enter also ends the choice of an input method, as for Chinese.
        if event.key() == "Enter" && !event.shift_key() && !event.is_composing() {
            event.prevent_default();
            send();
        }
    };
    let on_submit = move |event: SubmitEvent| {
        event.prevent_default();
        send();
    };
    view! {
        <form class="composer" on:submit=on_submit>
            <textarea
                node_ref=input
                rows="2"
                name="message"
                data-test="chat-input"
                aria-label=w.chat_input
                placeholder=move || if is_ready.get() { w.chat_input_placeholder } else { w.chat_input_unloaded }
                disabled=move || !is_ready.get()
                prop:value=move || draft.get()
                on:input:target=move |event| draft.set(event.target().value())
                on:keydown=on_key
            ></textarea>
            <button
                type="submit"
                class="button primary icon-only"
                data-test="send"
                title=w.chat_send
                aria-label=w.chat_send
                hidden=move || talk.answering.get()
                disabled=move || !is_ready.get() || draft.with(|draft| draft.trim().is_empty())
            >
                <Icon name=IconName::Send/>
            </button>
            <button
                type="button"
                class="button icon-only"
                data-test="stop-answer"
                title=w.chat_stop
                aria-label=w.chat_stop
                hidden=move || !talk.answering.get()
                on:click=move |_| talk.stop()
            >
                <Icon name=IconName::Stop/>
            </button>
        </form>
    }
    .into_any()
}
