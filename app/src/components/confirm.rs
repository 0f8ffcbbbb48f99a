//! A question before something that cannot be undone, as a native dialog.

use leptos::html::Dialog;
use leptos::prelude::*;

use crate::browser;
use crate::components::icon::{Icon, IconName};
use crate::i18n::words;

/// A dialog that is shown while `open` is true. Escape and the backdrop close it.
#[component]
pub fn Confirm(
    open: RwSignal<bool>,
    #[prop(into)] title: Signal<String>,
    #[prop(into)] text: Signal<String>,
    /// The word on the button that does it.
    action: &'static str,
    /// The word on the button that leaves all as it is; `Cancel` where nothing else is given.
    #[prop(optional)]
    keep: Option<&'static str>,
    /// For browser tests: `data-test` of that button.
    test: &'static str,
    #[prop(into)] on_confirm: Callback<()>,
) -> AnyView {
    let w = words();
    let dialog = NodeRef::<Dialog>::new();
    Effect::new(move |_| {
        let Some(dialog) = dialog.get() else { return };
        if open.get() { browser::show_dialog(&dialog) } else { browser::close_dialog(&dialog) }
    });
    view! {
        <dialog node_ref=dialog class="dialog" on:close=move |_| open.set(false)>
            <h2>{move || title.get()}</h2>
            <p>{move || text.get()}</p>
            <div class="dialog-actions">
                <button type="button" class="button" on:click=move |_| open.set(false)>{keep.unwrap_or(w.dialog_keep)}</button>
                <button
                    type="button"
                    class="button danger"
                    data-test=test
                    on:click=move |_| {
                        open.set(false);
                        on_confirm.run(());
                    }
                >
                    {action}
                </button>
            </div>
        </dialog>
    }
    .into_any()
}

/// The button that asks whether something shall be deleted.
#[component]
pub fn DeleteButton(
    asks: RwSignal<bool>,
    busy: RwSignal<bool>,
    /// For browser tests.
    test: &'static str,
) -> AnyView {
    view! {
        <button
            type="button"
            class="button quiet"
            data-test=test
            disabled=move || busy.get()
            on:click=move |_| asks.set(true)
        >
            <Icon name=IconName::Trash/>
            {words().run_delete}
        </button>
    }
    .into_any()
}
