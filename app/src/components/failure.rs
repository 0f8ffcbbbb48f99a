//! What a page shows when the server could not give what it asked for.

use leptos::prelude::*;
use wire::BoardError;

use super::icon::{Icon, IconName};
use crate::calls::CallError;
use crate::i18n::{Words, fill, words};

/// An error in words for the user.
pub fn message(error: &CallError, words: &Words) -> String {
    match &error.0 {
        BoardError::NotFound(what) => fill(words.error_not_found, &[("what", what)]),
        BoardError::Refused(reason) => reason.clone(),
        BoardError::Invalid(problems) => {
            problems.iter().map(|problem| problem.message.as_str()).collect::<Vec<_>>().join("\n")
        }
        BoardError::Malformed(reason) | BoardError::Internal(reason) => {
            fill(words.error_internal, &[("reason", reason)])
        }
        BoardError::Unreachable(_) => words.error_unreachable.into(),
    }
}

/// A box with what went wrong, and a button to try it again where that is no other button's work.
#[component]
pub fn Failure(
    #[prop(into)] text: String,
    #[prop(optional, into)] retry: Option<Callback<()>>,
) -> impl IntoView {
    let again = move |retry: Callback<()>| {
        view! {
            <button type="button" class="button small" data-test="retry" on:click=move |_| retry.run(())>
                <Icon name=IconName::Refresh/>
                {words().retry}
            </button>
        }
    };
    view! {
        <div class="notice error" role="alert" data-test="error">
            <Icon name=IconName::Alert/>
            <p>{text}</p>
            {retry.map(again)}
        </div>
    }
}

/// What stands in place of something that the server could not give; asking again may bring it.
#[component]
pub fn BoardFailure(error: CallError, #[prop(into)] retry: Callback<()>) -> impl IntoView {
    view! { <Failure text=message(&error, words()) retry/> }
}
