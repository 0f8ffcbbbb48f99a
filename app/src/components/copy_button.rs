//! A button that copies a text and says that it did.

use std::time::Duration;

use leptos::prelude::*;
use leptos::task::spawn_local;

use super::icon::{Icon, IconName};
use crate::browser;
use crate::i18n::words;

#[component]
pub fn CopyButton(#[prop(into)] text: Signal<String>) -> impl IntoView {
    let w = words();
    // `None`: not pressed yet; then whether the browser let us.
    let copied = RwSignal::new(None::<bool>);
    let copy = move |_| {
        spawn_local(async move {
            copied.set(Some(browser::copy(&text.get_untracked()).await));
            set_timeout(move || copied.try_set(None).map_or((), drop), Duration::from_secs(2));
        });
    };
    view! {
        <button type="button" class="button quiet small" data-test="copy" on:click=copy>
            {move || {
                let name = match copied.get() {
                    None => IconName::Copy,
                    Some(true) => IconName::Check,
                    Some(false) => IconName::Cross,
                };
                view! { <Icon name/> }
            }}
            <span aria-live="polite">
                {move || match copied.get() {
                    None => w.copy,
                    Some(true) => w.copied,
                    Some(false) => w.copy_failed,
                }}
            </span>
        </button>
    }
}
