//! A file of this machine for the data folder. The browser streams it; what is cancelled leaves nothing behind.

use leptos::html::Input;
use leptos::prelude::*;

use crate::components::failure::Failure;
use crate::components::icon::{Icon, IconName};
use crate::components::link::A;
#[cfg(feature = "hydrate")]
use crate::components::navigate::navigate;
use crate::format;
use crate::i18n::{fill, words};

#[component]
pub fn AddCard(largest: u64) -> AnyView {
    let w = words();
    let limit = fill(w.data_upload_help, &[("size", &format::bytes(largest))]);
    let input = NodeRef::<Input>::new();
    // Sending a file needs script: what does that is shown once there is some.
    let is_alive = RwSignal::new(false);
    Effect::new(move |_| is_alive.set(true));
    let is_busy = RwSignal::new(false);
    let error = RwSignal::new(None::<String>);
    #[cfg(feature = "hydrate")]
    let (start, cancel) = sending(input, largest, is_busy, error);
    #[cfg(not(feature = "hydrate"))]
    let (start, cancel) = (|| (), || ());
    view! {
        <details class="card data-add" data-test="data-add">
            <summary>
                <Icon name=IconName::Plus/>
                {w.data_add}
            </summary>
            <div class="data-upload" hidden=move || !is_alive.get()>
                <label class="field">
                    <span class="field-label">{w.data_upload_file}</span>
                    <input
                        node_ref=input
                        type="file"
                        accept=".json,.jsonl,.csv,.txt,.gz,.parquet,.arrow"
                        data-test="upload-file"
                        disabled=move || is_busy.get()
                    />
                </label>
                <p class="muted">{limit}</p>
                <progress hidden=move || !is_busy.get() aria-label=w.data_uploading></progress>
                <div class="data-buttons">
                    <button
                        type="button"
                        class="button primary"
                        data-test="upload"
                        disabled=move || is_busy.get()
                        on:click=move |_| start()
                    >
                        <Icon name=IconName::Upload/>
                        {move || if is_busy.get() { w.data_uploading } else { w.data_upload }}
                    </button>
                    <button
                        type="button"
                        class="button"
                        data-test="upload-cancel"
                        hidden=move || !is_busy.get()
                        on:click=move |_| cancel()
                    >
                        {w.data_upload_cancel}
                    </button>
                </div>
                {move || error.get().map(|text| view! { <Failure text/> })}
            </div>
            <p><A href="/entry" attr:data-test="register">{w.data_register}</A></p>
        </details>
    }
    .into_any()
}

/// What the two buttons do.
#[cfg(feature = "hydrate")]
fn sending(
    input: NodeRef<Input>,
    largest: u64,
    is_busy: RwSignal<bool>,
    error: RwSignal<Option<String>>,
) -> (impl Fn() + Copy, impl Fn() + Copy) {
    use leptos_router::location::Url;
    use web_sys::AbortController;

    let w = words();
    let navigate = navigate();
    let abort = StoredValue::new_local(None::<AbortController>);
    let start = move || {
        let Some(file) = input.get_untracked().and_then(|input| input.files()?.get(0)) else {
            return error.set(Some(w.data_upload_none.into()));
        };
        if file.size() > largest as f64 {
            return error.set(Some(fill(w.data_upload_large, &[("size", &format::bytes(largest))])));
        }
        let Ok(controller) = AbortController::new() else { return };
        let signal = controller.signal();
        abort.set_value(Some(controller));
        is_busy.set(true);
        error.set(None);
        leptos::task::spawn_local(async move {
            let name = Url::escape(&file.name());
            let sent = send(&crate::base::at(&format!("/datasets/upload/{name}")), &file, &signal).await;
            is_busy.try_set(false);
            match sent {
                Ok(()) => navigate.to(&format!("/entry?file={name}")),
                Err(_) if signal.aborted() => drop(error.try_set(Some(w.data_upload_cancelled.into()))),
                Err(reason) => drop(error.try_set(Some(reason))),
            }
        });
    };
    let cancel = move || {
        abort.with_value(|abort| {
            if let Some(abort) = abort {
                abort.abort();
            }
        });
    };
    (start, cancel)
}

/// Sends a file as the body of a request.
#[cfg(feature = "hydrate")]
async fn send(url: &str, file: &web_sys::File, signal: &web_sys::AbortSignal) -> Result<(), String> {
    use crate::browser::{describe, refusal};
    use wasm_bindgen::JsCast;
    use wasm_bindgen_futures::JsFuture;

    let init = web_sys::RequestInit::new();
    init.set_method("POST");
    init.set_body(file);
    init.set_signal(Some(signal));
    let answer = JsFuture::from(window().fetch_with_str_and_init(url, &init)).await;
    let answer: web_sys::Response = answer.map_err(|error| describe(&error))?.unchecked_into();
    if answer.ok() { Ok(()) } else { Err(refusal(&answer).await) }
}
