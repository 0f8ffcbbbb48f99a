//! Where a run stands, in one word and a colour.

use leptos::prelude::*;
use recipe::RunState;

use crate::i18n::{lang, said, state_name, words};

/// The state, with its reason as a tooltip.
#[component]
pub fn StateBadge(
    #[prop(into)] state: Signal<RunState>,
    #[prop(into)] reason: Signal<Option<String>>,
) -> impl IntoView {
    let (w, lang) = (words(), lang());
    view! {
        <span
            class="badge"
            data-test="state"
            data-state=move || state.get().name()
            title=move || reason.get().map(|reason| said(&reason, lang))
        >
            <span class="badge-dot" aria-hidden="true"></span>
            {move || state_name(state.get(), w)}
        </span>
    }
}
