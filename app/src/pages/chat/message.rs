//! One message, as a bubble.

use leptos::prelude::*;

use super::talk::{Role, Talk, Turn};
use crate::components::copy_button::CopyButton;
use crate::components::failure::Failure;
use crate::i18n::words;
use crate::markdown;

#[component]
pub fn Message(talk: Talk, turn: Turn, #[prop(into)] is_answering: Signal<bool>) -> AnyView {
    let w = words();
    let (class, name, author) = match turn.role {
        Role::User => ("message user", "user", w.chat_you),
        Role::Assistant => ("message assistant", "assistant", w.chat_assistant),
    };
    let body = match turn.role {
        Role::User => view! { <div class="bubble plain">{move || turn.text.get()}</div> }.into_any(),
        Role::Assistant => view! {
            <div class="bubble markdown" inner_html=move || turn.text.with(|text| markdown::to_html(text))></div>
        }
        .into_any(),
    };
    let is_waiting = move || is_answering.get() && turn.text.with(String::is_empty);
    view! {
        <article class=class data-test="message" data-role=name>
            <h3 class="visually-hidden">{author}</h3>
            {move || is_waiting().then(|| view! { <p class="thinking" role="status">{w.chat_thinking}</p> })}
            <div hidden=is_waiting>{body}</div>
            {move || turn.error.get().map(|text| view! { <Failure text/> })}
            {move || (turn.is_full.get() && talk.can_be_shortened()).then(|| view! {
                <button type="button" class="button small" data-test="shorten" on:click=move |_| talk.shorten(w)>
                    {w.chat_shorten}
                </button>
            })}
            {(turn.role == Role::Assistant).then(|| view! {
                <footer class="message-foot" hidden=move || is_answering.get()>
                    <CopyButton text=turn.text/>
                    <small class="muted number">{move || turn.note.get()}</small>
                </footer>
            })}
        </article>
    }
    .into_any()
}
